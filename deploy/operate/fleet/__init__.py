"""What the commands that look at launches share: where to look, what is there, and names for it."""
