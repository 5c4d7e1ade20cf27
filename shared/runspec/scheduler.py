"""Schedule a sweep's scheduler, the item of `wandb launch-sweep`, as a small CustomJob.

The agent runs a scheduler inside itself, for hours. Here the settings give it a machine and an
image, and its queue gives it a staging bucket, region, account and network.
"""

from dataclasses import dataclass
from typing import Any

from shared.core.errors import Reject
from shared.core.intake import storable
from shared.core.ports import QueueConfigs
from shared.core.scheduler import bare, check_scheduler
from shared.runspec.fields import mapping
from shared.runspec.model import RESOURCES, Draft, VertexConfig
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


@dataclass(frozen=True, slots=True)
class SchedulerDefaults:
    """The image and the machine type of sweeps' schedulers."""

    image: str = ""
    machine_type: str = ""


def schedule_as_job(draft: Draft, queues: QueueConfigs, scheduler: SchedulerDefaults) -> Draft:
    """Give a sweep's scheduler an image and a machine; any other launch stays unchanged.

    A scheduler for Vertex AI keeps the machine of its resource_args. Its own image or job wins over
    the image of the settings.

    Raises:
        Reject: a setting is missing, or the command does not schedule the item's own sweep.
        Retry, Denied: W&B does not return the queue's configuration.
    """
    spec = draft.spec
    if not spec.is_scheduler:
        return draft
    own_machine = spec.resource in RESOURCES and spec.config is not None
    own_image = bool(spec.job or spec.image)
    _check_settings(scheduler, own_machine=own_machine, own_image=own_image)
    changes: dict[str, Any] = {}
    if not spec.job:
        check_scheduler(draft.launch.run_spec, draft.launch.entry.queue)
        overrides = mapping(draft.launch.run_spec.get("overrides"), "overrides")
        changes["overrides"] = {**overrides, "args": [bare(word) for word in spec.overrides.args]}
    if not own_image:
        changes["docker"] = {"docker_image": scheduler.image}
    if not own_machine:
        kept = _of_queue(draft, queues)
        machine, image = {"machine_type": scheduler.machine_type}, {"image_uri": "${image_uri}"}
        kept["spec"]["worker_pool_specs"] = [
            {"machine_spec": machine, "replica_count": 1, "container_spec": image}
        ]
        changes["resource"] = RESOURCES[-1]
        changes["resource_args"] = {RESOURCES[-1]: kept}
    return draft.changed(**changes)


def _check_settings(scheduler: SchedulerDefaults, *, own_machine: bool, own_image: bool) -> None:
    """Refuse a scheduler that needs a setting which the operator has not set."""
    missing, written = [], []
    if not (own_machine or scheduler.machine_type):
        missing.append("LAUNCH_SCHEDULER_MACHINE (scheduler.machine_type in the launch-config)")
        written.append("resource: gcp-vertex with resource_args")
    if not (own_image or scheduler.image):
        missing.append("LAUNCH_SCHEDULER_IMAGE (scheduler.image in the launch-config)")
        written.append("docker_image")
    if missing:
        verb, them = ("are", "them") if missing[1:] else ("is", "it")
        problem = f"is a sweep's scheduler, and {' and '.join(missing)} {verb} not set"
        fix = (
            f"Ask the operator of this deployment to set {them}, "
            f"or write {' and '.join(written)} under scheduler in the sweep."
        )
        raise Reject("uri", problem, fix)


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
