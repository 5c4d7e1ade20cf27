"""What the three functions have in common."""
