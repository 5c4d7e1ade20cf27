"""The combinations of machines, accelerators and strategies that Vertex AI documents as invalid.

Written from cloud.google.com/vertex-ai/docs/training/configure-compute, apart from submit's tables:
a mistake in one of them shows as a difference. Machine types without a row pass.
"""

import re
from collections.abc import Iterator
from typing import Any

from deploy.local.servers.vertex.messages import accelerator_name, strategy_of

_SMALL = {
    "NVIDIA_TESLA_T4": {1, 2, 4},
    "NVIDIA_TESLA_P4": {1, 2, 4},
    "NVIDIA_TESLA_P100": {1, 2, 4},
}
_MIDDLE = {"NVIDIA_TESLA_T4": {2, 4}, "NVIDIA_TESLA_P4": {2, 4}, "NVIDIA_TESLA_P100": {2, 4}}
_LARGE = {"NVIDIA_TESLA_T4": {4}, "NVIDIA_TESLA_P4": {4}, "NVIDIA_TESLA_V100": {8}}
_ROWS: dict[str, dict[str, set[int]]] = {
    **{
        f"n1-{name}": {**_SMALL, "NVIDIA_TESLA_V100": {1, 2, 4, 8}}
        for name in ("standard-4", "standard-8", "highmem-2", "highmem-4", "highmem-8")
    },
    **{
        f"n1-{kind}-16": {**_SMALL, "NVIDIA_TESLA_V100": {2, 4, 8}}
        for kind in ("standard", "highmem", "highcpu")
    },
    **{
        f"n1-{kind}-32": {**_MIDDLE, "NVIDIA_TESLA_V100": {4, 8}}
        for kind in ("standard", "highmem", "highcpu")
    },
    **{f"n1-{kind}-{n}": _LARGE for kind in ("standard", "highmem") for n in (64, 96)},
    "n1-highcpu-64": {**_LARGE, "NVIDIA_TESLA_P100": {4}},
    "n1-highcpu-96": _LARGE,
    **{f"a2-highgpu-{n}g": {"NVIDIA_TESLA_A100": {n}} for n in (1, 2, 4, 8)},
    "a2-megagpu-16g": {"NVIDIA_TESLA_A100": {16}},
    **{f"a2-ultragpu-{n}g": {"NVIDIA_A100_80GB": {n}} for n in (1, 2, 4, 8)},
    **{f"a3-highgpu-{n}g": {"NVIDIA_H100_80GB": {n}} for n in (1, 2, 4, 8)},
    "a3-megagpu-8g": {"NVIDIA_H100_MEGA_80GB": {8}},
    "a3-ultragpu-8g": {"NVIDIA_H200_141GB": {8}},
    "a4-highgpu-8g": {"NVIDIA_B200": {8}},
    "a4x-highgpu-4g": {"NVIDIA_GB200": {4}},
    **{f"g2-standard-{n}": {"NVIDIA_L4": {1}} for n in (4, 8, 12, 16, 32)},
    **{f"g2-standard-{n}": {"NVIDIA_L4": {n // 12}} for n in (24, 48, 96)},
    **{f"g4-standard-{n}": {"NVIDIA_RTX_PRO_6000": {n // 48}} for n in (48, 96, 192, 384)},
    "cloud-tpu": {kind: {8, *range(32, 4097, 32)} for kind in ("TPU_V2", "TPU_V3")},
}
_WITHOUT = re.compile(r"(e2|n2|n4|c2|m1|ct5lp|ct6e|tpu7x)-.*")
_FLEX = re.compile(r"NVIDIA_(L4|TESLA_A100|A100_.*|H100_.*|H200_.*|B200)")
_OLD = ("NVIDIA_TESLA_K80",)  # no longer documented, so nobody knows its rules
MAX_POOLS = 4


def machine_errors(job: Any) -> Iterator[tuple[str, str]]:
    """Yield the path and the problem of each machine that cannot be."""
    path = "job_spec.worker_pool_specs"
    pools = [
        (f"{path}[{index}]", pool)
        for index, pool in enumerate(job.job_spec.worker_pool_specs)
        if pool.ByteSize()
    ]
    if len(job.job_spec.worker_pool_specs) > MAX_POOLS:
        yield path, f"At most {MAX_POOLS} worker pools can be specified."
    for here, pool in pools:
        yield from _accelerator_errors(f"{here}.machine_spec", pool.machine_spec)
        size = pool.disk_spec.boot_disk_size_gb
        if size and not 100 <= size <= 64_000:
            yield f"{here}.disk_spec.boot_disk_size_gb", "It must be between 100 and 64000."
    if strategy_of(job) == "FLEX_START":
        yield from _flex_errors(pools)


def _accelerator_errors(here: str, machine: Any) -> Iterator[tuple[str, str]]:
    kind, count = accelerator_name(machine), machine.accelerator_count
    row = {} if _WITHOUT.fullmatch(machine.machine_type) else _ROWS.get(machine.machine_type)
    if not kind or row is None or kind in _OLD:
        return
    if kind not in row:
        problem = f'Machine type "{machine.machine_type}" does not support accelerator "{kind}".'
        yield f"{here}.accelerator_type", problem
    elif count not in row[kind] and not machine.gpu_partition_size:
        allowed = ", ".join(str(number) for number in sorted(row[kind])[:8])
        yield f"{here}.accelerator_count", f"Valid values for {kind}: {allowed}."


def _flex_errors(pools: list[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    for here, pool in pools:
        kind = accelerator_name(pool.machine_spec)
        if pool.machine_spec != pools[0][1].machine_spec:
            yield f"{here}.machine_spec", "FLEX_START needs the same machine in all worker pools."
        if kind and not _FLEX.fullmatch(kind):
            yield f"{here}.machine_spec", f"FLEX_START does not support accelerator {kind}."
