"""Status names the states of a job that it does not know, and only these."""

import logging
from datetime import UTC, datetime

import pytest

from functions.status import listing
from shared.core.jobstate import PHASES
from shared.core.ports import Job

UNSPECIFIED = "JOB_STATE_UNSPECIFIED"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_only_a_state_that_is_not_known_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """An unspecified one says as little as a new one."""
    caplog.set_level(logging.WARNING)
    listing._warn_of_unknown_state.cache_clear()  # noqa: SLF001 - a process names each once
    found = listing.Listing()
    for number, state in enumerate([*PHASES, UNSPECIFIED, "JOB_STATE_HIBERNATING"]):
        found.add(Job(f"projects/p/locations/l/customJobs/{number}", "k", 1, state, NOW))
    named = [vars(record)["fields"]["state"] for record in caplog.records]
    assert sorted(set(named)) == ["JOB_STATE_HIBERNATING", UNSPECIFIED]
