"""The deployment: by the real gcloud and the real clients, in a cloud of the tests' own."""
