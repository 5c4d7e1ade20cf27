"""The commands that prepare, deploy, check and remove a deployment in Google Cloud."""
