"""Stand in for Vertex AI's custom jobs on a laptop: REST v1, with the container's command run as a local process."""
