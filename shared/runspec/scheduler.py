"""Schedulers of sweeps: what `wandb launch-sweep` enqueues, as a small CustomJob of its own.

The agent runs one inside itself, for hours. Here it gets the machine and the image of the settings, and from its queue
what places a job: the staging bucket, the region, the account, the network.
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
    """What the schedulers of sweeps run on, and in."""

    image: str = ""
    machine_type: str = ""


def schedule_as_job(draft: Draft, queues: QueueConfigs, scheduler: SchedulerDefaults) -> Draft:
    """Give a sweep's scheduler an image and resource arguments; leave any other launch as it is.

    So is a scheduler left alone that names Vertex AI as its resource, and with it its own machine.

    Raises:
        Reject: a setting is missing, or it is no scheduler's command.
        Retry, Denied: W&B cannot be asked for the queue's configuration.
    """
    spec = draft.spec
    if not spec.is_scheduler or spec.resource in RESOURCES:
        return draft
    needed = {
        "LAUNCH_SCHEDULER_MACHINE (scheduler.machine_type in the launch-config)": scheduler.machine_type
    }
    if not (spec.job or spec.image):
        needed["LAUNCH_SCHEDULER_IMAGE (scheduler.image)"] = scheduler.image
    if missing := " and ".join(name for name, value in needed.items() if not value):
        fix = "The operator of this deployment sets it; or the sweep says resource: gcp-vertex under scheduler."
        raise Reject(
            "uri",
            f"is a sweep's scheduler, which needs a job of its own, and {missing} is not set",
            fix,
        )
    overrides = mapping(draft.launch.run_spec.get("overrides"), "overrides")
    if not spec.job:
        overrides = _command(spec, overrides)
    kept = _of_queue(draft, queues)
    machine, image = {"machine_type": scheduler.machine_type}, {"image_uri": "${image_uri}"}
    kept["spec"]["worker_pool_specs"] = [
        {"machine_spec": machine, "replica_count": 1, "container_spec": image}
    ]
    docker: dict[str, Any] = (
        {} if spec.job else {"docker": {"docker_image": spec.image or scheduler.image}}
    )
    return draft.changed(
        resource=RESOURCES[-1], resource_args={RESOURCES[-1]: kept}, overrides=overrides, **docker
    )


def _command(spec: RunSpec, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides without the quotes that W&B's client writes around arguments, for a shell."""
    entry_point = spec.overrides.entry_point
    if entry_point[:2] != COMMAND or len(entry_point) < 3:
        raise Reject(
            "overrides.entry_point",
            "is not `wandb scheduler SWEEP`",
            "Enqueue it with `wandb launch-sweep`.",
        )
    return {**overrides, "args": [_bare(word) for word in spec.overrides.args]}


def _bare(word: str) -> str:
    quoted = len(word) > 1 and word[0] == word[-1] and word[0] in "'\""
    return word[1:-1] if quoted else word


def _of_queue(draft: Draft, queues: QueueConfigs) -> dict[str, dict[str, Any]]:
    """Return what of the queue's configuration places a job: as W&B put it into the item, else as it is now."""
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
