"""Tests: entrypoints."""
