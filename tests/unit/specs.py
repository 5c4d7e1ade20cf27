"""Run specs for the tests: the plain one, and ways to change a part of it."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from shared.core.errors import Reject
from shared.core.intake import from_item
from shared.core.launch import Launch
from shared.core.message import Queue
from shared.core.ports import CustomJobCall
from shared.runspec.model import Draft
from shared.runspec.render import ArgumentNames, DeploymentDefaults, render

SITE = DeploymentDefaults(
    "https://api.wandb.ai", "k" * 40, "gcp-project", "us-central1", macros={"TEAM_BUCKET": "gs://team"}
)
NAMES = ArgumentNames(
    constructor=frozenset(
        [
            "display_name",
            "worker_pool_specs",
            "base_output_dir",
            "project",
            "location",
            "credentials",
            "labels",
            "encryption_spec_key_name",
            "staging_bucket",
            "persistent_resource_id",
        ]
    ),
    run=frozenset(
        ["service_account", "network", "timeout", "restart_job_on_worker_restart", "tensorboard", "sync", "experiment"]
    ),
    submit=frozenset(
        [
            "service_account",
            "network",
            "timeout",
            "restart_job_on_worker_restart",
            "enable_web_access",
            "tensorboard",
            "max_wait_duration",
            "experiment",
        ]
    ),
)
POOL = {
    "machine_spec": {
        "machine_type": "n1-standard-4",
        "accelerator_type": "ACCELERATOR_TYPE_UNSPECIFIED",
        "accelerator_count": 0,
    },
    "replica_count": 1,
    "container_spec": {"image_uri": "${image_uri}"},
}
PAGE_DEFAULT = {
    "spec": {"worker_pool_specs": [POOL], "staging_bucket": ""},
    "run": {"restart_job_on_worker_restart": False},
}
"""The configuration that W&B's page fills in for a new Vertex queue."""


def run_spec(settings: dict[str, Any] | None = None, /, **changes: Any) -> dict[str, Any]:
    """Return a run spec of a docker image on a well configured queue, with these parts changed."""
    vertex: dict[str, Any] = copy.deepcopy(PAGE_DEFAULT)
    vertex["spec"]["staging_bucket"] = "gs://staging"
    spec = {
        "entity": "team",
        "project": "Cats",
        "docker": {"docker_image": "us-docker.pkg.dev/p/r/train:1"},
        "resource": "gcp-vertex",
        "resource_args": {"gcp-vertex": vertex if settings is None else settings},
    }
    return {**spec, **changes}


def put(spec: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy of a spec with one part replaced."""
    if not path:
        return value
    copied = copy.copy(spec)
    head, *rest = path
    if isinstance(copied, list):
        copied[head] = put(copied[head], tuple(rest), value)
    else:
        copied[head] = put(copied.get(head, {}), tuple(rest), value)
    return copied


def launch_of(spec: dict[str, Any], item: str = "item-1") -> Launch:
    """Return the launch of an item with this spec on a queue of its entity, at its first attempt."""
    entity = spec.get("entity")
    queue = Queue(entity=entity if isinstance(entity, str) and entity else "team", name="vertex")
    return from_item(item, queue, spec, datetime(2026, 1, 1, tzinfo=UTC))


def draft_of(spec: dict[str, Any], item: str = "item-1") -> Draft:
    """Return the same launch with its run spec parsed."""
    return Draft.of(launch_of(spec, item))


def rendered(spec: dict[str, Any], site: DeploymentDefaults = SITE) -> CustomJobCall:
    """Render a spec."""
    return render(draft_of(spec), site, NAMES)


def refusal(act: Callable[..., object], *given: Any) -> str:
    """Return the refusal of a call; empty without one."""
    try:
        act(*given)
    except Reject as exc:
        return str(exc)
    return ""


def environment(call: CustomJobCall, pool: int = 0) -> dict[str, str]:
    """Return the variables of one pool's container."""
    env = call.constructor["worker_pool_specs"][pool]["container_spec"]["env"]
    return {one["name"]: one["value"] for one in env}
