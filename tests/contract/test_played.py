"""The jobs that the stand-in of Vertex AI plays itself: what W&B sees of them, and how they end."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deploy.local.servers.vertex.messages import parse_custom_job
from deploy.local.servers.vertex.runner import Runner
from deploy.local.servers.vertex.state import Job, VertexState
from deploy.local.servers.wandb.app import create_app
from deploy.local.servers.wandb.state import State
from deploy.local.serving import serving
from tests.waiting import eventually

Play = Callable[..., tuple[VertexState, Job]]


@pytest.fixture
def wandb() -> State:
    """Return the stand-in of W&B that the jobs tell."""
    return State()


@pytest.fixture
def play(wandb: State, tmp_path: Path) -> Iterator[Play]:
    """Return a function that creates a job with this part."""
    with serving(create_app(wandb)) as url, closing(Runner(tmp_path, tmp_path / "jobs", 0.02)) as runner:
        state = VertexState(runner.start)

        def create(**part: Any) -> tuple[VertexState, Job]:
            variables = {"WANDB_BASE_URL": url, "WANDB_API_KEY": "k", "WANDB_ENTITY": "team", "WANDB_PROJECT": "cats"}
            variables |= {
                "WANDB_RUN_ID": "run",
                "WANDB_NAME": "shown",
                "WANDB_CONFIG": json.dumps({"seconds": 0.01} | part),
            }
            env = [{"name": name, "value": value} for name, value in variables.items()]
            container = {"imageUri": "local/played:latest", "env": env}
            machine = {"machineType": "n1-standard-4"}
            pools = [{"replicaCount": 1, "machineSpec": machine, "containerSpec": container}]
            message = parse_custom_job({"displayName": "job", "jobSpec": {"workerPoolSpecs": pools}})
            return state, state.create("projects/p/locations/us-central1", message)

        yield create


def over(job: Job) -> str:
    """Wait until a job has ended; return its state."""
    eventually(lambda: job.end_time, "the job is over")
    return job.state.removeprefix("JOB_STATE_")


@pytest.mark.parametrize(
    ("part", "job_state", "run_states"),
    [
        ({}, "SUCCEEDED", ["finished"]),
        ({"exit_code": 3}, "FAILED", ["failed"]),
        ({"init": False}, "SUCCEEDED", []),
        ({"preempted": True}, "FAILED", ["preempted"]),
        ({"unheard_of": 1}, "FAILED", []),
    ],
)
def test_a_part_is_played(
    wandb: State, play: Play, part: dict[str, Any], job_state: str, run_states: list[str]
) -> None:
    """To its end, without a process."""
    _, job = play(**part)
    assert over(job) == job_state
    assert [run.state for run in wandb.runs.all()] == run_states
    assert [run.display_name for run in wandb.runs.all()] == ["shown"] * len(run_states)


def test_its_exit_code_is_in_the_error(play: Play) -> None:
    """As of a container."""
    _, job = play(exit_code=3)
    over(job)
    assert "non-zero status of 3" in job.error


def test_an_endless_one_ends_when_it_is_cancelled(wandb: State, play: Play) -> None:
    """W&B shows the run as killed if stop was pressed."""
    state, job = play(endless=True)
    [run] = eventually(wandb.runs.all, "the run begins")
    wandb.runs.stop(run.id)
    state.cancel(job.name)
    assert over(job) == "CANCELLED"
    assert run.state == "killed"


def test_a_preempted_run_goes_on_in_the_next_job(wandb: State, play: Play) -> None:
    """It loses its machine once."""
    over(play(preempted=True)[1])
    assert over(play(preempted=True)[1]) == "SUCCEEDED"
    assert [run.state for run in wandb.runs.all()] == ["finished"]


def test_machines_are_taken_away_and_w_and_b_sees_a_failed_run(play: Play, wandb: State) -> None:
    """Vertex AI alone says why; the next job goes on with the run."""
    _, first = play(stockout=True)
    assert over(first) == "FAILED"
    assert "Resources are insufficient" in first.error
    assert [run.state for run in wandb.runs.all()] == ["failed"]
    _, second = play(stockout=True)
    assert over(second) == "SUCCEEDED"


def test_an_attempt_that_breaks_has_no_run(play: Play, wandb: State) -> None:
    """Its container never ran; the next attempt does."""
    _, first = play(internal=True)
    assert over(first) == "FAILED"
    assert (first.error, len(wandb.runs.all())) == ("Internal error occurred for the current attempt.", 0)
    _, second = play(internal=True)
    assert over(second) == "SUCCEEDED"


def test_a_scheduler_waits_for_the_end_of_its_sweep(play: Play, wandb: State) -> None:
    """Its sweep has its run's id."""
    wandb.project("team", "cats")
    sweep = wandb.runs.add_sweep("team", "cats", "run", "RUNNING")
    _, job = play(schedules=True)
    eventually(lambda: wandb.requests["Sweep"] > 1 or job.end_time, "it looks at its sweep")
    assert job.end_time is None
    sweep.state = "FINISHED"
    assert over(job) == "SUCCEEDED"
