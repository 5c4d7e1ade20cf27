"""Whatever comes in is read or refused, in words and within bounds."""
