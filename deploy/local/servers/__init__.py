"""The stand-ins of `make up`: W&B, Vertex AI, Pub/Sub and Cloud Build on loopback."""
