"""The embedded stack of a person's laptop and of the end-to-end tests: processes on loopback."""
