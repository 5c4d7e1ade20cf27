"""Schedule a sweep's scheduler, the item of `wandb launch-sweep`, as a small CustomJob.

The agent runs a scheduler inside itself, for hours. Here the settings give it a machine and an
image, and its queue gives it a staging bucket, region, account and network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.core.errors import Reject
from shared.core.intake import storable
from shared.core.ports import QueueConfigs
from shared.runspec.fields import mapping
from shared.runspec.model import RESOURCES, Draft, RunSpec, VertexConfig
from shared.runspec.templates import filled

OF_SPEC = (
    "project",
    "location",
    "staging_bucket",
    "labels",
    "encryption_spec_key_name",
    "service_account",
)
OF_RUN = ("service_account", "network", "psc_interface_config")
COMMAND = ["wandb", "scheduler"]


@dataclass(frozen=True, slots=True)
class SchedulerDefaults:
    """The image and the machine type of sweeps' schedulers."""

    image: str = ""
    machine_type: str = ""


def schedule_as_job(draft: Draft, queues: QueueConfigs, scheduler: SchedulerDefaults) -> Draft:
    """Give a sweep's scheduler an image and resource_args; any other launch stays unchanged.

    A scheduler whose resource is Vertex AI stays unchanged too: it names its own machine.

    Raises:
        Reject: a setting is missing, or the item has no scheduler's command.
        Retry, Denied: W&B does not return the queue's configuration.
    """
    spec = draft.spec
    if not spec.is_scheduler or spec.resource in RESOURCES:
        return draft
    missing = []
    if not scheduler.machine_type:
        missing.append("LAUNCH_SCHEDULER_MACHINE (scheduler.machine_type in the launch-config)")
    if not (spec.job or spec.image or scheduler.image):
        missing.append("LAUNCH_SCHEDULER_IMAGE (scheduler.image)")
    if missing:
        problem = f"is a sweep's scheduler, and {' and '.join(missing)} is not set"
        fix = (
            "Ask the operator of this deployment to set it, "
            "or write resource: gcp-vertex under scheduler in the sweep."
        )
        raise Reject("uri", problem, fix)
    overrides = mapping(draft.launch.run_spec.get("overrides"), "overrides")
    if not spec.job:
        overrides = _command(spec, overrides)
    kept = _of_queue(draft, queues)
    machine, image = {"machine_type": scheduler.machine_type}, {"image_uri": "${image_uri}"}
    kept["spec"]["worker_pool_specs"] = [
        {"machine_spec": machine, "replica_count": 1, "container_spec": image}
    ]
    changes: dict[str, Any] = {
        "resource": RESOURCES[-1],
        "resource_args": {RESOURCES[-1]: kept},
        "overrides": overrides,
    }
    if not spec.job:
        changes["docker"] = {"docker_image": spec.image or scheduler.image}
    return draft.changed(**changes)


def _command(spec: RunSpec, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides without the shell quotes that W&B's client puts around arguments."""
    entry_point = spec.overrides.entry_point
    if entry_point[:2] != COMMAND or len(entry_point) < 3:
        fix = "Enqueue the sweep with `wandb launch-sweep`."
        raise Reject("overrides.entry_point", "is not `wandb scheduler SWEEP`", fix)
    return {**overrides, "args": [_bare(word) for word in spec.overrides.args]}


def _bare(word: str) -> str:
    quoted = len(word) > 1 and word[0] == word[-1] and word[0] in "'\""
    return word[1:-1] if quoted else word


def _of_queue(draft: Draft, queues: QueueConfigs) -> dict[str, dict[str, Any]]:
    """Return the arguments that place a job, from the item or else from the queue."""
    given, entry = draft.spec.config, draft.launch.entry
    if given is None and entry.queue_name and (queue := queues.config_of(entry.queue)):
        defaults = {
            name: one["default"]
            for name, one in queue.template_variables.items()
            if "default" in one
        }
        arguments = filled(storable(dict(queue.config), "queue"), defaults).get("resource_args")
        given = VertexConfig.parse(arguments, "queue.resource_args")
    if given is None:
        return {"spec": {}, "run": {}}
    return {
        "spec": {name: given.spec[name] for name in OF_SPEC if name in given.spec},
        "run": {name: given.run[name] for name in OF_RUN if name in given.run},
    }
