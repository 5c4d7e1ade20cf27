"""Worker pools: each with its own container, which gets the launch's entry point, arguments and environment."""

import re
from collections.abc import Mapping
from typing import Any

from shared.core.errors import Reject
from shared.runspec.fields import items, mapping, text, texts
from shared.runspec.key_secret import with_reader
from shared.runspec.registries import FIX, refusal

MAX_VARIABLES = 100  # of a container, says Vertex AI
MAX_POOLS = 10  # Vertex AI knows four roles of them; each gets all our variables, and all arguments

_MACRO = re.compile(r"\$\{\w+\}")
_POOL_FIX = "A pool looks like {machine_spec: {…}, replica_count: 1, container_spec: {image_uri: ${image_uri}}}."


def worker_pools(
    value: object,
    path: str,
    *,
    entry_point: list[str],
    args: list[str],
    variables: Mapping[str, str],
    before: list[str],
) -> list[dict[str, Any]]:
    """Return the pools as they go to CustomJob.

    An entry point replaces each container's `command`, args replace its `args`; where neither is given the queue's own
    stay (the agent would clear them). Of two variables of one name ours wins, for W&B's SDK depends on it. A pool after
    the first may be `{}`: by that Vertex AI lets a task be skipped, so a job may have an evaluator and no workers.

    Raises:
        Reject: no pool, one without a container, a container whose image cannot be pulled, too many pools or
            variables, or no command to put `before` in front of.
    """
    pools = items(value, path)
    if not pools:
        raise Reject(path, "is empty: Vertex AI needs at least one worker pool", _POOL_FIX)
    if len(pools) > MAX_POOLS:
        raise Reject(
            path,
            f"has {len(pools)} worker pools",
            "Say by replica_count how many machines a pool has.",
        )
    first = mapping(pools[0], f"{path}[0]")
    if str(first.get("replica_count", 1)) == "0":
        raise Reject(
            f"{path}[0].replica_count",
            "is 0",
            "The first pool is the one that leads: it needs a replica.",
        )
    return [
        {}
        if n and pool in (None, {})
        else _pool(pool, f"{path}[{n}]", entry_point, args, variables, before)
        for n, pool in enumerate(pools)
    ]


def _pool(
    value: object,
    path: str,
    entry_point: list[str],
    args: list[str],
    ours: Mapping[str, str],
    before: list[str],
) -> dict[str, Any]:
    pool = dict(mapping(value, path))
    if "python_package_spec" in pool:
        raise Reject(
            f"{path}.python_package_spec",
            "cannot be launched: W&B Launch runs containers",
            "Use container_spec.",
        )
    container = dict(mapping(pool.get("container_spec"), f"{path}.container_spec"))
    if not container:
        raise Reject(f"{path}.container_spec", "is missing", _POOL_FIX)
    _check_image(
        text(container.get("image_uri"), f"{path}.container_spec.image_uri", "").strip(), path
    )
    for name, override in (("command", entry_point), ("args", args)):
        if override:
            container[name] = override
        elif name in container:
            container[name] = texts(container[name], f"{path}.container_spec.{name}")
    users = _variables(container.get("env"), f"{path}.container_spec.env")
    both = users | dict(ours)
    if len(both) > MAX_VARIABLES:
        raise Reject(
            f"{path}.container_spec.env",
            f"has {len(users)} variables, with ours {len(both)}",
            f"Vertex AI allows {MAX_VARIABLES} in a container.",
        )
    container["env"] = [{"name": name, "value": value} for name, value in both.items()]
    pool["container_spec"] = (
        with_reader(container, before, f"{path}.container_spec") if before else container
    )
    return pool


def _check_image(image: str, path: str) -> None:
    field = f"{path}.container_spec.image_uri"
    if not image:
        raise Reject(field, "is empty", "Write ${image_uri} for the image of the launch.")
    if left := _MACRO.search(image):
        fix = "Write ${image_uri} for the image of the launch; further macros are those that LAUNCH_MACROS lists."
        raise Reject(field, f"is {image[:200]!r}, in which nothing fills in {left[0][:80]}", fix)
    if reason := refusal(image):
        raise Reject(field, f"is {image[:200]!r}, which {reason}", FIX)


def _variables(value: object, path: str) -> dict[str, str]:
    """Read `env`, a list of {name, value}; a number or a flag is taken for its text."""
    read: dict[str, str] = {}
    for number, one in enumerate(items(value, path)):
        pair = mapping(one, f"{path}[{number}]")
        name = text(pair.get("name"), f"{path}[{number}].name")
        if not name:
            raise Reject(f"{path}[{number}].name", "is empty", "A variable is {name: …, value: …}.")
        given = pair.get("value", "")
        read[name] = (
            str(given)
            if isinstance(given, int | float)
            else text(given, f"{path}[{number}].value", "")
        )
    return read
