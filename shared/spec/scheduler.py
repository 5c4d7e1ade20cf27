"""Schedulers of sweeps: what `wandb launch-sweep` enqueues, as a small CustomJob of its own.

The agent runs one inside itself, for hours. Here it gets the machine and the image of the settings, and from its queue
what places a job: the staging bucket, the region, the account, the network.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.core.errors import Reject
from shared.core.launch import Launch
from shared.core.opening import is_scheduler, storable
from shared.core.ports import QueueConfigs
from shared.spec.environment import docker_image
from shared.spec.fields import mapping, text, texts
from shared.spec.render import RESOURCES
from shared.spec.templates import filled

OF_SPEC = ("project", "location", "staging_bucket", "labels", "encryption_spec_key_name", "service_account")
OF_RUN = ("service_account", "network", "psc_interface_config")
COMMAND = ["wandb", "scheduler"]


@dataclass(frozen=True, slots=True)
class Scheduler:
    """What the schedulers of sweeps run on, and in."""

    image: str = ""
    machine_type: str = ""


def as_job(launch: Launch, queues: QueueConfigs, scheduler: Scheduler) -> Launch:
    """Return the launch of a sweep's scheduler with an image and resource arguments; any other launch as it is.

    So is a scheduler left alone that names Vertex AI as its resource, and with it its own machine.

    Raises:
        Reject: a setting is missing, or it is no scheduler's command.
        Retry, Denied: W&B cannot be asked for the queue's configuration.
    """
    run_spec = launch.run_spec
    if not is_scheduler(run_spec) or run_spec.get("resource") in RESOURCES:
        return launch
    job, own_image = text(run_spec.get("job"), "job", ""), docker_image(run_spec)
    needed = {"LAUNCH_SCHEDULER_MACHINE (scheduler.machine_type in the launch-config)": scheduler.machine_type}
    if not (job or own_image):
        needed["LAUNCH_SCHEDULER_IMAGE (scheduler.image)"] = scheduler.image
    if missing := " and ".join(name for name, value in needed.items() if not value):
        fix = "The operator of this deployment sets it; or the sweep says resource: gcp-vertex under scheduler."
        raise Reject("uri", f"is a sweep's scheduler, which needs a job of its own, and {missing} is not set", fix)
    overrides = mapping(run_spec.get("overrides"), "overrides")
    if not job:
        overrides = _command(overrides)
    kept = _of_queue(launch, queues)
    machine, image = {"machine_type": scheduler.machine_type}, {"image_uri": "${image_uri}"}
    kept["spec"]["worker_pool_specs"] = [{"machine_spec": machine, "replica_count": 1, "container_spec": image}]
    docker = {} if job else {"docker": {"docker_image": own_image or scheduler.image}}
    changes = {"resource": RESOURCES[-1], "resource_args": {RESOURCES[-1]: kept}, "overrides": overrides, **docker}
    return replace(launch, run_spec={**run_spec, **changes})


def _command(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides with the quotes off that W&B's client writes around arguments, for a shell."""
    entry_point = texts(overrides.get("entry_point"), "overrides.entry_point")
    if entry_point[:2] != COMMAND or len(entry_point) < 3:
        raise Reject("overrides.entry_point", "is not `wandb scheduler SWEEP`", "Enqueue it with `wandb launch-sweep`.")
    return {**overrides, "args": [_bare(word) for word in texts(overrides.get("args"), "overrides.args")]}


def _bare(word: str) -> str:
    quoted = len(word) > 1 and word[0] == word[-1] and word[0] in "'\""
    return word[1:-1] if quoted else word


def _of_queue(launch: Launch, queues: QueueConfigs) -> dict[str, dict[str, Any]]:
    """Return what of the queue's configuration places a job: as W&B has put it into the item, else as it is now."""
    settings = _vertex(launch.run_spec, "resource_args")
    if not settings and launch.entry.queue_name:
        config = queues.config_of(launch.entry.queue)
        if config is not None:
            defaults = {name: one["default"] for name, one in config.template_variables.items() if "default" in one}
            settings = _vertex(filled(storable(dict(config.config), "queue"), defaults), "queue.resource_args")
    spec, run = (mapping(settings.get(name), f"resource_args.{name}") for name in ("spec", "run"))
    return {
        "spec": {name: spec[name] for name in OF_SPEC if name in spec},
        "run": {name: run[name] for name in OF_RUN if name in run},
    }


def _vertex(within: Mapping[str, Any], path: str) -> dict[str, Any]:
    arguments = mapping(within.get("resource_args"), path)
    return next((mapping(arguments[name], f"{path}.{name}") for name in RESOURCES if arguments.get(name)), {})
