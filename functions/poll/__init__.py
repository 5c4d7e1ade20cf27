"""Drain W&B run queues into the ledger and onto the topic."""
