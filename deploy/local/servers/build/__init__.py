"""A stand-in for Cloud Build that builds on this machine, and for Artifact Registry's tags."""
