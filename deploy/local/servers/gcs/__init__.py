"""A stand-in for Cloud Storage: fake-gcs-server behind GCS's own limits."""
