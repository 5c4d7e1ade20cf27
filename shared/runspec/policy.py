"""What a launch may ask for: the limits that the operator writes under `policy` in the launch-config.

They hold for every launch, be it an item of a W&B queue or another system's request. What is checked is the CustomJob
that would be created, so it does not matter where in a run spec, or by which macro or override, something is asked for.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.config.policy import AdmissionPolicy
from shared.core.errors import Reject
from shared.core.ports import CustomJobCall
from shared.runspec.fields import mapping, text, wrong

_NO_ACCELERATOR = ("", "ACCELERATOR_TYPE_UNSPECIFIED")
_SHOWN = 200  # characters of a value that a refusal quotes
_POOLS = "spec.worker_pool_specs"


def allowed(call: CustomJobCall, policy: AdmissionPolicy) -> CustomJobCall:
    """Return the call as it is.

    Raises:
        Reject: it asks for more than the policy allows; names the rule, the field, the value, and what is allowed.
    """
    account = text(call.submit.get("service_account"), "run.service_account", "")
    _among(
        "service_accounts",
        policy.service_accounts,
        {"run.service_account": account} if account else {},
    )
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
    base = (
        {"the base image": call.recipe.base_image} if call.recipe and call.recipe.base_image else {}
    )
    _check_images(policy.images, _named(containers, "image_uri", none=()) | base)
    _check_replicas(policy.max_replicas, pools)
    return call


def example_image(policy: AdmissionPolicy, image: str) -> str:
    """Return an image that stands for any that a launch may bring along: this one, in a place that is allowed."""
    return f"{policy.images[0].rstrip('/')}/{image.rpartition('/')[2]}" if policy.images else image


def _pools(call: CustomJobCall) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pools that are not skipped, with their paths."""
    for number, pool in enumerate(call.constructor["worker_pool_specs"]):
        path = f"{_POOLS}[{number}]"
        if pool:
            yield path, mapping(pool, path)


def _named(
    parts: Mapping[str, Mapping[str, Any]], name: str, none: tuple[str, ...]
) -> dict[str, str]:
    """Return one field of each part, by its path, where it asks for something."""
    values = {
        f"{path}.{name}": text(part.get(name), f"{path}.{name}", "") for path, part in parts.items()
    }
    return {path: value for path, value in values.items() if value not in none}


def _among(rule: str, allows: tuple[str, ...] | None, asked: Mapping[str, str]) -> None:
    for path, value in asked.items():
        if allows is not None and value not in allows:
            raise _refusal(
                rule, path, f"is {value[:_SHOWN]!r}", f"Allowed are: {', '.join(allows) or 'none'}."
            )


def _check_images(prefixes: tuple[str, ...] | None, asked: Mapping[str, str]) -> None:
    for path, image in asked.items():
        if prefixes is not None and not any(_begins(image, prefix) for prefix in prefixes):
            places = ", ".join(prefixes)
            raise _refusal(
                "images",
                path,
                f"is {image[:_SHOWN]!r}",
                f"Allowed are images that begin with: {places}.",
            )


def _begins(image: str, prefix: str) -> bool:
    """Tell whether an image is what a prefix names: whole parts of a path, so that …/team does not allow …/team-b."""
    whole = _in_full(image)
    if ".." in whole.split("/"):
        return False
    prefix = prefix.rstrip("/")
    return whole == prefix or whole.startswith((f"{prefix}/", f"{prefix}:", f"{prefix}@"))


def _in_full(image: str) -> str:
    """Return an image with its registry, as Docker reads it: python:3 is docker.io/library/python:3."""
    first, slash, rest = image.strip().partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return f"{first}/{rest}"
    return f"docker.io/{first}/{rest}" if slash else f"docker.io/library/{first}"


def _check_replicas(most: int | None, pools: Mapping[str, Mapping[str, Any]]) -> None:
    """Add up what all pools ask for; a pool that does not say counts as one."""
    if most is None:
        return
    total = sum(
        _replicas(pool.get("replica_count", 1), f"{path}.replica_count")
        for path, pool in pools.items()
    )
    if total > most:
        raise _refusal(
            "max_replicas",
            _POOLS,
            f"asks for {total} replicas in all",
            f"Allowed are {most} at the most.",
        )


def _replicas(value: object, path: str) -> int:
    count = 1 if value is None else value
    if isinstance(count, str) and count.strip().isdecimal():
        count = int(count)
    if (
        isinstance(count, bool)
        or not isinstance(count, int | float)
        or count < 0
        or count != int(count)
    ):
        raise wrong(path, "a whole number", value)
    return int(count)


def _refusal(rule: str, path: str, problem: str, allows: str) -> Reject:
    whoever = f"Ask for that, or ask whoever runs this deployment to change policy.{rule} in its launch-config."
    return Reject(
        path, f"{problem}, which the rule policy.{rule} does not allow", f"{allows} {whoever}"
    )
