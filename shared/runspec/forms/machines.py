"""Check a pool's machine: its type, its accelerators and its topology fit together."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from shared.core.errors import Reject
from shared.core.shorten import quoted
from shared.runspec.forms import hardware
from shared.runspec.forms.pools import RESERVATION_KEY

_CORES = "Write 8, or a multiple of 32 for a pod."
_UNSPECIFIED = "ACCELERATOR_TYPE_UNSPECIFIED"


def accelerator_of(machine_spec: Mapping[str, Any]) -> str:
    """Return the accelerator type of a machine; empty without one."""
    named = str(machine_spec.get("accelerator_type") or "")
    return "" if named == _UNSPECIFIED else named


def check_machine(spec: Mapping[str, Any], path: str) -> None:
    """Refuse a machine that Vertex AI documents as impossible. Raises Reject."""
    machine = spec["machine_type"]
    _check_type(machine, f"{path}.machine_type")
    _check_pair(spec, machine, path)
    if hardware.is_tpu(machine):
        _check_tpu(spec, machine, path)
    else:
        _check_gpu(spec, machine, path)
    _check_reservation(spec.get("reservation_affinity") or {}, f"{path}.reservation_affinity")


def check_generation(machine_spec: object, path: str) -> None:
    """Refuse a TPU generation as an accelerator type, which the SDK's enum does not know."""
    if not isinstance(machine_spec, dict):
        return
    named = str(machine_spec.get("accelerator_type"))
    known = re.fullmatch(r"tpu[-_ ]v(2|3|5[-_ ]litepod)", named.strip().lower())
    machine = "" if known else hardware.tpu_machine(named)
    if machine in hardware.TOPOLOGIES:
        problem = f"is {quoted(named)}, but this TPU is a machine type"
        raise Reject(f"{path}.accelerator_type", problem, _as_machine(machine))


