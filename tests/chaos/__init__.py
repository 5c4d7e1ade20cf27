"""Chaos on the embedded stack: many items while everything fails, then an audit of every item."""
