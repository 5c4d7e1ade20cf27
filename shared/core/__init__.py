"""The words and rules of a launch: no SDK, no I/O."""
