"""Do some work and end well, without ever calling wandb.init."""

print("loading the cats")
print("done; W&B was never told")
