"""Cloud Build and Artifact Registry: submit has images built (`images`), status reads `builds`."""
