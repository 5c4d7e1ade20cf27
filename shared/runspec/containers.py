"""Worker pools: the container of each gets the launch's entry point, arguments and environment."""

import re
from collections.abc import Mapping
from typing import Any

from shared.core.errors import Reject
from shared.core.shorten import quoted, shown
from shared.runspec.fields import image, items, mapping, one_word, text, texts
from shared.runspec.forms.machines import check_generation
from shared.runspec.key_secret import KEY, with_reader
from shared.runspec.macros import unknown_macro
from shared.runspec.registries import FIX, refusal
from shared.runspec.words import as_variable, as_variables

MAX_VARIABLES = 100  # of a container: Vertex AI's limit
MAX_POOLS = 4  # primary, workers, parameter servers, evaluator

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_POOL_FIX = (
    "Write a pool as {machine_spec: {…}, replica_count: 1, "
    "container_spec: {image_uri: ${image_uri}}}."
)
_POOLS_FIX = "Write worker_pool_specs as a list, one object for each pool. " + _POOL_FIX


def worker_pools(
    value: object,
    path: str,
    *,
    entry_point: list[str],
    args: list[str],
    variables: Mapping[str, str],
    before: list[str],
) -> list[dict[str, Any]]:
    """Return the pools as arguments of CustomJob.

    An entry point replaces each container's `command`, args replace its `args`. Without them the
    queue's own stay (the agent clears them). If the queue sets one of our variables, ours wins:
    W&B's SDK depends on it. A pool after the first may be `{}`: Vertex AI skips its task, so a job
    can have an evaluator without workers. `before` precedes each command.

    Raises:
        Reject: no pool; a pool without a container; an image that Vertex AI cannot pull; too many
            pools or variables; no command for `before`.
    """
    pools = items(value, path, _POOLS_FIX)
    if not pools:
        raise Reject(path, "is empty: Vertex AI needs at least one worker pool", _POOL_FIX)
    if len(pools) > MAX_POOLS:
        fix = "Vertex AI has four roles. Use replica_count for the number of machines of a pool."
        raise Reject(path, f"has {len(pools)} worker pools", fix)
    read = []
    for number, pool in enumerate(pools):
        skipped = number > 0 and pool in (None, {})
        at = f"{path}[{number}]"
        read.append({} if skipped else _pool(pool, at, entry_point, args, variables, before))
    return read


def replaced(pools: object, path: str, ours: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable of the pools whose value ours replaces."""
    names: set[str] = set()
    for number, pool in enumerate(items(pools, path)):
        at = f"{path}[{number}].container_spec"
        container = mapping(mapping(pool, f"{path}[{number}]").get("container_spec"), at)
        users = _variables(container.get("env"), f"{at}.env")
        names |= {name for name, value in users.items() if ours.get(name, value) != value}
    return [f"the variable {name} is W&B's; its value was replaced" for name in sorted(names)]


def _pool(
    value: object,
    path: str,
    entry_point: list[str],
    args: list[str],
    ours: Mapping[str, str],
    before: list[str],
) -> dict[str, Any]:
    pool = dict(mapping(value, path, _POOL_FIX))
    if "python_package_spec" in pool:
        problem = "cannot be launched: W&B Launch runs containers"
        raise Reject(f"{path}.python_package_spec", problem, "Use container_spec.")
    container = dict(mapping(pool.get("container_spec"), f"{path}.container_spec"))
    if not container:
        raise Reject(f"{path}.container_spec", "is missing", _POOL_FIX)
    check_generation(pool.get("machine_spec"), f"{path}.machine_spec")
    _check_image(container.get("image_uri"), f"{path}.container_spec.image_uri")
    for name, override in (("command", entry_point), ("args", args)):
        if override:
            container[name] = override
        elif name in container:
            container[name] = texts(container[name], f"{path}.container_spec.{name}")
    users = _variables(container.get("env"), f"{path}.container_spec.env")
    # Vertex AI expands $(NAME) by earlier variables: ours see none of the users', and none the key
    both = {name: value for name, value in ours.items() if name != KEY}
    both |= {name: value for name, value in users.items() if name not in ours}
    both |= {KEY: ours[KEY]} if KEY in ours else {}
    if len(both) > MAX_VARIABLES:
        problem = f"has {len(users)} variables, {len(both)} with those of W&B"
        fix = f"Remove some: Vertex AI accepts {MAX_VARIABLES} in a container."
        raise Reject(f"{path}.container_spec.env", problem, fix)
    container["env"] = [{"name": name, "value": value} for name, value in both.items()]
    if before:
        container = with_reader(container, before, f"{path}.container_spec")
    pool["container_spec"] = container
    if pool.get("replica_count") is None:
        pool["replica_count"] = 1  # the SDK would send 0, which Vertex AI refuses
    return pool


def _check_image(value: object, path: str) -> None:
    written = text(value, path, "")
    if not written.strip():
        raise Reject(path, "is empty", "Write ${image_uri} for the image of the launch.")
    if left := unknown_macro(written):
        problem = f"is {quoted(written, 200)}, in which {shown(left)} is not a known macro"
        fix = (
            "Write ${image_uri} for the image of the launch. "
            "LAUNCH_MACROS lists the macros that this deployment adds."
        )
        raise Reject(path, problem, fix)
    if reason := refusal(image(written, path)):
        raise Reject(path, f"is {quoted(written, 200)}, which {reason}", FIX)


def _variables(value: object, path: str) -> dict[str, str]:
    """Return `env`, a list of {name, value}, as a mapping; numbers and flags become text."""
    read: dict[str, str] = {}
    for number, one in enumerate(items(value, path, as_variables(value))):
        at = f"{path}[{number}]"
        pair = mapping(one, at, as_variable(one))
        name = text(pair.get("name"), f"{at}.name")
        if not _VARIABLE.fullmatch(name):
            problem = f"is {quoted(name)}, which Vertex AI does not accept" if name else "is empty"
            fix = "Write a variable as {name: …, value: …}, the name with letters, digits and _."
            raise Reject(f"{at}.name", problem, fix)
        given = pair.get("value")
        written = "" if given is None else one_word(given, f"{at}.value")
        if read.get(name, written) != written:
            problem = f"is {quoted(name)}, which an earlier variable has with another value"
            raise Reject(f"{at}.name", problem, "Remove one of them.")
        read[name] = written
    return read
