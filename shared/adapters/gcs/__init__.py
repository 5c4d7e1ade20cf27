"""The functions' own bucket: the ledger, the note of poll's agent, the learned pace."""

from shared.adapters.gcs.agents import GcsAgentBook
from shared.adapters.gcs.bucket import LONGEST, Bucket
from shared.adapters.gcs.ledger import GcsLedger
from shared.adapters.gcs.pace import GcsPaceBook

__all__ = ["LONGEST", "Bucket", "GcsAgentBook", "GcsLedger", "GcsPaceBook"]
