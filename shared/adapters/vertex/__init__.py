"""Vertex AI: jobs are created by submit, listed and cancelled by status."""
