"""Admit a launch: compare it with the operator's limits, `policy` in the launch-config.

They apply to W&B queue items and to other systems' requests. The check reads the finished
CustomJob, so a macro or an override cannot avoid it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.config.policy import AdmissionPolicy
from shared.core.errors import Reject
from shared.core.ports import CustomJobCall
from shared.core.shorten import quoted
from shared.runspec.fields import mapping, text, wrong

_NO_ACCELERATOR = ("", "ACCELERATOR_TYPE_UNSPECIFIED")
_SHOWN = 200  # characters of a value that a refusal quotes
_POOLS = "spec.worker_pool_specs"


def admit(call: CustomJobCall, policy: AdmissionPolicy) -> None:
    """Check a call against the policy.

    Raises:
        Reject: naming the rule, the field, the value, and the allowed values.
    """
    account = text(call.submit.get("service_account"), "run.service_account", "")
    if account:
        _among("service_accounts", policy.service_accounts, {"run.service_account": account})
    _among("projects", policy.projects, {"spec.project": call.project})
    _among("regions", policy.regions, {"spec.location": call.location})
    pools = dict(_pools(call))
    machines = {
        f"{path}.machine_spec": mapping(pool.get("machine_spec"), path)
        for path, pool in pools.items()
    }
    _among("machine_types", policy.machine_types, _named(machines, "machine_type", none=("",)))
    _among(
        "accelerator_types",
        policy.accelerator_types,
        _named(machines, "accelerator_type", none=_NO_ACCELERATOR),
    )
    containers = {
        f"{path}.container_spec": mapping(pool.get("container_spec"), path)
        for path, pool in pools.items()
    }
    images = _named(containers, "image_uri", none=())
    if call.recipe and call.recipe.base_image:
        images["the base image"] = call.recipe.base_image
    _check_images(policy.images, images)
    _check_replicas(policy.max_replicas, pools)


def example_image(policy: AdmissionPolicy, image: str) -> str:
    """Return an image that stands for any allowed one: this image, in the first allowed place."""
    if not policy.images:
        return image
    return f"{policy.images[0].rstrip('/')}/{image.rpartition('/')[2]}"


def _pools(call: CustomJobCall) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pools that are not empty, with their paths."""
    for number, pool in enumerate(call.constructor["worker_pool_specs"]):
        path = f"{_POOLS}[{number}]"
        if pool:
            yield path, mapping(pool, path)


def _named(
    parts: Mapping[str, Mapping[str, Any]], name: str, none: tuple[str, ...]
) -> dict[str, str]:
    """Return one field of each part, by its path, if it is set."""
    values = {
        f"{path}.{name}": text(part.get(name), f"{path}.{name}", "") for path, part in parts.items()
    }
    return {path: value for path, value in values.items() if value not in none}


def _among(rule: str, allows: tuple[str, ...] | None, asked: Mapping[str, str]) -> None:
    for path, value in asked.items():
        if allows is not None and value not in allows:
            allowed = f"Allowed: {', '.join(allows) or 'none'}."
            raise _refusal(rule, path, f"is {quoted(value, _SHOWN)}", allowed)


def _check_images(prefixes: tuple[str, ...] | None, asked: Mapping[str, str]) -> None:
    for path, image in asked.items():
        if prefixes is not None and not any(_begins(image, prefix) for prefix in prefixes):
            allowed = f"Allowed: images that begin with {', '.join(prefixes)}."
            if not prefixes:
                allowed = "Allowed: none."
            raise _refusal("images", path, f"is {quoted(image, _SHOWN)}", allowed)


def _begins(image: str, prefix: str) -> bool:
    """Tell whether a prefix covers an image by whole parts: …/team does not cover …/team-b."""
    whole = _in_full(image)
    if ".." in whole.split("/"):
        return False
    prefix = prefix.rstrip("/")
    return whole == prefix or whole.startswith((f"{prefix}/", f"{prefix}:", f"{prefix}@"))


def _in_full(image: str) -> str:
    """Return an image with its registry, as Docker reads it: docker.io/library/python:3."""
    first, slash, rest = image.strip().partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return f"{first}/{rest}"
    return f"docker.io/{first}/{rest}" if slash else f"docker.io/library/{first}"


def _check_replicas(most: int | None, pools: Mapping[str, Mapping[str, Any]]) -> None:
    """Check the sum of all pools' replicas; a pool without a count has one."""
    if most is None:
        return
    total = sum(
        _replicas(pool.get("replica_count", 1), f"{path}.replica_count")
        for path, pool in pools.items()
    )
    if total > most:
        problem = f"asks for {total} replicas in all"
        raise _refusal("max_replicas", _POOLS, problem, f"Allowed: at most {most}.")


def _replicas(value: object, path: str) -> int:
    count = 1 if value is None else value
    if isinstance(count, str) and count.strip().isdecimal():
        count = int(count)
    if isinstance(count, bool) or not isinstance(count, int | float):
        raise wrong(path, "a whole number", value)
    if count < 0 or count != int(count):
        raise wrong(path, "a whole number", value)
    return int(count)


def _refusal(rule: str, path: str, problem: str, allowed: str) -> Reject:
    fix = f"{allowed} To change policy.{rule}, ask the operator of this deployment."
    return Reject(path, f"{problem}, which the rule policy.{rule} does not allow", fix)
