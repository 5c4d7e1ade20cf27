"""Check a CustomJob against the documented forms, and its parts against each other."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from shared.core.errors import Reject
from shared.core.ports import CustomJobCall
from shared.core.shorten import quoted
from shared.runspec.forms import hardware
from shared.runspec.forms.arguments import ARGUMENTS
from shared.runspec.forms.machines import check_machine, machine_warnings
from shared.runspec.forms.pools import POOLS
from shared.runspec.forms.scheduling import check_strategy
from shared.runspec.walk import values

MAX_WORD = 131_071  # bytes of one argument or variable: Linux accepts 32 pages with the final zero
FORMS = (*ARGUMENTS, *POOLS)


def check(call: CustomJobCall, path: str) -> CustomJobCall:
    """Return the call with a warning for each value that Vertex AI documents otherwise.

    `path` is that of the part for Vertex AI.

    Raises:
        Reject: Vertex AI documents a value as invalid; names the field, the value and the fix.
    """
    document = {"spec": call.constructor, "run": call.submit}
    for form in FORMS:
        for at, value in values(document, form.path):
            form.check(value, f"{path}.{at}", call)
    pools = list(_pools(call))
    _check_pools(pools, f"{path}.spec.worker_pool_specs")
    for number, pool in pools:
        at = f"{path}.spec.worker_pool_specs[{number}]"
        check_machine(pool["machine_spec"], f"{at}.machine_spec")
        _check_words(pool.get("container_spec") or {}, f"{at}.container_spec")
    check_strategy(call, f"{path}.")
    _check_experiment(call.submit, f"{path}.run")
    _check_persistent_resource(call, path)
    warnings = list(_pool_warnings(pools))
    for number, pool in pools:
        at = f"worker_pool_specs[{number}].machine_spec"
        warnings += machine_warnings(pool["machine_spec"], at)
    return replace(call, warnings=(*call.warnings, *warnings))


def _pools(call: CustomJobCall) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the pools that are not empty, with their numbers."""
    for number, pool in enumerate(call.constructor.get("worker_pool_specs") or ()):
        if pool:
            yield number, pool


def _check_pools(pools: list[tuple[int, Mapping[str, Any]]], path: str) -> None:
    for number, pool in pools:
        count = pool.get("replica_count", 1)
        if count < 1:
            fix = "Write 1 or more, or {} for the whole pool."
            if number == 0:
                fix = "Write 1: the first pool is the primary replica."
            raise Reject(f"{path}[{number}].replica_count", f"is {count}", fix)


def _pool_warnings(pools: list[tuple[int, Mapping[str, Any]]]) -> Iterator[str]:
    """Yield a warning for replicas that no page of Google shows; none says what is refused."""
    for number, pool in pools:
        count, machine = pool.get("replica_count", 1), pool["machine_spec"]["machine_type"]
        if hardware.is_tpu(machine) and (count != 1 or len(pools) > 1):
            yield f"worker_pool_specs[{number}]: Google documents a TPU as one pool of one replica"
        elif number == 0 and count != 1:
            yield (
                f"worker_pool_specs[0].replica_count is {count}: Google documents one replica for "
                "the first pool, and other pools for further replicas"
            )


def _check_words(container: Mapping[str, Any], path: str) -> None:
    """Refuse a text with which Linux starts no program."""
    texts = {
        f"{name}[{number}]": word
        for name in ("command", "args")
        for number, word in enumerate(container.get(name) or ())
    }
    variables = container.get("env") or ()
    texts |= {f"env[{one['name']}]": f"{one['name']}={one['value']}" for one in variables}
    for at, text in texts.items():
        size = len(text.encode("utf-8", "replace"))
        if size > MAX_WORD:
            fix = "Write it to a bucket, and let the program read it."
            problem = f"has {size} bytes, and Linux starts no program with more than {MAX_WORD}"
            raise Reject(f"{path}.{at}", problem, fix)


def _check_experiment(run: Mapping[str, Any], path: str) -> None:
    if run.get("experiment_run") and not run.get("experiment"):
        fix = "Write the experiment too, or leave experiment_run out."
        raise Reject(f"{path}.experiment", "is missing beside experiment_run", fix)
    if run.get("experiment") and not run.get("service_account"):
        fix = "Write a service account: Vertex AI requires it for a job with an experiment."
        raise Reject(f"{path}.service_account", "is missing", fix)


def _check_persistent_resource(call: CustomJobCall, path: str) -> None:
    """Refuse two resources: the SDK would use that of `run` without a word."""
    name = "persistent_resource_id"
    first, second = call.constructor.get(name), call.submit.get(name)
    if first and second and first != second:
        problem = f"is {quoted(second)}, but spec.{name} is {quoted(first)}"
        raise Reject(f"{path}.run.{name}", problem, "Leave one of them out.")
