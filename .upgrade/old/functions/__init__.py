"""The three functions: poll, submit and status. They share the ledger, and no code."""
