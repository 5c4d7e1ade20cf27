"""Cloud Build, and Artifact Registry for its images: what submit has built (`images`), what status sees (`builds`)."""
