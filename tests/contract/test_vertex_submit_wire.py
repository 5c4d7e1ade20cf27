"""What leaves for Vertex AI from submit, and what comes back, without a network: limits, look-ups, errors."""

from dataclasses import replace
from typing import Any

import pytest
import requests
from google.auth import exceptions as auth_errors
from google.cloud import aiplatform

from shared.adapters.vertex.submit import VertexCompute, compute
from shared.adapters.vertex.submit.compute import _experiment, _unsent
from shared.core.budget import Budget
from shared.core.errors import Capacity, Denied, LaunchError, OutcomeUnknown, Reject, Retry
from shared.core.ports import FoundJob
from shared.core.redaction import hiding
from tests.contract.test_production_clients import CALL, PARENT
from tests.contract.wires import Given, Wire, answer, connected, refusal
from tests.fakes.clock import PLENTY

JOBS = f"https://europe-west4-aiplatform.googleapis.com/v1/{PARENT}/customJobs"
JOB = f"{PARENT}/customJobs/7"
LABELS = {"launch_key": "k1", "launch_attempt": "2", "launch_agent": "a"}


@pytest.fixture(autouse=True)
def _fresh_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo the configuration of the SDK, one for a process, that other tests have made."""
    monkeypatch.setattr(aiplatform.initializer, "global_config", aiplatform.initializer._Config())  # noqa: SLF001
    monkeypatch.setattr(aiplatform, "init", aiplatform.initializer.global_config.init)


def job(number: int = 7, **changes: Any) -> dict[str, Any]:
    """Return a job as REST writes it."""
    made = {"name": f"{PARENT}/customJobs/{number}", "labels": LABELS, "state": "JOB_STATE_RUNNING"}
    return {**made, "createTime": f"2026-01-01T00:00:{number:02}Z", **changes}


@pytest.mark.parametrize(
    ("own", "asked", "limits"),
    [(70.0, None, (10, 60)), (70.0, 7.0, (1, 6)), (70.0, 1e6, (10, 60)), (35.0, 0, (5, 30)), (35.0, 14.0, (2, 12))],
)
def test_an_author_can_only_shorten_a_create(
    monkeypatch: pytest.MonkeyPatch, own: float, asked: float | None, limits: tuple[float, float]
) -> None:
    """A seventh of its seconds is for connecting."""
    wire = connected(monkeypatch, Wire(answer(job())))
    submit = {} if asked is None else {"create_request_timeout": asked}
    adapter = VertexCompute("p9", "us-central1", create_seconds=own)
    assert adapter.create(replace(CALL, submit=submit), PLENTY) == JOB
    assert (wire.lines, wire.sent[0].timeout) == ([f"POST {JOBS}"], pytest.approx(limits))


def test_a_look_up_returns_the_newest_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the region of the launch, whatever the deployment's own is."""
    jobs = [job(1), job(3, labels={"launch_attempt": "3"}), job(2)]
    wire = connected(monkeypatch, Wire(answer({"customJobs": jobs})))
    adapter = VertexCompute("p9", "us-central1", find_seconds=12.5)
    assert adapter.find(PARENT, {"launch_key": "k1", "launch_agent": "a"}) == FoundJob(jobs[1]["name"], 3)
    (sent,) = wire.sent
    assert (sent.line, sent.timeout) == (f"GET {JOBS}", 12.5)
    wanted = 'labels.launch_key="k1" AND labels.launch_agent="a"'
    assert {"filter": wanted, "pageSize": "100"}.items() <= sent.query.items()
    connected(monkeypatch, Wire(answer({})))
    assert adapter.find(PARENT, {"launch_key": "k1"}) is None


