"""Our two adapters of Vertex AI against a server of custom jobs: what every answer, and no answer, means."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.aiplatform_v1.types import JobState
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from deploy.local.processes import free_port
from deploy.local.servers.vertex.app import create_app
from deploy.local.servers.vertex.messages import parse_custom_job
from deploy.local.servers.vertex.shortages import Lack
from deploy.local.servers.vertex.state import VertexState
from deploy.local.serving import serving
from shared.adapters.vertex.job import DEFAULT_FLEX_START_WAIT, NO_LIMIT
from shared.adapters.vertex.jobs import VertexJobs
from shared.adapters.vertex.submit import VertexCompute, argument_names
from shared.core.errors import Capacity, Denied, LaunchError, OutcomeUnknown, Reject, Retry
from shared.core.ports import CustomJobCall, FoundJob, Job, Span
from shared.core.redaction import hiding, redacted
from shared.core.shortage import Shortage, shortage_of_job
from tests.fakes.clock import PLENTY

HERE, THERE = "projects/p/locations/us-central1", "projects/p/locations/europe-west4"
LABELS = {"launch_key": "k1", "launch_attempt": "1", "launch_agent": "ours"}
KEY = "planted-key-" * 4
POOL = {
    "machine_spec": {"machine_type": "n1-standard-4"},
    "replica_count": 1,
    "container_spec": {"image_uri": "local/x", "env": [{"name": "WANDB_API_KEY", "value": KEY}]},
}
CALL = CustomJobCall(
    "p",
    "us-central1",
    {"display_name": "x", "worker_pool_specs": [POOL], "labels": LABELS, "staging_bucket": "gs://staging"},
    {},
)


@dataclass
class Vertex:
    """A server with its state, and both adapters."""

    state: VertexState
    compute: VertexCompute
    jobs: VertexJobs

    def add(self, state: str = "JOB_STATE_RUNNING", parent: str = HERE, **labels: str) -> str:
        """Put a job in."""
        body = {
            "displayName": "x",
            "labels": {**LABELS, **labels},
            "jobSpec": {"workerPoolSpecs": [{"replicaCount": 1, "containerSpec": {"imageUri": "x"}}]},
        }
        name: str = self.state.add(parent, parse_custom_job(body), "JOB_STATE_RUNNING").name
        if state != "JOB_STATE_RUNNING":
            self.state.force(name, state, "because" if "FAILED" in state else "")
        return name

    def vertex_job(self, name: str) -> Job:
        """Get a job that is there."""
        job = self.jobs.get_job(name)
        assert job
        return job

    def listed(self, span: Span | None = None) -> list[Any]:
        """List what lives, or a span."""
        return list(self.jobs.list_jobs(HERE, span))


@pytest.fixture
def vertex() -> Iterator[Vertex]:
    """Serve, and connect."""
    state = VertexState()
    with serving(create_app(state)) as url:
        yield Vertex(state, VertexCompute("p", "us-central1", url), VertexJobs("ours", url))


def test_a_create_is_one_request_and_gives_the_name(vertex: Vertex) -> None:
    """With the labels that it is found by."""
    name = vertex.compute.create(CALL, PLENTY)
    assert vertex.state.requests == {"create": 1, "get": 0, "list": 0, "cancel": 0, "delete": 0}
    assert vertex.compute.find(HERE, LABELS) == FoundJob(name, 1)
    assert vertex.compute.find(HERE, {**LABELS, "launch_attempt": "2"}) is None
    assert vertex.compute.find(THERE, LABELS) is None


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (400, "INVALID_ARGUMENT", Reject),
        (404, "NOT_FOUND", Reject),
        (409, "ALREADY_EXISTS", Reject),
        (403, "PERMISSION_DENIED", Denied),
        (429, "RESOURCE_EXHAUSTED", Capacity),
        (500, "INTERNAL", OutcomeUnknown),
        (503, "UNAVAILABLE", OutcomeUnknown),
        (504, "DEADLINE_EXCEEDED", OutcomeUnknown),
    ],
)
def test_an_answer_to_create_has_its_class(vertex: Vertex, status: int, code: str, meaning: type[LaunchError]) -> None:
    """Only a definite refusal says that nothing was created; the text shows no key and is fit for a person."""
    vertex.state.faults.refuse_next(status, code, f"the value {KEY} is odd")
    with hiding():
        with pytest.raises(meaning) as failed:
            vertex.compute.create(CALL, PLENTY)
        assert "the value [redacted] is odd" in redacted(str(failed.value))
    assert type(failed.value) is meaning
    assert "http://" not in str(failed.value)
    assert vertex.state.jobs() == []


@pytest.mark.parametrize(
    ("lack", "shortage", "at_least", "message"),
    [
        (Lack.RATE, Shortage.RATE, 21, "Job submission requests per minute per region"),
        (Lack.AMOUNT, Shortage.AMOUNT, 0, "aiplatform.googleapis.com/custom_model_training_cpus"),
        (Lack.ZERO, Shortage.ZERO, 21, "the quota aiplatform.googleapis.com/job_submission_requests is 0"),
    ],
)
def test_why_there_is_no_capacity_is_told_apart(
    vertex: Vertex, lack: Lack, shortage: Shortage, at_least: int, message: str
) -> None:
    """By the details of Google's errors, as they come through the SDK."""
    vertex.state.shortages.begin("us-central1", "STANDARD", lack)
    with pytest.raises(Capacity, match=message) as failed:
        vertex.compute.create(CALL, PLENTY)
    assert (failed.value.shortage, failed.value.at_least) == (shortage, timedelta(seconds=at_least))
    assert vertex.state.jobs() == []
    vertex.compute.create(replace(CALL, submit={"scheduling_strategy": "SPOT"}), PLENTY)
    vertex.compute.create(replace(CALL, location="europe-west4"), PLENTY)
    vertex.state.shortages.end("us-central1", "STANDARD")
    vertex.compute.create(CALL, PLENTY)


