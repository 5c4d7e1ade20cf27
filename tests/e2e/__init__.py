"""The embedded stack: real processes on this machine, killed and started again."""
