"""The commands of operators: what waits, what it means, what to do about it."""
