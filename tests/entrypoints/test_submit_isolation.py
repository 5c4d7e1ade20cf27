"""Submit's door when one message, one record or one answer is odd: the others go on."""

import os
from typing import Any

import pytest

from shared.adapters.gcs import GcsLedger
from shared.core.launch import Outcome, State
from shared.core.message import Request, encode
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import ITEM, RENDERED, REQUEST, eventarc, events


def ledger() -> GcsLedger:
    """Return the ledger that the functions share."""
    return GcsLedger(os.environ["LEDGER_BUCKET"])


def asking(key: str, **spec: Any) -> Request:
    """Return a request with these changes of its spec."""
    rendered = {**RENDERED, "spec": {**RENDERED["spec"], **spec}}
    run_spec = {**ITEM, "resource_args": {"vertex": rendered}, "name": key}
    return Request(source="ci", idempotency_key=key, run_spec=run_spec)


@pytest.mark.parametrize(
    "changes",
    [
        {"project": "projects/p"},
        {"project": "p/locations/us-central1"},
        {"location": "us-central1-a"},
        {"location": "p/q"},
        {"labels": {"x": 10**401}},
        {"worker_pool_specs": [{"replica_count": 10**401}]},
        {"base_output_dir": ["gs://x"]},
    ],
    ids=str,
)
def test_an_odd_value_ends_its_own_launch(outside: Outside, changes: dict[str, Any]) -> None:
    """Nothing is sent, nothing is raised, and the next message is served."""
    submit, odd = outside.client("submit"), asking("odd", **changes)
    assert submit.post(**eventarc(encode(odd))).status_code == 200
    launch = ledger().read(odd.launch_key)
    assert launch
    assert (launch.entry.state, launch.entry.outcome) == (State.ENDED, Outcome.REJECTED)
    assert next(iter(changes)) in launch.reason
    assert submit.post(**eventarc(encode(REQUEST))).status_code == 200
    assert [job.display_name for job in outside.vertex.jobs()] == ["from-ci"]


def test_a_reused_key_is_refused_for_the_dead_letters(outside: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    """The log names source and key; the job that runs is untouched, and the same content is harmless."""
    submit, first = outside.client("submit"), asking("42")
    other = first.model_copy(update={"run_spec": {**first.run_spec, "name": "other"}})
    assert [submit.post(**eventarc(encode(each))).status_code for each in (first, other, first)] == [200, 500, 200]
    [error] = [e for e in events(capsys.readouterr().out) if e["message"] == "request.key_reused"]
    assert (error["severity"], error["source"], error["idempotency_key"]) == ("ERROR", "ci", "42")
    assert [job.display_name for job in outside.vertex.jobs()] == ["42"]


def test_a_record_that_was_deleted_by_hand_makes_no_second_job(outside: Outside) -> None:
    """The same request finds the job by its label."""
    submit, request = outside.client("submit"), asking("42")
    submit.post(**eventarc(encode(request)))
    [job] = outside.vertex.jobs()
    ledger().withdraw(request.launch_key)
    assert submit.post(**eventarc(encode(request))).status_code == 200
    launch = ledger().read(request.launch_key)
    assert launch
    assert (launch.entry.state, launch.entry.job_name) == (State.SUBMITTED, job.name)
    assert outside.vertex.jobs() == [job]


def test_a_denied_look_up_is_no_error_of_the_function(outside: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    """It is one of the launch: logged as an error, and counted."""
    outside.vertex.faults.refuse_next(403, "PERMISSION_DENIED", "no customJobs.list", method="list")
    submit, request = outside.client("submit"), asking("42")
    assert submit.post(**eventarc(encode(request))).status_code == 200
    [denied] = [e for e in events(capsys.readouterr().out) if e["message"] == "launch.denied"]
    assert (denied["severity"], denied["launch_key"]) == ("ERROR", request.launch_key)
    launch = ledger().read(request.launch_key)
    assert launch
    assert (launch.entry.state, launch.entry.failures) == (State.QUEUED, 1)
    assert outside.vertex.jobs() == []


def test_requests_have_a_headroom_of_their_own(outside: Outside) -> None:
    """The second waits in the ledger."""
    submit = outside.client("submit", LAUNCH_MAX_REQUESTS="1")
    for key in ("1", "2"):
        assert submit.post(**eventarc(encode(asking(key)))).status_code == 200
    assert [job.display_name for job in outside.vertex.jobs()] == ["1"]
    launch = ledger().read(asking("2").launch_key)
    assert launch
    assert (launch.entry.state, launch.entry.failures) == (State.QUEUED, 0)
