"""The functions' own bucket: the ledger, and the note of poll's agent."""

from shared.adapters.gcs.agents import GcsAgentBook
from shared.adapters.gcs.bucket import LONGEST, Bucket
from shared.adapters.gcs.ledger import GcsLedger

__all__ = ["LONGEST", "Bucket", "GcsAgentBook", "GcsLedger"]
