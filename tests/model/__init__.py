"""The ledger's protocol as a model: every interleaving of all that touch one launch, without the functions' code."""
