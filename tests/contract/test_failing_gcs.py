"""Each call of the ledger, the agents' book and the bucket × each way to fail: what it raises, and what it sent."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from shared.adapters.gcs import Bucket, GcsAgentBook, GcsLedger
from shared.core.errors import Denied, LaunchError, Retry
from shared.core.ports import AgentNote
from tests.contract.broken import SHAPES, answer, bound, broken
from tests.contract.launches import NOW, a_launch, ended

PATIENCE = 0.1  # seconds of repetitions
KEY = "k" + "a" * 26
MEANING: Mapping[str, type[LaunchError]] = dict.fromkeys(SHAPES, Retry) | {"refused": Denied}
SERVED = [shape for shape in SHAPES if shape != "nobody there"]

Connect = Callable[[str, float], Bucket]  # to an address, with the seconds of a method


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Return what connects to a server."""

    def connect(url: str, seconds: float) -> Bucket:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        return Bucket("ledger", PATIENCE, seconds)

    return connect


CALLS: dict[str, Callable[[Bucket], object]] = {
    "read": lambda b: GcsLedger(b).read(KEY),
    "read_closed": lambda b: GcsLedger(b).read_closed(KEY),
    "write": lambda b: GcsLedger(b).write(a_launch()),
    "is_closed": lambda b: GcsLedger(b).is_closed(KEY),
    "close": lambda b: GcsLedger(b).close(ended(a_launch())),
    "withdraw": lambda b: GcsLedger(b).withdraw(KEY, 7),
    "list_open": lambda b: GcsLedger(b).list_open(),
    "read the note": lambda b: GcsAgentBook(b, "launch").read(),
    "take the lease": lambda b: GcsAgentBook(b, "launch").take("me", NOW, NOW + timedelta(minutes=1)),
    "give the lease back": lambda b: GcsAgentBook(b, "launch").give_back(AgentNote("me", generation=7)),
    "write the note": lambda b: GcsAgentBook(b, "launch").write(AgentNote("me", generation=7)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_fails_as_its_port_says(bucket: Connect, call: str, shape: str) -> None:
    """Within its bound. A lease is not taken by a note that could not be read, and nothing is deleted after it."""
    with broken(shape) as server:
        with pytest.raises(LaunchError) as failed:
            CALLS[call](bucket(server.url, bound(shape)))
        assert type(failed.value) is MEANING[shape], failed.value
        assert not server.read_to_its_end
        if call != "withdraw":
            assert server.count(b"DELETE") == 0
        if call == "take the lease":
            assert server.count(b"POST") == 0


@pytest.mark.parametrize("shape", SERVED)
def test_a_close_whose_delete_fails_says_so(bucket: Connect, shape: str) -> None:
    """The closed record is there, so the next tick repeats the delete."""
    written = answer(200, {"name": "closed/k", "bucket": "ledger", "generation": "1", "metageneration": "1"})
    with broken(shape, b"DELETE", written) as server:
        with pytest.raises(MEANING[shape]):
            GcsLedger(bucket(server.url, bound(shape, 1.0))).close(ended(a_launch()))
        assert not server.read_to_its_end
        assert server.count(b"POST") == 1


@pytest.mark.parametrize("shape", SERVED)
def test_a_close_that_cannot_see_the_closed_record_deletes_nothing(bucket: Connect, shape: str) -> None:
    """Its write met another generation: only a look tells whether the launch is closed."""
    there = answer(412, {"error": {"code": 412, "message": "conditionNotMet"}})
    with broken(shape, b"GET", there) as server:
        with pytest.raises(LaunchError) as failed:
            GcsLedger(bucket(server.url, bound(shape, 1.0))).close(ended(a_launch()))
        assert type(failed.value) is MEANING[shape], failed.value
        assert not server.read_to_its_end
        assert server.count(b"DELETE") == 0


@pytest.mark.parametrize("shape", SERVED)
def test_a_listing_whose_second_page_fails_is_no_listing(bucket: Connect, shape: str) -> None:
    """Half of the open launches would free slots that are taken."""
    page = answer(200, {"items": [{"name": f"open/{KEY}"}], "nextPageToken": "two"})
    with broken(shape, b"pageToken=two", page) as server:
        with pytest.raises(MEANING[shape]):
            GcsLedger(bucket(server.url, bound(shape, 1.0))).list_open()
        assert not server.read_to_its_end
