"""Attacks, each by a test of its own, through the doors that an attacker has."""
