"""Upgrades: the functions of an earlier commit and today's side by side, and what becomes of each item."""
