"""What holds for every test."""

import signal

# A shell that starts us in the background lets us and all that we start ignore Ctrl-C; wandb interrupts scripts by it.
signal.signal(signal.SIGINT, signal.default_int_handler)
