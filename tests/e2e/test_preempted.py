"""Runs whose machines are taken away, on the embedded stack: each goes on as the same run, in another job."""

import json
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.runner import Runner
from deploy.local.servers.vertex.state import Job, VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.runs import Run
from deploy.local.servers.wandb.state import State
from deploy.local.stack import ENTITY, QUEUE, Stack
from shared.core.message import launch_key
from tests.e2e.test_capacity import on_spot
from tests.e2e.test_crashes import SPEC, ledger, stack
from tests.waiting import eventually

IMAGES = Path("deploy/local/images").resolve()
SDK_NOTICES = """
import pathlib, sys, wandb
run = wandb.init()
if not run.resumed:
    run.mark_preempting()
    run.finish(exit_code=1)
    sys.exit(1)
run.log({"went_on": 1})
run.finish()
"""
VERTEX_NOTICES = """
import time, wandb
print("begins", flush=True)
run = wandb.init()
if not run.resumed:
    time.sleep(600)
run.finish()
"""


@dataclass
class Ended:
    """A launch that is closed: its item, its only run, and its jobs, oldest first."""

    item: Any
    run: Run
    jobs: list[Job]
    seen: dict[str, Any]  # by operators: the JSON of commands


def commands(running: Stack, key: str) -> dict[str, Any]:
    """Return what the commands about a launch print, each in a process of its own with the stack's settings."""
    run_id = key[1:13]
    asked = {"ls": ["ls", "--since=1h"], "show": ["show", key[:10]], "logs": ["logs", run_id], "top": ["top"]}
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-m", "deploy", *words, "--json"], env=running.function_environ(), stdout=subprocess.PIPE
        )
        for name, words in asked.items()
    }
    return {name: json.loads(process.communicate(timeout=60)[0]) for name, process in processes.items()}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """Launch both on one stack, take the machines of the second away, and wait until both are closed."""
    folder = tmp_path_factory.mktemp("preempted")
    with closing(Runner(IMAGES, folder / "jobs", pending_seconds=0.1)) as runner:
        wandb, vertex = State(), VertexState(runner.start)

        def runs(key: str) -> list[Run]:
            return [run for run in wandb.runs.by_id.values() if run.name == key[1:13]]

        def jobs(key: str) -> list[Job]:
            return [job for job in vertex.jobs()[::-1] if job.labels["launch_key"] == key]

        with stack(folder, wandb_app(wandb), vertex_app(vertex)) as running:
            overrides = {"entry_point": ["python", "-c", SDK_NOTICES]}
            standard = {**SPEC, "docker": {"docker_image": "local/noinit"}, "overrides": overrides}
            specs = {SDK_NOTICES: standard, VERTEX_NOTICES: on_spot(VERTEX_NOTICES)}
            items = {script: wandb.push(ENTITY, QUEUE, spec) for script, spec in specs.items()}
            keys = {script: launch_key("wandb", item.id) for script, item in items.items()}
            taken = keys[VERTEX_NOTICES]
            eventually(lambda: [run.state for run in runs(taken)] == ["running"], "the second run begins")
            vertex.preempt(jobs(taken)[0].name)
            eventually(lambda: len(ledger(running, "closed/")) == len(items), "both launches are closed", 90)
            seen = {script: commands(running, key) for script, key in keys.items()}
    found = {}
    for script, key in keys.items():
        [run] = runs(key)
        found[script] = Ended(items[script], run, jobs(key), seen[script])
    return found


def test_a_preempted_run_goes_on_in_another_job(ended: dict[str, Ended]) -> None:
    """Two jobs of one launch and one run, which ends well; the item gets a warning and does not fail."""
    launch = ended[SDK_NOTICES]
    first, second = launch.jobs
    assert (first.state, second.state) == ("JOB_STATE_FAILED", "JOB_STATE_SUCCEEDED")
    assert (first.labels["launch_attempt"], second.labels["launch_attempt"]) == ("1", "2")
    assert (launch.run.state, launch.run.name) == ("finished", first.labels["wandb-run-id"])
    assert launch.item.state == "CLAIMED"


def test_a_run_whose_machines_are_taken_away_goes_on(ended: dict[str, Ended]) -> None:
    """W&B has not noticed: Vertex AI says so."""
    launch = ended[VERTEX_NOTICES]
    assert (launch.run.state, len(launch.jobs), launch.item.state) == ("finished", 2, "CLAIMED")
    assert "Preempted; launched again (1 of 5 times)" in str(launch.item.warning)


def test_operators_see_all_of_it(ended: dict[str, Ended]) -> None:
    """In the list, in the story of the launch, in its log of both attempts, and in the fleet at a glance."""
    launch = ended[VERTEX_NOTICES]
    key = launch.jobs[0].labels["launch_key"]
    [listed] = [each for each in launch.seen["ls"]["launches"] if each["launch_key"] == key]
    assert (listed["state"], listed["preempted"], listed["tries"]) == ("succeeded", 1, 2)
    assert listed["machine"] == "1×n1-standard-4 SPOT"
    assert listed["ended_at"] >= listed["started_at"] >= listed["opened_at"]
    steps = [step["step"] for step in launch.seen["show"]["steps"]]
    assert steps == ["queued", "submitted", "running", "preempted", "submitted", "running", "ended"]
    printed = [(line["origin"], line["text"]) for line in launch.seen["logs"]]
    assert [line for line in printed if line[1] == "begins"] == [("try 1", "begins"), ("try 2", "begins")]
    assert ("try 2", "wandb: Resuming run one") in printed
    assert launch.seen["show"]["run_url"].endswith(f"/{launch.run.name}")
    [queue] = [each for each in launch.seen["top"]["queues"] if each["queue"] == QUEUE]
    assert (queue["open"], launch.seen["top"]["slots"]["max_jobs"]["limit"]) == (0, 8)
