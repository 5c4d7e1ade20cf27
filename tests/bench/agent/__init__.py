"""The real `wandb launch-agent` beside us, measured by `make bench-agent`."""
