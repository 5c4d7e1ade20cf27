"""A stand-in for Cloud Build, which builds on this machine, and for what Artifact Registry says of the images."""
