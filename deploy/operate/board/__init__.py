"""The board: one read-only page on loopback that shows the launches of a deployment."""