def machine_warnings(spec: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield what Vertex AI documents otherwise, and may still accept."""
    machine, gpu = spec["machine_type"], accelerator_of(spec)
    if gpu == hardware.K80:
        yield f"{path}.accelerator_type is {gpu}, which Google no longer supports"
    if (only := hardware.included(machine)) and not gpu:
        yield (
            f"{path} names no accelerator: Vertex AI documents {machine} with "
            f"accelerator_type: {only[0]} and accelerator_count: {only[1]}"
        )
    if machine in hardware.TOPOLOGIES and not spec.get("tpu_topology"):
        yield f"{path} names no tpu_topology: Vertex AI documents {machine} with one"


def _check_type(machine: str, path: str) -> None:
    if meant := hardware.tpu_machine(machine):
        beside = "accelerator_type" if meant == hardware.CLOUD_TPU else "tpu_topology"
        fix = f"Write {meant}, and {beside}."
        raise Reject(path, f"is {quoted(machine)}, a name of Cloud TPU's own API", fix)
    if known := hardware.sizes(machine):
        problem = f"is {quoted(machine)}, which does not exist"
        raise Reject(path, problem, f"Valid: {', '.join(known)}.")


def _check_pair(spec: Mapping[str, Any], machine: str, path: str) -> None:
    """Check that a type and a count stand together."""
    kind, count = accelerator_of(spec), spec.get("accelerator_count") or 0
    known = hardware.accelerators(machine)
    if spec.get("gpu_partition_size") and not kind:
        problem = "is missing beside gpu_partition_size"
        raise Reject(f"{path}.accelerator_type", problem, "Write the type of the GPU.")
    if count < 0:
        problem, fix = f"is {count}", "Write a number above zero, or leave it out."
        raise Reject(f"{path}.accelerator_count", problem, fix)
    if kind and not count:
        counts = (known or {}).get(kind, ())
        fix = f"Write {_or(counts)}." if counts else "Write the number of accelerators."
        fix = _CORES if machine == hardware.CLOUD_TPU else fix
        raise Reject(f"{path}.accelerator_count", f"is missing beside {kind}", fix)
    if count and not kind:
        fix = f"Write {_or(known)}" if known else "Write its type, such as NVIDIA_TESLA_T4"
        if known == {} or machine in hardware.TOPOLOGIES:
            fix = "Leave the count out"
        problem = f"is missing beside accelerator_count: {count}"
        raise Reject(f"{path}.accelerator_type", problem, f"{fix}.")


def _check_gpu(spec: Mapping[str, Any], machine: str, path: str) -> None:
    kind, count = accelerator_of(spec), spec.get("accelerator_count") or 0
    known, topology = hardware.accelerators(machine), spec.get("tpu_topology")
    if topology and known is not None:
        problem = f"is {quoted(topology)}, but {machine} has no TPU"
        fix = "Leave it out, or write a machine type such as ct5lp-hightpu-4t."
        raise Reject(f"{path}.tpu_topology", problem, fix)
    if not kind:
        return
    if kind not in (known or {}):
        if known is None and not hardware.is_settled(kind):
            return
        problem = f"is {kind}, which {machine} cannot have"
        raise Reject(f"{path}.accelerator_type", problem, _elsewhere(kind, known or {}))
    counts = (known or {})[kind]
    if spec.get("gpu_partition_size"):
        counts = tuple(sorted({1, *counts}))
    if count not in counts:
        problem = f"is {count}, but {machine} can have {_or(counts)} of {kind}"
        raise Reject(f"{path}.accelerator_count", problem, f"Write {_or(counts)}.")


def _check_tpu(spec: Mapping[str, Any], machine: str, path: str) -> None:
    kind, count = accelerator_of(spec), spec.get("accelerator_count") or 0
    if machine == hardware.CLOUD_TPU:
        if kind not in ("TPU_V2", "TPU_V3"):
            problem = f"is {kind}, which {machine} cannot have" if kind else "is missing"
            fix = _elsewhere(kind, {}) if kind else "Write TPU_V2 or TPU_V3."
            raise Reject(f"{path}.accelerator_type", problem, fix)
        if count != 8 and count % 32:
            problem = f"is {count}, which is no number of cores of {kind}"
            raise Reject(f"{path}.accelerator_count", problem, _CORES)
        return
    if kind and not (kind.startswith("TPU_V") and kind not in ("TPU_V2", "TPU_V3")):
        problem = f"is {kind}, but the machine type {machine} is the TPU"
        fix = "Leave accelerator_type and accelerator_count out; write tpu_topology."
        raise Reject(f"{path}.accelerator_type", problem, fix)
    topology = spec.get("tpu_topology")
    if topology and not hardware.can_have(machine, topology):
        problem = f"is {quoted(topology)}, which {machine} cannot have"
        raise Reject(f"{path}.tpu_topology", problem, f"Write {_or(hardware.TOPOLOGIES[machine])}.")


def _check_reservation(affinity: Mapping[str, Any], path: str) -> None:
    if affinity.get("reservation_affinity_type") != "SPECIFIC_RESERVATION":
        return
    if not affinity.get("key"):
        raise Reject(f"{path}.key", "is missing", f"Write {RESERVATION_KEY}.")
    if not affinity.get("values"):
        fix = "Write [projects/PROJECT/zones/ZONE/reservations/NAME]."
        raise Reject(f"{path}.values", "is missing", fix)


def _elsewhere(kind: str, here: Mapping[str, object]) -> str:
    """Return the fix for an accelerator that a machine cannot have."""
    machine = hardware.MACHINES.get(kind, "")
    fix = f"Write {_or(here)}, or" if here else "Write"
    if machine in hardware.TOPOLOGIES:
        return _as_machine(machine)
    return f"{fix} machine_type: {machine} for {kind}." if machine else f"{fix} another machine."


def _as_machine(machine: str) -> str:
    return f"Write machine_type: {machine} and tpu_topology, without an accelerator."


def _or(values: object) -> str:
    """Return values as `1, 2 or 4`."""
    *most, last = [str(value) for value in values]  # type: ignore[attr-defined]
    return f"{', '.join(most)} or {last}" if most else last
