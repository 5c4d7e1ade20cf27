"""Adapters and local servers, judged by the real clients and by each other."""
