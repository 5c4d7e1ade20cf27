"""From a W&B run spec to the arguments of CustomJob: no SDK, no I/O."""
