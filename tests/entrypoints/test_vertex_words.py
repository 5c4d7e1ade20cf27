"""Answers and states of Vertex AI, in the worse reading, through the functions' entry points."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.local.servers.vertex.refusals import REFUSALS, job_error
from deploy.local.servers.vertex.state import Job
from deploy.local.servers.wandb.queues import Item
from deploy.local.stack import DEFAULT_CONFIG
from shared.core.message import Ticket, encode
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import ITEM, eventarc, polled

ENTITY, PROJECT = "team", "cats"
OWN = job_error("own-failure")


@pytest.fixture
def launch(outside: Outside, capsys: pytest.CaptureFixture[str]) -> "Launch":
    """Return one item that poll has taken."""
    item = outside.wandb.push("team", "vertex", ITEM)
    outside.client("poll").post("/")
    return Launch(outside, item, polled(capsys))


class Launch:
    """One launch, and the calls that move it on."""

    def __init__(self, outside: Outside, item: Item, key: str) -> None:
        self.outside, self.item, self.key = outside, item, key

    def submit(self, **settings: str) -> int:
        """Deliver its ticket; return the status."""
        served = self.outside.client("submit", FIRST_RETRY_SECONDS="0.01", **settings)
        return int(served.post(**eventarc(encode(Ticket(launch_key=self.key)))).status_code)

    def status(self, **settings: str) -> dict[str, Any]:
        """Make a tick of status; return its answer."""
        answer: dict[str, Any] = self.outside.client("status", **settings).post("/").json
        return answer

    @property
    def job(self) -> Job:
        """Return its only CustomJob."""
        [job] = self.outside.vertex.jobs()
        return job

    def runs(self) -> Job:
        """Submit it, and let its container and its run begin."""
        assert self.submit() == 200
        self.outside.vertex.force(self.job.name, "JOB_STATE_RUNNING")
        name = next(
            variable.value
            for variable in self.job.message.job_spec.worker_pool_specs[0].container_spec.env
            if variable.name == "WANDB_RUN_ID"
        )
        self.outside.wandb.upsert_run(ENTITY, PROJECT, name, {"state": "running"})
        return self.job

    def was_created(self, ago: timedelta) -> None:
        """Make its job older."""
        self.job.create_time = datetime.now(UTC) - ago
        self.job.update_time = self.job.create_time


@pytest.mark.parametrize("name", sorted(name for name, one in REFUSALS.items() if one.passing))
def test_a_refusal_that_may_pass_fails_nothing(launch: Launch, name: str) -> None:
    """Whatever its code is: the launch is open, its item is not FAILED, and no job was made; 4xx are definite."""
    launch.outside.vertex.faults.refuse_next_as(name)
    assert launch.submit() == 200
    assert launch.outside.vertex.jobs() == []
    assert launch.status()["open_launches"] == 1
    assert launch.item.state != "FAILED"


def test_a_quota_of_zero_is_read_by_the_author(launch: Launch) -> None:
    """No waiting helps."""
    launch.outside.vertex.faults.refuse_next_as("quota-zero")
    assert launch.submit() == 200
    launch.status()
    assert launch.item.state == "FAILED"
    assert "NVIDIA_T4_GPUS" in str(launch.item.error)


def test_a_project_that_the_spec_names_wrongly_is_read_by_the_author(
    outside: Outside, capsys: pytest.CaptureFixture[str]
) -> None:
    """Google answers 403 CONSUMER_INVALID: no operator can grant anything there."""
    outside.vertex.behaviour.projects = ("p",)
    given = DEFAULT_CONFIG["resource_args"]["gcp-vertex"]
    spec = {**given["spec"], "project": "another-project"}
    item = outside.wandb.push("team", "vertex", {**ITEM, "resource_args": {"gcp-vertex": {**given, "spec": spec}}})
    outside.client("poll").post("/")
    launch = Launch(outside, item, polled(capsys))
    assert launch.submit() == 200
    launch.status()
    assert launch.item.state == "FAILED"
    assert "another-project" in str(launch.item.error)


def test_a_failed_job_is_judged_when_its_error_is_there(launch: Launch) -> None:
    """Not before: without it nobody knows whose fault it was."""
    launch.submit()
    launch.outside.vertex.behaviour.error_seconds = 3600
    launch.outside.vertex.force(launch.job.name, "JOB_STATE_FAILED", OWN)
    assert launch.status()["open_launches"] == 1
    assert launch.item.state != "FAILED"
    launch.outside.vertex.behaviour.error_seconds = 0
    launch.status()
    assert launch.item.state == "FAILED"
    assert "exited with a non-zero status of 1" in str(launch.item.error)


@pytest.mark.parametrize("name", ["internal", "region-insufficient", "stockout", "pool-exhausted", "out-of-capacity"])
def test_a_job_that_vertex_could_not_start_is_tried_again(launch: Launch, name: str) -> None:
    """Its author has no part in that: the launch stays open for another attempt."""
    launch.submit()
    launch.outside.vertex.force(launch.job.name, "JOB_STATE_FAILED", job_error(name))
    launch.status()
    assert launch.item.state != "FAILED"
    assert launch.status()["open_launches"] == 1


def test_a_stockout_after_the_start_outranks_what_w_and_b_says(launch: Launch) -> None:
    """W&B shows a failed run, as of a script that SIGTERM ended; the run goes on in another job."""
    job = launch.runs()
    [run] = launch.outside.wandb.runs.all()
    run.state = "failed"
    launch.outside.vertex.preempt(job.name)
    launch.status()
    assert launch.status()["open_launches"] == 1
    assert launch.item.state != "FAILED"


@pytest.mark.parametrize("state", ["QUEUED"])
def test_a_job_that_waits_for_quota_is_left_alone(launch: Launch, state: str) -> None:
    """For any length of time."""
    launch.submit()
    launch.outside.vertex.force(launch.job.name, f"JOB_STATE_{state}")
    launch.was_created(timedelta(days=1))
    assert launch.status(WANDB_LAUNCH_START_TIMEOUT="60")["open_launches"] == 1
    assert launch.job.state == f"JOB_STATE_{state}"
    assert launch.item.state != "FAILED"


@pytest.mark.parametrize("state", ["EXPIRED", "PARTIALLY_SUCCEEDED"])
def test_an_end_without_end_time_ends_the_launch_all_the_same(launch: Launch, state: str) -> None:
    """By update_time; a job that ended long ago has no grace any more."""
    launch.runs()
    [run] = launch.outside.wandb.runs.all()
    run.state = "finished"
    launch.outside.vertex.force(launch.job.name, f"JOB_STATE_{state}")
    assert launch.job.end_time is None
    launch.job.update_time = datetime.now(UTC) - timedelta(hours=1)
    launch.status()
    assert launch.status()["open_launches"] == 0
    assert len(launch.outside.vertex.jobs()) == 1


def test_a_create_that_is_not_listed_yet_is_not_made_again(launch: Launch) -> None:
    """Its answer was lost, and the listing lags: one look-up is not enough."""
    vertex = launch.outside.vertex
    vertex.faults.lose_next_answers()
    vertex.behaviour.list_seconds = 3600
    settings = {"SUBMIT_SETTLE_SECONDS": "0.1"}
    for _ in range(3):
        launch.submit(**settings)
    assert len(vertex.jobs()) == 1
    vertex.behaviour.list_seconds = 0
    launch.submit(**settings)
    assert len(vertex.jobs()) == 1


def test_a_create_that_takes_effect_late_is_found(launch: Launch) -> None:
    """503 after its effect: the second delivery finds the job by its label."""
    vertex = launch.outside.vertex
    vertex.faults.refuse_next(503, "UNAVAILABLE", "try again", worked=True)
    for _ in range(2):
        launch.submit(SUBMIT_SETTLE_SECONDS="0.001")
    assert len(vertex.jobs()) == 1
    assert launch.status()["open_launches"] == 1
