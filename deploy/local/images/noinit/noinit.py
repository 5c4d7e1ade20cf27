"""Do some work and exit successfully, without calling wandb.init."""

print("loading the cats")
print("done, without wandb.init")
