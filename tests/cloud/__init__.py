"""A little Google Cloud on loopback: the real gcloud and the unmodified Python clients run against it."""
