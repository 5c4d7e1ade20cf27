"""The generated pages of docs/: each is made from the code by `python -m deploy.reference`."""
