"""Settings and the launch-config, which operators write, as typed models."""