def test_a_job_whose_machines_are_taken_away_shows_that_it_had_begun(vertex: Vertex) -> None:
    """A job that found no machines shows that it had not."""
    [found_none, lost_them] = (vertex.vertex_job(vertex.add("JOB_STATE_PENDING")) for _ in range(2))
    assert found_none.started_at is None
    vertex.state.force(lost_them.name, "JOB_STATE_RUNNING")
    vertex.state.preempt(lost_them.name)
    seen = vertex.vertex_job(lost_them.name)
    assert seen.started_at
    assert (seen.state, shortage_of_job(seen.error)) == ("JOB_STATE_FAILED", Shortage.STOCKOUT)


@pytest.mark.parametrize("worked_with", [None, 503])
def test_a_create_that_worked_without_an_answer_is_found(vertex: Vertex, worked_with: int | None) -> None:
    """The connection was cut, or a proxy answered 503 for it."""
    if worked_with:
        vertex.state.faults.refuse_next(worked_with, "UNAVAILABLE", "try again", worked=True)
    else:
        vertex.state.faults.lose_next_answers()
    with pytest.raises(OutcomeUnknown):
        vertex.compute.create(CALL, PLENTY)
    assert vertex.compute.find(HERE, LABELS) == FoundJob(vertex.state.jobs()[0].name, 1)


def test_a_credential_that_is_not_accepted_is_a_denial(vertex: Vertex) -> None:
    """401: Google's client refreshes its credentials once, which these cannot, and gives up."""
    vertex.state.faults.refuse_next(401, "UNAUTHENTICATED", "who are you?")
    with pytest.raises(Denied):
        vertex.compute.create(CALL, PLENTY)
    vertex.state.faults.refuse_next(401, "UNAUTHENTICATED", "who are you?", method="list")
    with pytest.raises(Denied):
        vertex.listed()


def test_nobody_there_is_an_unknown_outcome() -> None:
    """A connection that was refused looks like one that broke: it is looked up, which costs little."""
    nobody = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(OutcomeUnknown):
        VertexCompute("p", "us-central1", nobody).create(CALL, PLENTY)
    with pytest.raises(Retry):
        VertexCompute("p", "us-central1", nobody).find(HERE, LABELS)
    with pytest.raises(Retry):
        list(VertexJobs("ours", nobody).list_jobs(HERE))


def test_an_error_of_the_sdk_after_the_create_is_no_error(vertex: Vertex) -> None:
    """It trips over a malformed tensorboard once the job exists; the renderer refuses that, and this is the net."""
    vertex.state.behaviour.checks_forms = False
    name = vertex.compute.create(
        replace(CALL, submit={"tensorboard": "no-resource-name", "service_account": "a@p"}), PLENTY
    )
    assert [job.name for job in vertex.state.jobs()] == [name]


@pytest.mark.parametrize(
    "constructor",
    [{"worker_pool_specs": [{"replica_count": "many"}]}, {"labels": "x"}, {"worker_pool_specs": [{"no_such": 1}]}],
)
def test_a_call_that_the_sdks_constructor_refuses_was_never_sent(vertex: Vertex, constructor: dict[str, Any]) -> None:
    """Its author reads why."""
    call = replace(CALL, constructor={**CALL.constructor, **constructor})
    with pytest.raises(Reject, match="not accepted by CustomJob"):
        vertex.compute.create(call, PLENTY)
    assert vertex.state.requests["create"] == 0


def test_an_unknown_region_is_refused(vertex: Vertex) -> None:
    """The SDK has a list of them."""
    with pytest.raises(Reject):
        vertex.compute.create(replace(CALL, location="mars-north1"), PLENTY)


