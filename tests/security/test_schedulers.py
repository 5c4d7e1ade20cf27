"""Items that pretend to schedule a sweep: to cancel another's, or to run without a slot. All three doors."""

import itertools
import json
import os
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from wandb.cli import cli as wandb_cli

from deploy.local.servers.wandb.runs import Sweep
from shared.adapters.gcs import GcsLedger
from shared.core.launch import Outcome
from shared.core.message import Queue, Ticket, encode, launch_key
from shared.core.scheduler import bare, check_scheduler, is_scheduler, schedules_its_sweep
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import ITEM, RENDERED, eventarc

QUEUE = Queue(entity="team", name="vertex")
SETTINGS = {"LAUNCH_SCHEDULER_IMAGE": "local/wandb", "LAUNCH_SCHEDULER_MACHINE": "e2-standard-4"}


def scheduler(sweep: str = "own", entity: str = "team", **changes: Any) -> dict[str, Any]:
    """Return the run spec that `wandb launch-sweep` writes."""
    args = ["--queue", "'vertex'", "--project", "'vision'", "--author", "'ann'", "--image_uri", "local/x"]
    spec = {
        "uri": "placeholder-uri-scheduler",
        "resource": "local-process",
        "entity": entity,
        "project": "vision",
        "name": f"Scheduler.{sweep}",
        "run_id": sweep,
        "docker": {},
        "git": {},
        "overrides": {"args": args, "entry_point": ["wandb", "scheduler", sweep], "run_config": {"scheduler": {}}},
    }
    return {**spec, **changes}


