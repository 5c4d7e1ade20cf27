"""A stand-in for Vertex AI's custom jobs: REST v1, with containers as local processes."""
