"""Dead letters: list messages that submit could not accept, replay them, or drop them."""
