"""Chaos on the embedded stack: many items, while whatever may fail does; then an audit of every one of them."""
