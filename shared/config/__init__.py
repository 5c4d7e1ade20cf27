"""Settings and the launch-config: what operators write, as typed models."""
