"""The functions' own bucket: the ledger, and the record of poll's agent."""

from shared.adapters.gcs.ledger import GcsAgentBook, GcsLedger

__all__ = ["GcsAgentBook", "GcsLedger"]
