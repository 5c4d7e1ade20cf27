"""The world of the deployment tests: Google's control plane, for the real gcloud and Python clients."""
