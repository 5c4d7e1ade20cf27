"""A stand-in for W&B, for real clients that push, pop, log and query; its state is in memory."""
