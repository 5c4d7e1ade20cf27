"""The world of a person's laptop and of the e2e tests: W&B and Google's services on loopback."""