def test_a_look_up_reads_a_hundred_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A further page would be of an error of ours."""
    page = answer({"customJobs": [job(number % 60) for number in range(100)], "nextPageToken": "two"})
    wire = connected(monkeypatch, Wire(page))
    assert VertexCompute("p9", "us-central1").find(PARENT, {"launch_key": "k1"})
    assert len(wire.sent) == 1


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        (refusal(403), Denied, "Vertex AI refuses this service account: no"),
        (refusal(400), Retry, "the look-up of the job failed: no"),
        (refusal(429), Retry, "the look-up of the job failed: no"),
        (refusal(503), Retry, "the look-up of the job failed: no"),
        (requests.ConnectionError("reset"), Retry, "the look-up of the job failed: reset"),
        (auth_errors.RefreshError("revoked"), Denied, "no Google credentials: revoked"),
        (auth_errors.TransportError("down"), Retry, "the look-up of the job failed: down"),
    ],
    ids=str,
)
def test_a_look_up_that_fails_is_repeated(
    monkeypatch: pytest.MonkeyPatch, given: Given, kind: type[LaunchError], words: str
) -> None:
    """Unless an operator has to act."""
    connected(monkeypatch, Wire(given))
    with pytest.raises(kind) as raised:
        VertexCompute("p9", "us-central1").find(PARENT, {"launch_key": "k1"})
    assert type(raised.value) is kind
    assert str(raised.value).startswith(words)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (MemoryError("full"), Retry, "the job could not be sent: full"),
        (OSError("no file"), Retry, "the job could not be sent: no file"),
        (UnicodeError("odd"), Reject, "spec: not accepted by CustomJob: odd."),
        (requests.exceptions.InvalidURL("odd"), Reject, "spec: not accepted by CustomJob: odd."),
        (TypeError("odd"), Reject, "spec: not accepted by CustomJob: odd."),
        (auth_errors.DefaultCredentialsError("none"), Denied, "no Google credentials: none"),
    ],
)
def test_an_error_before_the_create_changes_nothing(error: Exception, kind: type[LaunchError], words: str) -> None:
    """It is the author's, unless this process or its account is at fault."""
    found = _unsent(error)
    assert (type(found), str(found)) == (kind, words)


def test_a_create_without_an_answer_may_have_made_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the next delivery looks first."""
    wire = connected(monkeypatch, Wire(requests.ConnectionError("reset")))
    with pytest.raises(OutcomeUnknown) as raised:
        VertexCompute("p9", "us-central1").create(CALL, PLENTY)
    assert (str(raised.value), len(wire.sent)) == ("the create call has no answer: reset", 1)


def test_an_experiment_and_its_run_are_looked_up_in_the_jobs_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the deployment's, and not without a name."""
    made: list[tuple[object, ...]] = []

    class Found:
        """Notes what is looked up."""

        def __init__(self, *names: object, project: str, location: str) -> None:
            made.append((*names, project, location))

    monkeypatch.setattr(aiplatform, "Experiment", Found)
    monkeypatch.setattr(aiplatform, "ExperimentRun", Found)
    assert _experiment(replace(CALL, submit={"experiment_run": "r"}), PLENTY) == {}
    found = _experiment(replace(CALL, submit={"experiment": "e"}), PLENTY)
    assert sorted(found) == ["experiment", "experiment_run"]
    assert found["experiment_run"] is None
    found = _experiment(replace(CALL, submit={"experiment": "e", "experiment_run": "r"}), PLENTY)
    place = ("p1", "europe-west4")
    assert made == [("e", *place), ("e", *place), ("r", found["experiment"], *place)]


@pytest.mark.parametrize(("left", "seconds"), [(1e9, 60.0), (7.0, 7.0)])
def test_the_look_ups_of_an_experiment_share_a_minute(
    monkeypatch: pytest.MonkeyPatch, left: float, seconds: float
) -> None:
    """Or what is left of the budget; the library itself would wait for ever."""
    bounds: list[float] = []

    def within(bound: float, _: object) -> None:
        bounds.append(bound)
        raise TimeoutError("too late")

    monkeypatch.setattr(compute, "within", within)
    with pytest.raises(Retry, match=r"^the look-up of the experiment failed: too late$"):
        _experiment(replace(CALL, submit={"experiment": "e"}), Budget(left, lambda: 0.0))
    assert bounds == [seconds]


