"""W&B's key, kept out of the CustomJob: each container reads it first; what cannot be done so is refused."""

import ast
import json
from dataclasses import replace
from typing import Any

import pytest

from shared.core.errors import Reject
from shared.core.jobsource import JobSource, Kind
from shared.runspec.key_secret import reader
from shared.runspec.programs import FETCH, READ_KEY
from shared.runspec.render import render
from shared.runspec.scheduler import SchedulerDefaults, schedule_as_job
from tests.fakes import FakeQueueConfigs
from tests.unit.specs import NAMES, POOL, SITE, draft_of, environment, put, rendered, run_spec

SECRET = "projects/p/secrets/launch-wandb-api-key"
SECURED = replace(SITE, key_secret=SECRET, base_image="python:3.12")
POOLS = ("resource_args", "gcp-vertex", "spec", "worker_pool_specs")
OWN = {**POOL, "container_spec": {"image_uri": "${image_uri}", "command": ["own", "--x"], "args": ["a"]}}
BEFORE = ["python3", "-c", READ_KEY, f"{SECRET}/versions/latest"]


def containers(spec: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    """Render a spec in such a deployment; return its containers."""
    pools = rendered(spec, replace(SECURED, **changes)).constructor["worker_pool_specs"]
    return [pool["container_spec"] for pool in pools if pool]


def test_each_container_reads_the_key_before_its_own_command() -> None:
    """In every pool; its arguments stay, and of its variables nothing but the key is gone."""
    spec = put(run_spec(), POOLS, [OWN, {}, OWN])
    first, second = containers(spec)
    assert first == second
    assert (first["command"], first["args"]) == ([*BEFORE, "own", "--x"], ["a"])
    assert SITE.api_key not in json.dumps(first)
    plain = {one["name"]: one["value"] for one in first["env"]}
    with_key = environment(rendered(spec))
    assert with_key == {**plain, "WANDB_API_KEY": SITE.api_key}


def test_an_entry_point_of_the_item_is_known_too() -> None:
    """It takes the place of the queue's command, as ever."""
    [container] = containers(run_spec(overrides={"entry_point": ["python", "x.py"]}))
    assert container["command"] == [*BEFORE, "python", "x.py"]


@pytest.mark.parametrize(
    ("job", "rest"),
    [
        (JobSource("t/p/j:v0", Kind.IMAGE, ("python", "x.py"), image="img:1"), ["python", "x.py"]),
        (JobSource("t/p/j:v0", Kind.ARTIFACT, ("python", "x.py"), code="t/p/code:v0"), ["python3", "-c", FETCH]),
    ],
    ids=["image", "code"],
)
def test_a_jobs_entry_point_is_known(job: JobSource, rest: list[str]) -> None:
    """The program that fetches code needs the key, and runs after the program that reads it."""
    call = render(draft_of(run_spec(docker=None, job=job.path)), SECURED, NAMES, job)
    command = call.constructor["worker_pool_specs"][0]["container_spec"]["command"]
    assert command[: len(BEFORE) + len(rest)] == [*BEFORE, *rest]
    assert command[-1] == "x.py"


def test_a_sweeps_scheduler_reads_it_too() -> None:
    """Its entry point is in its item."""
    overrides = {"entry_point": ["wandb", "scheduler", "sw1"], "args": ["--queue", "'vertex'"]}
    spec = run_spec(
        docker=None, resource="local-process", run_id="sw1", uri="placeholder-uri-scheduler", overrides=overrides
    )
    placed = schedule_as_job(
        draft_of({**spec, "job": None}), FakeQueueConfigs(), SchedulerDefaults("img:1", "e2-standard-4")
    )
    call = render(placed, SECURED, NAMES)
    [pool] = call.constructor["worker_pool_specs"]
    assert pool["container_spec"]["command"] == [*BEFORE, "wandb", "scheduler", "sw1"]
    assert "WANDB_API_KEY" not in environment(call)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (run_spec(), "worker_pool_specs[0].container_spec.command: is missing: this deployment reads the key"),
        (put(run_spec(), POOLS, [OWN, POOL]), "worker_pool_specs[1].container_spec.command: is missing"),
        (put(run_spec(_wandb_api_key="own-key"), POOLS, [OWN]), "_wandb_api_key: is readable in the CustomJob"),
        (
            put(run_spec(), (*POOLS, 0, "container_spec", "env"), [{"name": "WANDB_API_KEY", "value": "own-key"}]),
            "container_spec.env: has WANDB_API_KEY, which is readable in the CustomJob",
        ),
    ],
    ids=["no command", "in one pool", "the item's own key", "the queue's own key"],
)
def test_a_spec_that_would_show_a_key_or_cannot_get_one_is_refused(spec: dict[str, Any], message: str) -> None:
    """With the fix, and without the key."""
    with pytest.raises(Reject) as refused:
        containers(spec)
    assert message in str(refused.value)
    assert "own-key" not in str(refused.value)


def test_a_version_may_be_named() -> None:
    """The newest is read where none is; without the setting nothing goes before a command."""
    assert reader(SECRET)[-1] == f"{SECRET}/versions/latest"
    assert reader(f"{SECRET}/versions/3")[-1] == f"{SECRET}/versions/3"
    assert reader("") == []


def test_it_needs_no_newer_python_and_no_package() -> None:
    """An image of Python 3.7 will do; nothing in the text is taken for a variable by the container's runtime."""
    tree = ast.parse(READ_KEY, feature_version=(3, 7))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"base64", "http.client", "json", "os", "sys", "time", "urllib.error", "urllib.request"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert "$(" not in READ_KEY
    assert "$$" not in READ_KEY
