"""Blocked items in a calm round of chaos: the audit has to see them, or "0 blocked" means nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chaos.rounds import GRACE, Snapshot, in_vain

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = NOW - GRACE - timedelta(seconds=1)
OURS = {"state": "SUBMITTED", "item_id": "a", "job_name": "j"}


def seen(pending: str = "", *launches: dict[str, Any], **more: Any) -> Snapshot:
    """Return a snapshot with these pending items (a letter each) and launches."""
    named = {f"open/{number}": launch for number, launch in enumerate(launches)}
    return Snapshot(NOW, tuple(pending), launches=named, **more)


@pytest.mark.parametrize(
    ("before", "after", "max_jobs", "waited"),
    [
        (seen("ab"), seen(""), 2, []),
        (seen("ab"), seen("ab"), 2, ["item a", "item b"]),
        (seen("abc"), seen("abc"), 2, ["item a", "item b"]),  # there was no slot for the third
        (seen("abc"), seen("ac"), 2, ["item a"]),  # one of two slots was used, and not for the oldest
        (seen("abc"), seen("c"), 2, []),
        (seen("a", OURS), seen("a", OURS), 1, []),  # full
        (seen("a", {**OURS, "item_id": ""}), seen("a", {**OURS, "item_id": ""}), 1, ["item a"]),  # of a request
        (seen("a", {**OURS, "state": "ENDED"}), seen("a", {**OURS, "state": "ENDED"}), 1, ["item a"]),
        (seen("a", {**OURS, "short_of": "AMOUNT"}), seen("a"), 9, []),  # its queue is held, rightly
        (seen("a", {"state": "QUEUED", "short_of": "AMOUNT"}), seen("a"), 9, ["item a"]),  # by a request: wrongly
    ],
)
def test_an_item_is_passed_over(before: Snapshot, after: Snapshot, max_jobs: int, waited: list[str]) -> None:
    """Only one for which there was a slot."""
    assert list(in_vain(before, after, max_jobs)) == waited


@pytest.mark.parametrize(
    ("launch", "waits"),
    [
        ({"state": "QUEUED", "opened_at": NOW.isoformat()}, False),
        ({"state": "QUEUED", "opened_at": LONG_AGO.isoformat()}, True),
        ({"state": "QUEUED", "opened_at": LONG_AGO.isoformat(), "retry_at": NOW.isoformat()}, False),
        ({"state": "QUEUED", "opened_at": NOW.isoformat(), "retry_at": LONG_AGO.isoformat()}, True),
        ({"state": "SUBMITTING", "lease_until": NOW.isoformat()}, False),
        ({"state": "SUBMITTING", "lease_until": LONG_AGO.isoformat()}, True),
        (OURS, False),
        ({**OURS, "job_name": "ended"}, True),
    ],
)
def test_a_launch_is_passed_over(launch: dict[str, str], waits: bool) -> None:
    """One that is due, or whose job has ended, and that nobody has touched in the round."""
    ended = {"ended": LONG_AGO, "j": NOW}
    before, after = seen("", launch, ended=ended), seen("", launch, ended=ended)
    assert bool(list(in_vain(before, after, 9))) is waits
    touched = seen("", {**launch, "failures": "1"}, ended=ended)
    assert not list(in_vain(before, touched, 9))
