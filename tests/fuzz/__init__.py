"""Fuzz tests: every input is read or refused, in words and within bounds."""
