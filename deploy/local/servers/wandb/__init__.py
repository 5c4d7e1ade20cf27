"""A stand-in for W&B: real clients push, pop, log and ask; all it knows is in memory."""
