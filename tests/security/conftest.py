"""The functions' own doors, as in tests/entrypoints."""

from tests.entrypoints.conftest import gcs, outside

__all__ = ["gcs", "outside"]