def test_the_names_of_the_arguments_are_the_installed_sdks() -> None:
    """Read from its signatures, so a newer one needs no change here."""
    names = argument_names()
    assert {"display_name", "worker_pool_specs", "staging_bucket"} <= names["constructor"]
    assert "sync" in names["run"] - names["submit"]
    assert {"scheduling_strategy", "max_wait_duration"} <= names["submit"]


def test_a_page_of_a_hundred_is_one_call(vertex: Vertex) -> None:
    """There is no call for a single job."""
    for number in range(250):
        vertex.add(launch_key=f"k{number}")
    assert len({job.key for job in vertex.listed()}) == 250
    assert vertex.state.requests == {"create": 0, "get": 0, "list": 3, "cancel": 0, "delete": 0}


def test_a_listing_whose_second_page_fails_says_so(vertex: Vertex) -> None:
    """The jobs of the first page are facts; the others are not known, which is not the same as gone."""
    for number in range(150):
        vertex.add(launch_key=f"k{number}")
    listing = vertex.jobs.list_jobs(HERE)
    seen = [next(listing) for _ in range(100)]
    vertex.state.faults.refuse_next(500, "INTERNAL", "not now", method="list")
    with pytest.raises(Retry, match=f"customJobs.list on {HERE}: not now"):
        next(listing)
    assert len({job.key for job in seen}) == 100


@pytest.mark.parametrize("worked", [False, True], ids=["before its effect", "after its effect"])
def test_a_cancel_without_an_answer_is_sent_again(vertex: Vertex, worked: bool) -> None:
    """Its error reaches the tick's report; the next tick repeats the cancel, also of a job that it has ended."""
    name = vertex.add()
    vertex.state.faults.refuse_next(503, "UNAVAILABLE", "not now", method="cancel", worked=worked)
    with pytest.raises(Retry, match=r"customJobs\.cancel"):
        vertex.jobs.cancel_job(name)
    vertex.jobs.cancel_job(name)
    assert vertex.vertex_job(name).state in ("JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED")


def test_only_our_own_jobs_of_a_region_are_listed(vertex: Vertex) -> None:
    """Those that live, or all that are not too old; by fields that Vertex documents for its filter."""
    living, ended, old = vertex.add(), vertex.add("JOB_STATE_FAILED"), vertex.add("JOB_STATE_SUCCEEDED")
    vertex.state.get(old).create_time = datetime.now(UTC) - timedelta(hours=2)
    vertex.add(launch_agent="theirs")
    vertex.add(parent=THERE)
    vertex.add(launch_attempt="no-number")
    assert {job.name: job.error for job in vertex.listed()} == {living: ""}
    since = datetime.now(UTC) - timedelta(hours=1)
    assert {job.name: job.error for job in vertex.listed(Span(since, ended=True))} == {living: "", ended: "because"}


@pytest.mark.parametrize("state", ["JOB_STATE_EXPIRED", "JOB_STATE_PARTIALLY_SUCCEEDED", "JOB_STATE_RUNNING"])
def test_a_job_without_a_time_of_its_end_ended_when_it_was_last_updated(vertex: Vertex, state: str) -> None:
    """Vertex AI documents end_time for three states only."""
    job = vertex.state.get(vertex.add(state))
    updated = datetime.now(UTC) - timedelta(hours=1)
    job.end_time, job.update_time = None, updated
    read = vertex.jobs.get_job(job.name)
    assert read
    assert read.updated_at == updated
    assert read.ended_at == (None if state == "JOB_STATE_RUNNING" else updated)


def test_a_listing_that_trickles_in_has_an_end() -> None:
    """A byte now and then keeps a socket's own timeout from ending it."""

    async def trickle() -> AsyncIterator[bytes]:
        for _ in range(60):
            yield b" "
            await asyncio.sleep(0.05)

    async def answer(_: Request) -> Response:
        return StreamingResponse(trickle(), media_type="application/json")

    with serving(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])) as address:
        jobs = VertexJobs("ours", address, timeout=0.5)
        compute = VertexCompute("p", "us-central1", address, find_seconds=0.5)
        for call in (
            lambda: compute.find(HERE, LABELS),
            lambda: list(jobs.list_jobs(HERE)),
            lambda: jobs.get_job(f"{HERE}/customJobs/1"),
            lambda: jobs.cancel_job(f"{HERE}/customJobs/1"),
        ):
            with pytest.raises(Retry, match="no answer within"):
                call()


@pytest.mark.parametrize("state", [*(s.name for s in JobState), "JOB_STATE_99"])
def test_every_state_is_read(vertex: Vertex, state: str) -> None:
    """Also one that the installed SDK does not know."""
    name = vertex.add(state)
    job = vertex.jobs.get_job(name)
    assert job
    assert job.state == state


