"""When a create leaves the process, and when it does not: the budget, the library's own refusals, Google's words."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from deploy.local.servers.vertex.errors import ApiError
from deploy.local.servers.vertex.faults import Fault
from shared.adapters.vertex.submit import VertexCompute
from shared.core.budget import Budget
from shared.core.errors import Denied, LaunchError, OutcomeUnknown, OutOfTime, Reject, Retry
from shared.core.ports import FoundJob
from tests.contract.test_vertex_adapters import CALL, HERE, LABELS, Vertex, vertex
from tests.fakes.clock import PLENTY

__all__ = ["vertex"]


def spent(seconds: float) -> tuple[Budget, Callable[[float], None]]:
    """Return a budget, and what lets time pass."""
    now = [0.0]

    def pass_(passed: float) -> None:
        now[0] += passed

    return Budget(seconds, lambda: now[0]), pass_


def test_a_budget_that_is_spent_sends_nothing(vertex: Vertex) -> None:
    """However late it is noticed."""
    budget, pass_ = spent(10)
    pass_(11)
    with pytest.raises(OutOfTime):
        vertex.compute.create(CALL, budget)
    assert vertex.state.requests["create"] == 0


def test_time_that_passes_before_the_bytes_leave_is_noticed(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as while a token is refreshed: the budget is asked after that, and the refresh is not the create."""
    budget, pass_ = spent(10)
    monkeypatch.setattr(AnonymousCredentials, "before_request", lambda *_: pass_(11))
    with pytest.raises(OutOfTime):
        vertex.compute.create(CALL, budget)
    assert vertex.state.requests["create"] == 0


def test_a_slow_token_leaves_time_for_a_create(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent once."""
    budget, pass_ = spent(10)
    monkeypatch.setattr(AnonymousCredentials, "before_request", lambda *_: pass_(9))
    assert vertex.compute.create(CALL, budget) == vertex.state.jobs()[0].name
    assert vertex.state.requests["create"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"project": "projects/p"},
        {"project": "p/locations/us-central1"},
        {"location": "us-central1-a"},
        {"submit": {"timeout": "an hour"}},
        {"submit": {"timeout": 10**401}},
        {"submit": {"restart_job_on_worker_restart": "yes"}},
        {"submit": {"no_such_argument": 1}},
        {"submit": {"scheduling_strategy": "NO_SUCH"}},
        {"submit": {"service_account": 3}},
    ],
    ids=str,
)
def test_a_refusal_of_the_library_before_sending_is_the_authors(vertex: Vertex, changes: dict[str, Any]) -> None:
    """Whatever it raises: nothing was sent, so nothing has to be looked up."""
    with pytest.raises(Reject):
        vertex.compute.create(replace(CALL, **changes), PLENTY)
    assert vertex.state.jobs() == []


@pytest.mark.parametrize("parent", ["", "p", "projects/p", f"{HERE}/customJobs/1", "projects/p/locations/", "a/b/c/d"])
def test_a_look_up_in_no_place_is_refused(vertex: Vertex, parent: str) -> None:
    """It never raises anything that is not one of our errors."""
    with pytest.raises(Reject) as refused:
        vertex.compute.find(parent, LABELS)
    assert str(refused.value) == f"spec: {parent!r} is not a location. Write projects/PROJECT/locations/REGION."


@pytest.mark.parametrize("location", ["mars-north1", "us-central1-a", "global"])
def test_a_look_up_in_a_region_that_the_library_does_not_know_fails_as_any_other(vertex: Vertex, location: str) -> None:
    """It can be repeated, a bounded number of times."""
    try:
        assert vertex.compute.find(f"projects/p/locations/{location}", LABELS) is None
    except LaunchError as exc:
        assert isinstance(exc, Retry)  # noqa: PT017 - both are right


def test_the_newest_job_of_a_launch_is_found_by_its_key_alone(vertex: Vertex) -> None:
    """With the attempt that made it; a job of another launch is not."""
    assert vertex.compute.find(HERE, {"launch_key": "k1"}) is None
    vertex.add(launch_attempt="1")
    newest = vertex.add(launch_attempt="2")
    vertex.add(launch_key="k2", launch_attempt="3")
    assert vertex.compute.find(HERE, {"launch_key": "k1"}) == FoundJob(newest, 2)


def test_a_job_with_an_odd_attempt_is_found_all_the_same(vertex: Vertex) -> None:
    """A person has changed its label."""
    name = vertex.add(launch_attempt="two")
    assert vertex.compute.find(HERE, {"launch_key": "k1"}) == FoundJob(name, 0)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (ApiError(400, "INVALID_ARGUMENT", "You do not have permission to act as service_account: t@p."), Denied),
        (ApiError(400, "FAILED_PRECONDITION", "Service agents are being provisioned. Please try again."), Retry),
        (ApiError(409, "ABORTED", "Conflict."), Retry),
        (ApiError(409, "ALREADY_EXISTS", "Conflict."), Reject),
        (ApiError(412, "FAILED_PRECONDITION", "odd"), Reject),
        (ApiError(408, "", "timeout"), OutcomeUnknown),
        (ApiError(499, "CANCELLED", "cancelled"), OutcomeUnknown),
    ],
    ids=lambda one: str(one.args[0]) if isinstance(one, ApiError) else "",
)
def test_the_status_in_the_body_of_an_error_counts(vertex: Vertex, error: ApiError, meaning: type[LaunchError]) -> None:
    """Google's client library drops it."""
    vertex.state.faults.refuse_next(error.http_status, error.code, error.message)
    with pytest.raises(meaning) as failed:
        vertex.compute.create(CALL, PLENTY)
    assert type(failed.value) is meaning
    assert vertex.state.jobs() == []


@pytest.mark.parametrize(("project", "meaning"), [("p", Denied), ("other", Reject)])
def test_a_project_that_google_does_not_know_is_whose_it_is(
    vertex: Vertex, project: str, meaning: type[LaunchError]
) -> None:
    """The author's, if the spec names it; else the operators'."""
    reason = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "CONSUMER_INVALID"}]
    error = ApiError(403, "PERMISSION_DENIED", "Permission denied on resource project.", reason)

    def refused(method: str) -> Fault | None:
        return Fault(error, worked=False) if method == "create" else None

    vertex.state.faults.take = refused  # type: ignore[method-assign]
    with pytest.raises(meaning):
        vertex.compute.create(replace(CALL, project=project), PLENTY)


@contextmanager
def silent() -> Iterator[str]:
    """Accept connections, and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_create_is_bounded_whatever_the_author_asks_for() -> None:
    """The lease is longer than its budget and this bound, so a longer one is not taken."""
    call = replace(CALL, submit={"create_request_timeout": 1e6})
    with silent() as url, pytest.raises(OutcomeUnknown):
        VertexCompute("p", "us-central1", url, create_seconds=1).create(call, PLENTY)


def test_an_experiment_that_does_not_answer_is_not_waited_for_beyond_the_budget() -> None:
    """The library's own look-ups have no timeout; nothing was sent."""
    call = replace(CALL, submit={"experiment": "cats"})
    with silent() as url, pytest.raises(Retry, match="experiment failed: no answer within"):
        VertexCompute("p", "us-central1", url).create(call, Budget(1))
