"""Status: compare all open launches with Vertex AI and W&B, and act on the differences."""