QUOTA = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "21s"}
LIMIT = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "metadata": {"quota_limit": "JobSubmissionRequestsPerMinutePerProjectPerRegion", "quota_limit_value": "60"},
}


@pytest.mark.parametrize(
    ("error", "at_least", "limit"),
    [
        ({"details": [QUOTA, LIMIT]}, 21, 60),
        ({"details": [LIMIT]}, 0, 60),
        ({}, 0, 0),
    ],
    ids=range(3),
)
def test_the_details_of_a_refusal_count(
    monkeypatch: pytest.MonkeyPatch, error: dict[str, Any], at_least: int, limit: int
) -> None:
    """How long Google asks to wait, and the quota that it names."""
    message = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded per minute"}
    wire = connected(monkeypatch, Wire(answer({"error": {**message, **error}}, 429)))
    with pytest.raises(Capacity) as raised:
        VertexCompute("p9", "us-central1").create(CALL, PLENTY)
    assert (raised.value.at_least.total_seconds(), raised.value.limit, len(wire.sent)) == (at_least, limit, 1)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"error": {}}'])
def test_a_refusal_of_another_form_is_one(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """Its status counts."""
    connected(monkeypatch, Wire(answer(body, 403)))
    with pytest.raises(Denied):
        VertexCompute("p9", "us-central1").create(CALL, PLENTY)


@pytest.mark.parametrize(("own", "kind"), [("p1", Denied), ("p9", Reject)])
def test_an_unknown_project_is_whose_it_is(monkeypatch: pytest.MonkeyPatch, own: str, kind: type[LaunchError]) -> None:
    """The author's, if the launch names another than the deployment's."""
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "CONSUMER_INVALID"}]
    error = {"code": 403, "status": "PERMISSION_DENIED", "message": "no such project", "details": details}
    connected(monkeypatch, Wire(answer({"error": error}, 403)))
    with pytest.raises(kind) as raised:
        VertexCompute(own, "us-central1").create(CALL, PLENTY)
    assert type(raised.value) is kind
    if kind is Reject:
        assert str(raised.value).startswith("spec.project: p1 cannot be used: no such project.")


def test_an_error_of_the_library_after_the_answer_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The job exists, and has a name."""
    connected(monkeypatch, Wire(answer(job())))
    really = aiplatform.CustomJob.submit

    def submit(made: Any, **named: Any) -> None:
        really(made, **named)
        raise ValueError("odd")

    monkeypatch.setattr(aiplatform.CustomJob, "submit", submit)
    assert VertexCompute("p9", "us-central1").create(CALL, PLENTY) == JOB
    logged = [vars(line)["fields"] for line in caplog.records if line.message == "vertex.error_after_create"]
    assert logged == [{"job": JOB, "error": "odd"}]


def test_a_value_that_vertex_quotes_is_in_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be the key of a variable."""
    key = "planted-key-" * 4
    env = [{"name": "WANDB_API_KEY", "value": key}]
    pool = {**CALL.constructor["worker_pool_specs"][0], "container_spec": {"image_uri": "x", "env": env}}
    call = replace(CALL, constructor={**CALL.constructor, "worker_pool_specs": [pool]})
    connected(monkeypatch, Wire(refusal(400, f"{key} is wrong")))
    with hiding(), pytest.raises(Reject) as raised:
        VertexCompute("p9", "us-central1").create(call, PLENTY)
    assert "[redacted] is wrong" in str(raised.value)


@pytest.mark.parametrize(
    ("label", "attempt"), [("2", 2), ("0", 0), ("", 0), ("two", 0), ("-1", 0), ("²", 0), ("٣", 0), (None, 0)]
)
def test_an_attempt_is_a_plain_number(monkeypatch: pytest.MonkeyPatch, label: str | None, attempt: int) -> None:
    """Else there is none: a person has changed the label."""
    labels = {} if label is None else {"launch_attempt": label}
    connected(monkeypatch, Wire(answer({"customJobs": [job(labels=labels)]})))
    found = VertexCompute("p9", "us-central1").find(PARENT, {"launch_key": "k1"})
    assert found == FoundJob(JOB, attempt)
