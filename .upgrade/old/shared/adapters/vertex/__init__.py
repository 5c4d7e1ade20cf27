"""Vertex AI: submit creates jobs (`submit`), status lists and cancels them (`jobs`)."""
