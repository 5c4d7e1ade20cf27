"""One outside system each: W&B, Vertex AI, the ledger's bucket, Pub/Sub."""
