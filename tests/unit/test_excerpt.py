"""The excerpt of a failed job's log that its author reads, without keys."""

from dataclasses import replace

import pytest

from functions.status.excerpt import LENGTH, LINES, excerpt
from functions.status.reconcile import Status
from shared.core.errors import Retry
from shared.core.launch import Launch
from shared.core.ports import Job
from shared.core.redaction import remember
from tests.fakes import FakeJobLogs
from tests.unit.test_reconcile import PARENT, Scene, budget

OURS, AUTHORS, OF_THE_JOB, COMMIT = "0123456789" * 4, "of-the-author-1", "database-password", "ab12" * 10


@pytest.fixture
def scene() -> Scene:
    """Return a scene with a log beside it, in a process that knows the deployment's key."""
    remember([OURS])
    return Scene()


def status(scene: Scene, logs: FakeJobLogs) -> Status:
    """Return a status that reads this log."""
    parts = (scene.ledger, scene.vertex, scene.wandb, scene.publisher, scene.clock, scene.builds)
    return Status(*parts, parents=(PARENT,), connections=1, logs=logs)


def failed(scene: Scene, **changes: object) -> tuple[Launch, Job]:
    """Open a launch whose job has failed a good while ago, without a run."""
    launch = scene.submitted()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "exit code 1", **changes)
    scene.clock.pass_(61)
    return launch, scene.vertex.jobs[launch.entry.job_name]


def test_the_end_of_the_log_is_part_of_the_report(scene: Scene) -> None:
    """After Vertex AI's error and the link; asked for once, since the job's beginning."""
    launch, job = failed(scene)
    logs = FakeJobLogs({launch.entry.job_name: "loading\nKeyError: 'lr'"})
    status(scene, logs).run(budget(scene.clock))
    assert scene.wandb.items["item"].error.endswith("\nThe end of its log:\nloading\nKeyError: 'lr'")
    assert "exit code 1" in scene.wandb.items["item"].error
    assert logs.asked == [(launch.entry.job_name, job.created_at)]


def test_a_report_that_is_repeated_says_the_same(scene: Scene) -> None:
    """It is recorded with the reason, before the report to W&B: by then, the log may be gone or longer."""
    launch, _ = failed(scene)
    logs = FakeJobLogs({launch.entry.job_name: "out of memory"})
    scene.wandb.lose["fail_item"] = Retry("timed out")
    status(scene, logs).run(budget(scene.clock))
    first = scene.wandb.items["item"].error
    logs.logs.clear()
    status(scene, logs).run(budget(scene.clock))
    assert scene.wandb.items["item"].error == first == scene.ledger.closed[launch.key].reason
    assert "out of memory" in first
    assert len(logs.asked) == 1


def test_without_a_log_the_report_is_as_it_was(scene: Scene) -> None:
    """An empty or unreadable log adds no text, and delays nothing."""
    failed(scene)
    status(scene, FakeJobLogs()).run(budget(scene.clock))
    item = scene.wandb.items["item"]
    assert item.state == "FAILED"
    assert "log" not in item.error


def test_a_run_that_began_needs_no_excerpt(scene: Scene) -> None:
    """W&B has its output, and nothing is reported."""
    launch, _ = failed(scene)
    scene.run(launch, "failed")
    logs = FakeJobLogs({launch.entry.job_name: "out of memory"})
    status(scene, logs).run(budget(scene.clock))
    assert logs.asked == []


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (f"logging in with {OURS}", "logging in with [redacted]"),
        (f"key {AUTHORS}!", "key [redacted]!"),
        (f"connecting as {OF_THE_JOB}", "connecting as [redacted]"),
        (f"key {COMMIT}", "key [redacted]"),
        ("WANDB_API_KEY=abc DB_PASSWORD=x=y EPOCHS=3", "WANDB_API_KEY=[redacted] DB_PASSWORD=[redacted] EPOCHS=3"),
        ("Authorization: Bearer ya29.x", "Authorization: Bearer [redacted]"),
        ("git clone https://me:secret@git.example.com/a", "git clone https://[redacted]@git.example.com/a"),
        ("KeyError: 'token'", "KeyError: 'token'"),
    ],
)
def test_no_key_is_shown(scene: Scene, printed: str, shown: str) -> None:
    """The deployment's, the author's, what stands in the job's variables; and what looks like one."""
    launch, job = failed(scene, secrets=frozenset({OF_THE_JOB}))
    launch.run_spec["_wandb_api_key"] = AUTHORS
    text = excerpt(FakeJobLogs({job.name: printed}), launch, job)
    assert text == f"\nThe end of its log:\n{shown}"


def test_an_excerpt_is_short_and_cuts_no_key_in_two(scene: Scene) -> None:
    """The last lines, and of long ones the end; what is cut off was redacted before."""
    launch, job = failed(scene)
    many = "\n".join(f"line {n}" for n in range(LINES + 1))
    text = excerpt(FakeJobLogs({job.name: many}), launch, job)
    assert text.splitlines()[2:] == [f"line {n}" for n in range(1, LINES + 1)]
    long = f"{OURS}{'x' * (LENGTH - 10)}"  # a cut of the last LENGTH characters goes through the key
    text = excerpt(FakeJobLogs({job.name: long}), launch, job)
    assert OURS[-10:] not in text
    assert len(text) <= LENGTH + len("\nThe end of its log:\n")


def test_the_log_is_asked_for_where_the_launch_was_sent(scene: Scene) -> None:
    """Vertex AI names a job by its project's number; Cloud Logging is asked by the id that the launch has."""
    launch, job = failed(scene)
    numbered = replace(job, name=job.name.replace("projects/p/", "projects/123/"))
    logs = FakeJobLogs()
    excerpt(logs, launch, numbered)
    assert logs.asked == [(launch.entry.job_name, numbered.created_at)]
