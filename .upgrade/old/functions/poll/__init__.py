"""Poll: drain W&B run queues into the ledger, and publish a ticket for each launch."""