def command(*entry_point: Any, args: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Return overrides with this command."""
    return {"overrides": {"entry_point": list(entry_point), "args": list(args)}}


def running_sweep(outside: Outside, entity: str, project: str, name: str) -> Sweep:
    """Start a sweep."""
    with outside.wandb.lock:
        outside.wandb.project(entity, project)
        return outside.wandb.runs.add_sweep(entity, project, name, "RUNNING")


VICTIM = ("wandb", "scheduler", "victim")
MACHINE: dict[str, Any] = {"resource_args": {"vertex": RENDERED}, "docker": {"docker_image": "local/x"}}
# Each names the sweep `victim`, or runs what it likes. Some are refused; the others are ordinary launches.
ATTACKS: dict[str, dict[str, Any]] = {
    "any command": scheduler("victim", **command("sh", "-c", "exit 1")),
    "a longer command": scheduler("victim", **command(*VICTIM, ";", "sh")),
    "a shorter command": scheduler("victim", **command("wandb", "scheduler")),
    "another program": scheduler("victim", **command("./wandb", "scheduler", "victim")),
    "the command of another sweep": scheduler("victim", **command("wandb", "scheduler", "own")),
    "a run id that is not its sweep's": scheduler("own", **command(*VICTIM)),
    "no command": scheduler("victim", overrides={}),
    "overrides of a wrong type": scheduler("victim", overrides=[]),
    "another entity by option": scheduler("victim", **command(*VICTIM, args=("--entity", "research"))),
    "another project by option": scheduler("victim", **command(*VICTIM, args=("--project", "'secret'"))),
    "the second of two projects": scheduler(
        "victim", **command(*VICTIM, args=("--project", "vision", "--project", "secret"))
    ),
    "a project behind a value": scheduler("victim", **command(*VICTIM, args=("--x", "--project", "secret"))),
    "another queue by option": scheduler("victim", **command(*VICTIM, args=("--queue", "'expensive'"))),
    "another sweep by option": scheduler("victim", **command(*VICTIM, args=("--sweep-id", "other"))),
    "the runs of another sweep": scheduler("victim", sweep_id="own"),
    "another entity": scheduler("victim", "research"),
    "another entity's case": scheduler("victim", "TEAM"),
    "an image of its own": scheduler("victim", docker={"docker_image": "local/evil"}),
    "an image of its own by its old name": scheduler("victim", image_uri="local/evil"),
    "a job of its own": scheduler("victim", job="team/vision/evil:v0"),
    "a machine of its own": scheduler("victim", resource="gcp-vertex", **MACHINE),
    "another resource": scheduler("victim", resource="local-container", docker={"docker_image": "local/evil"}),
    "no resource": scheduler("victim", resource=None, **MACHINE),
    "an option as its sweep": scheduler("--help", **command("wandb", "scheduler", "--help")),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_false_scheduler_takes_a_slot_and_cancels_no_sweep(outside: Outside, attack: str) -> None:
    """Whether it is refused or launched: a launch behind it waits for its slot, and every sweep goes on."""
    paths = itertools.product(("team", "TEAM", "research"), ("vision", "secret"), ("victim", "own", "other", "--help"))
    sweeps = [running_sweep(outside, *path) for path in paths]
    item = outside.wandb.push("team", "vertex", ATTACKS[attack])
    key = launch_key("wandb", item.id)
    outside.client("poll", LAUNCH_MAX_JOBS="1").post("/")
    behind = outside.wandb.push("team", "vertex", ITEM)
    outside.client("poll").post("/")
    launch = GcsLedger(os.environ["LEDGER_BUCKET"]).read(key)
    assert launch
    refused = launch.entry.outcome is Outcome.REJECTED
    assert (behind.state == "CLAIMED") == refused, "an open launch takes the only slot"
    outside.client("submit", **SETTINGS).post(**eventarc(encode(Ticket(launch_key=key))))
    for job in outside.vertex.jobs():
        outside.vertex.force(job.name, "JOB_STATE_FAILED", "exit code 1")
    for _ in range(2):
        outside.client("status", ERROR_GRACE_SECONDS="0").post("/")
    assert GcsLedger(os.environ["LEDGER_BUCKET"]).is_closed(key)
    assert {sweep.state for sweep in sweeps} == {"RUNNING"}


def test_a_true_scheduler_takes_its_own_slot_and_its_failure_ends_its_sweep(outside: Outside) -> None:
    """And no other one of the same name."""
    own, other = (running_sweep(outside, entity, "vision", "own") for entity in ("team", "research"))
    item = outside.wandb.push("team", "vertex", scheduler())
    outside.client("poll", LAUNCH_MAX_JOBS="1").post("/")
    behind = outside.wandb.push("team", "vertex", ITEM)
    outside.client("poll").post("/")
    assert (item.state, behind.state) == ("CLAIMED", "CLAIMED")
    key = launch_key("wandb", item.id)
    outside.client("submit", **SETTINGS).post(**eventarc(encode(Ticket(launch_key=key))))
    [job] = outside.vertex.jobs()
    container = job.message.job_spec.worker_pool_specs[0].container_spec
    assert (container.image_uri, list(container.command)) == ("local/wandb", ["wandb", "scheduler", "own"])
    outside.vertex.force(job.name, "JOB_STATE_FAILED", "exit code 1")
    for _ in range(2):
        outside.client("status", ERROR_GRACE_SECONDS="0").post("/")
    assert (own.state, other.state) == ("CANCELED", "RUNNING")


def test_the_author_reads_what_a_scheduler_must_be(outside: Outside) -> None:
    """The field, the value and the fix."""
    item = outside.wandb.push("team", "vertex", ATTACKS["another project by option"])
    outside.client("poll").post("/")
    outside.client("submit", **SETTINGS).post(**eventarc(encode(Ticket(launch_key=launch_key("wandb", item.id)))))
    outside.client("status").post("/")
    assert item.state == "FAILED"
    message = str(dict(item.error or {})["message"])
    assert (
        "overrides.args: has --project 'secret', not 'vision'. Enqueue the sweep with `wandb launch-sweep`." in message
    )


def test_a_launch_that_an_earlier_version_took_for_a_scheduler_cancels_nothing() -> None:
    """Status checks the command in its record again, as submit has changed it: quotes, image and machine."""
    recorded = scheduler("victim", resource="gcp-vertex", docker={"docker_image": "local/wandb"})
    assert schedules_its_sweep({**recorded, **command(*VICTIM, args=("--project", "vision"))}, QUEUE)
    assert not schedules_its_sweep({**recorded, **command("sh", "-c", "exit 1")}, QUEUE)
    assert not schedules_its_sweep({**recorded, "entity": "research"}, QUEUE)


@pytest.mark.parametrize("value", [None, 5, [], {}, "x", [["wandb"]], {"a": 1}, True])
@pytest.mark.parametrize("field", sorted([*scheduler(), "job", "image_uri", "sweep_id"]))
def test_a_field_of_any_type_is_no_failure_of_poll(field: str, value: Any) -> None:
    """It decides only which slot the launch takes."""
    spec = scheduler(**{field: value})
    assert is_scheduler(spec, QUEUE) in (True, False)
    json.dumps(spec)


def test_the_usual_item_passes() -> None:
    """With the quotes of W&B's client, and a project in another case."""
    check_scheduler(scheduler(), QUEUE)
    check_scheduler(scheduler(**command("wandb", "scheduler", "own", args=("--project", "Vision"))), QUEUE)


@pytest.mark.parametrize("name", ["My Cats", "Bob's", '"a" b', 'it\'s "x"', "a\\b", "猫 1.0", "e\u0301"])
def test_a_name_survives_the_quotes_of_wandbs_client(name: str) -> None:
    """Those of Python's repr, with its escapes."""
    spec = scheduler(project=name, **command("wandb", "scheduler", "own", args=("--project", repr(name))))
    check_scheduler(spec, QUEUE)
    assert bare(repr(name)) == name


WORDS = st.sampled_from(
    ["--project", "--entity", "--queue", "--sweep_id", "--sweep-id", "--Project", "--project=secret", "--x", "-p", "--",
     "vision", "'vision'", "secret", "team", "research", "vertex", "Vertex", "own", "victim", "'--project'", "'", ""]
)  # fmt: skip


@given(st.lists(WORDS, max_size=7))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wandbs_own_command_reads_nothing_else(monkeypatch: pytest.MonkeyPatch, args: list[str]) -> None:
    """The `wandb scheduler` of the installed package is the judge of the arguments that pass."""
    spec = scheduler(**command("wandb", "scheduler", "own", args=tuple(args)))
    read: list[dict[str, Any]] = []
    fake = SimpleNamespace(start=lambda: None)
    monkeypatch.setattr("wandb.sdk.launch.api.LaunchApi", lambda: None)
    monkeypatch.setattr(
        "wandb.sdk.launch.sweeps.load_scheduler",
        lambda **_: lambda _, **given: read.append(given) or fake,  # type: ignore[func-returns-value]
    )
    CliRunner().invoke(wandb_cli.scheduler, ["own", *map(bare, args)])
    event(f"starts: {bool(read)}, passes: {schedules_its_sweep(spec, QUEUE)}")
    if read and schedules_its_sweep(spec, QUEUE):
        own = {"sweep_id": "own", "entity": "team", "project": "vision", "queue": "vertex"}
        assert {name: str(value) for name, value in read[0].items() if name in own}.items() <= own.items()
