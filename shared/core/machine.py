"""The machines of a CustomJob in one line for people: 1×a2-highgpu-1g, 4×g2-standard-8 SPOT."""

from collections.abc import Mapping
from typing import Any

NO_ACCELERATOR = ("", "ACCELERATOR_TYPE_UNSPECIFIED")


def machines(constructor: Mapping[str, Any], submit: Mapping[str, Any]) -> str:
    """Return the machines that a CustomJob's arguments ask for; empty if they name none."""
    pools = constructor.get("worker_pool_specs") or ()
    named = [line for pool in pools if isinstance(pool, Mapping) and (line := _pool(pool))]
    strategy = submit.get("scheduling_strategy") or ""
    return " ".join([" + ".join(named), *([_plain(strategy)] if named and strategy else [])])


def _pool(pool: Mapping[str, Any]) -> str:
    spec = pool.get("machine_spec")
    if not isinstance(spec, Mapping) or not spec.get("machine_type"):
        return ""
    line = f"{pool.get('replica_count') or 1}×{spec['machine_type']}"
    accelerator, count = _plain(spec.get("accelerator_type") or ""), spec.get("accelerator_count")
    if accelerator in NO_ACCELERATOR or not count:
        return line
    return f"{line} ({count}×{accelerator})"


def _plain(value: Any) -> str:
    """Return the name of an enum of Google's, or a text as it is."""
    return str(getattr(value, "name", value))
