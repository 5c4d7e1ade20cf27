"""The three functions: poll, submit and status. They share the ledger, never code of one another."""
