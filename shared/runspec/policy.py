"""Admit a launch: compare it with the operator's limits, `policy` in the launch-config.

They apply to W&B queue items and to other systems' requests. The check reads the finished
CustomJob, so a macro or an override cannot avoid it. A fuzzer compares it with the SDK's message.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.config.policy import AdmissionPolicy
from shared.core.errors import Reject
from shared.core.image import Image
from shared.core.launch import RunPath
from shared.core.ports import CustomJobCall
from shared.core.shorten import quoted
from shared.runspec import limits
from shared.runspec.walk import values

POOL = "spec.worker_pool_specs[]"
REPLICAS = f"{POOL}.replica_count"  # of which `max_replicas` limits the sum
VARIABLES = f"{POOL}.container_spec.env[].name"
BASE_IMAGE = "the base image"
_SHOWN = 200  # characters of a value that a refusal quotes


def admit(call: CustomJobCall, run: RunPath, policy: AdmissionPolicy) -> None:
    """Check a call, and the W&B run that it starts, against the policy.

    Raises:
        Reject: naming the rule, the field, the value, and the allowed values.
    """
    document = _document(call, run)
    for rule in RULES:
        limit = getattr(policy, rule.name)
        if limit is None:
            continue
        for field in rule.fields:
            for path, found in values(document, field):
                value = rule.read(found, path)
                if field == VARIABLES and value in call.own_variables:
                    continue
                if value is not None and not rule.allows(value, limit):
                    problem = f"is {_shown(value)}"
                    allowed = rule.allowed.format(_shown(limit)) if limit != () else "none"
                    raise _refusal(rule.name, path, problem, allowed)
    _check_replicas(policy.max_replicas, document)


def example_image(policy: AdmissionPolicy, image: str) -> str:
    """Return an image that stands for any allowed one: this image, in the first allowed place."""
    if not policy.images:
        return image
    first = policy.images[0].rstrip("/")
    prefix = Image.prefix(first)
    return first if prefix.tag or prefix.digest else f"{first}/{image.rpartition('/')[2]}"


def example_run(policy: AdmissionPolicy, entity: str) -> dict[str, str]:
    """Return a W&B entity and project that stand for any allowed ones, if possible this entity."""
    allowed = policy.wandb_entities or (entity,)
    entity = entity if entity in allowed else allowed[0]
    projects = [each.split("/", 1) for each in policy.wandb_projects or ()]
    matching = [each for each in projects if each[0] == entity] or projects
    entity, project = next(iter(matching), [entity, "uncategorized"])
    return {"entity": entity, "project": project}


def _document(call: CustomJobCall, run: RunPath) -> dict[str, Any]:
    """Return all that a policy reads, at the paths at which an author writes it."""
    place = {"project": call.project, "location": call.location}
    return {
        "spec": {**call.constructor, **place},
        "run": dict(call.submit),
        BASE_IMAGE: call.recipe.base_image if call.recipe else "",
        "entity": run.entity,
        "project": f"{run.entity}/{run.project.lower()}",
    }


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the policy: the fields that it limits, and how it reads and compares a value."""

    name: str
    fields: tuple[str, ...]
    allows: Callable[[Any, Any], bool] = limits.is_listed
    read: Callable[[object, str], Any] = limits.optional
    allowed: str = "{}"


RULES = (
    Rule("service_accounts", ("run.service_account",)),
    Rule("projects", ("spec.project",), read=limits.required),
    Rule(
        "projects",
        (
            "spec.encryption_spec_key_name",
            "spec.persistent_resource_id",
            f"{POOL}.machine_spec.reservation_affinity.values[]",
            f"{POOL}.lustre_mounts[].volume_handle",
            "run.service_account",
            "run.network",
            "run.tensorboard",
            "run.experiment",
            "run.experiment_run",
            "run.persistent_resource_id",
            "run.psc_interface_config.network_attachment",
        ),
        limits.is_of_project,
        allowed="resource names projects/PROJECT/… of {}",
    ),
    Rule("projects", ("run.psc_interface_config.dns_peering_configs[].target_project",)),
    Rule("regions", ("spec.location",), read=limits.required),
    Rule("wandb_entities", ("entity",), read=limits.required),
    Rule("wandb_projects", ("project",), read=limits.required),
    Rule("machine_types", (f"{POOL}.machine_spec.machine_type",), read=limits.required),
    Rule("accelerator_types", (f"{POOL}.machine_spec.accelerator_type",), read=limits.accelerator),
    Rule("tpu_topologies", (f"{POOL}.machine_spec.tpu_topology",)),
    Rule("boot_disk_types", (f"{POOL}.disk_spec.boot_disk_type",)),
    Rule(
        "max_boot_disk_gb",
        (f"{POOL}.disk_spec.boot_disk_size_gb",),
        limits.is_at_most,
        limits.gigabytes,
        "at most {}",
    ),
    Rule("nfs_mounts", (f"{POOL}.nfs_mounts[]",), read=limits.joined("server", "path")),
    Rule(
        "lustre_mounts",
        (f"{POOL}.lustre_mounts[]",),
        read=limits.joined("instance_ip", "filesystem", "volume_handle"),
    ),
    Rule(
        "environment_variables",
        (VARIABLES,),
        limits.matches,
        allowed="names that match {}",
    ),
    Rule(
        "buckets",
        ("spec.staging_bucket", "spec.base_output_dir"),
        limits.is_inside,
        limits.required,
    ),
    Rule("enable_web_access", ("run.enable_web_access",), limits.may_be_on, limits.flag),
    Rule(
        "images",
        (f"{POOL}.container_spec.image_uri",),
        limits.begins_with,
        limits.required,
        "images that begin with {}",
    ),
    Rule("images", (BASE_IMAGE,), limits.begins_with, allowed="images that begin with {}"),
)


def _check_replicas(most: int | None, document: Mapping[str, Any]) -> None:
    """Check the sum of all pools' replicas; a pool without a count has one."""
    if most is None:
        return
    total = sum(limits.replicas(value, path) for path, value in values(document, REPLICAS))
    if total > most:
        problem = f"asks for {total} replicas in all"
        raise _refusal("max_replicas", POOL.removesuffix("[]"), problem, f"at most {most}")


def _shown(value: object) -> str:
    """Return a value or a limit for people."""
    if isinstance(value, tuple):
        return ", ".join(value)
    return quoted(value, _SHOWN) if isinstance(value, str) else str(value).lower()


def _refusal(rule: str, path: str, problem: str, allowed: str) -> Reject:
    fix = f"Allowed: {allowed}. To change policy.{rule}, ask the operator of this deployment."
    return Reject(path, f"{problem}, which the rule policy.{rule} does not allow", fix)
