"""Code that the three functions share."""
