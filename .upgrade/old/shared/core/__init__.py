"""The launch, its states, its messages and all ports: no SDK, no I/O."""
