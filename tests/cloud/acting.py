"""A loopback cloud in which this process acts as one account."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cloud.world import Cloud


@contextmanager
def cloud_for(account: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Give an empty cloud; the client libraries of this process find it, and act as the account."""
    for emulator in ("STORAGE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"):  # of other tests in this process
        monkeypatch.delenv(emulator, raising=False)
    with Cloud(folder) as made:
        for name, value in made.environ(account).items():
            monkeypatch.setenv(name, value)
        yield made