def test_the_secrets_of_a_job_are_known_and_not_shown(vertex: Vertex) -> None:
    """Whatever quotes the job can leave them out; the job's own text does."""
    job = vertex.vertex_job(vertex.compute.create(CALL, PLENTY))
    assert job.secrets == {KEY}
    assert KEY not in repr(job)


def test_a_job_that_is_gone_is_none(vertex: Vertex) -> None:
    """Deleted in the console."""
    name = vertex.add()
    vertex.state.forget(name)
    assert vertex.jobs.get_job(name) is None
    vertex.jobs.cancel_job(name)


def test_a_cancel_may_be_repeated(vertex: Vertex) -> None:
    """Running, cancelled, or ended by itself meanwhile."""
    name, ended = vertex.add(), vertex.add("JOB_STATE_SUCCEEDED")
    for each in (name, name, ended):
        vertex.jobs.cancel_job(each)
    assert [vertex.state.get(each).state for each in (name, ended)] == ["JOB_STATE_CANCELLED", "JOB_STATE_SUCCEEDED"]


def test_a_refused_cancel_of_a_living_job_is_an_error(vertex: Vertex) -> None:
    """It is due again at the next tick."""
    name = vertex.add()
    vertex.state.faults.refuse_next(400, "FAILED_PRECONDITION", "not now", method="cancel")
    with pytest.raises(Retry):
        vertex.jobs.cancel_job(name)


@pytest.mark.parametrize(("status", "meaning"), [(403, Denied), (503, Retry), (429, Retry), (500, Retry)])
def test_a_failure_of_status_has_its_class(vertex: Vertex, status: int, meaning: type[LaunchError]) -> None:
    """Listing, getting and cancelling alike."""
    name = vertex.add()
    for method, call in (
        ("list", vertex.listed),
        ("get", lambda: vertex.jobs.get_job(name)),
        ("cancel", lambda: vertex.jobs.cancel_job(name)),
    ):
        vertex.state.faults.refuse_next(status, "CODE", "no", method=method)
        with pytest.raises(meaning, match=f"customJobs.{method} on projects/p"):
            call()


@pytest.mark.parametrize(
    ("scheduling", "patience"),
    [
        ({}, timedelta(0)),
        ({"strategy": "SPOT", "maxWaitDuration": "60s"}, timedelta(0)),
        ({"strategy": "FLEX_START"}, DEFAULT_FLEX_START_WAIT),
        ({"strategy": "FLEX_START", "maxWaitDuration": "3600s"}, timedelta(hours=1)),
        ({"strategy": "FLEX_START", "maxWaitDuration": "0s"}, NO_LIMIT),
    ],
)
def test_flex_start_may_wait_as_long_as_its_setting_allows(
    vertex: Vertex, scheduling: dict[str, str], patience: timedelta
) -> None:
    """So that the start timeout does not cancel a job that waits on purpose."""
    pool = {"replicaCount": 1, "containerSpec": {"imageUri": "x"}}
    body = {"displayName": "x", "labels": LABELS, "jobSpec": {"workerPoolSpecs": [pool], "scheduling": scheduling}}
    name = vertex.state.add(HERE, parse_custom_job(body)).name
    job = vertex.jobs.get_job(name)
    assert job
    assert job.max_wait == patience


@pytest.mark.parametrize(
    ("parent", "experiment", "status", "meaning"),
    [
        (THERE, "cats", None, None),
        (HERE, "cats", None, Reject),  # it is in the job's region that the experiment has to be
        (THERE, "dogs", None, Reject),
        (THERE, "a run", None, Reject),
        (THERE, "cats", (403, "PERMISSION_DENIED"), Denied),
        (THERE, "cats", (501, "UNIMPLEMENTED"), Retry),  # one that the SDK itself does not repeat
    ],
)
def test_an_experiment_is_looked_up_before_anything_is_sent(
    vertex: Vertex, parent: str, experiment: str, status: tuple[int, str] | None, meaning: type[LaunchError] | None
) -> None:
    """Where the job will be; an error at this point has created nothing."""
    store = f"{THERE}/metadataStores/default/contexts"
    vertex.state.contexts |= {f"{store}/cats": "system.Experiment", f"{store}/a run": "system.ExperimentRun"}
    if status:
        vertex.state.faults.refuse_next(*status, "no", times=9, method="get")
    call = replace(CALL, location=parent.rpartition("/")[2], submit={"experiment": experiment})
    if meaning:
        with pytest.raises(meaning, match="experiment" if meaning is not Denied else "refuses"):
            vertex.compute.create(call, PLENTY)
        assert vertex.state.requests["create"] == 0
        return
    vertex.compute.create(call, PLENTY)
    [job] = vertex.state.jobs()
    assert job.message.job_spec.experiment == f"{store}/cats"
