"""The command line that deploys, inspects and demonstrates the functions."""
