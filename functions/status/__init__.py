"""Compare what is open with what Vertex AI and W&B say, and do what is owed."""
