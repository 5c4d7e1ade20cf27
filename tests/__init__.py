"""Tests, from tables in milliseconds (unit) to the embedded stack (e2e)."""
