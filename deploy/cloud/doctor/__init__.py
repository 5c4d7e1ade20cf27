"""Checks for the faults that happen in practice: each examines one thing and names the fix."""
