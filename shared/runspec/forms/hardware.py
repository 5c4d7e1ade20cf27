"""The documented machine types with their accelerators: which types, and how many.

All facts are from cloud.google.com/vertex-ai/docs/training/configure-compute. A machine type that
this module does not know is not judged: a new one needs no release.
"""

import re

Counts = tuple[int, ...]

T4, P4, P100, V100 = "NVIDIA_TESLA_T4", "NVIDIA_TESLA_P4", "NVIDIA_TESLA_P100", "NVIDIA_TESLA_V100"
K80 = "NVIDIA_TESLA_K80"

_GPU_SERIES = {  # the names end with the number of GPUs
    "a2-highgpu": "NVIDIA_TESLA_A100",
    "a2-megagpu": "NVIDIA_TESLA_A100",
    "a2-ultragpu": "NVIDIA_A100_80GB",
    "a3-edgegpu": "NVIDIA_H100_80GB",
    "a3-highgpu": "NVIDIA_H100_80GB",
    "a3-megagpu": "NVIDIA_H100_MEGA_80GB",
    "a3-ultragpu": "NVIDIA_H200_141GB",
    "a4-highgpu": "NVIDIA_B200",
    "a4x-highgpu": "NVIDIA_GB200",
}
_GPU_MACHINES = {  # by series and vCPUs
    "g2-standard": ("NVIDIA_L4", {4: 1, 8: 1, 12: 1, 16: 1, 24: 2, 32: 1, 48: 4, 96: 8}),
    "g4-standard": ("NVIDIA_RTX_PRO_6000", {48: 1, 96: 2, 192: 4, 384: 8}),
}
_SIZES = {  # of old series, to which Compute Engine adds no size
    "n1-standard": ("1", "2", "4", "8", "16", "32", "64", "96"),
    "n1-highmem": ("2", "4", "8", "16", "32", "64", "96"),
    "n1-highcpu": ("2", "4", "8", "16", "32", "64", "96"),
    "a2-highgpu": ("1g", "2g", "4g", "8g"),
    "a2-megagpu": ("16g",),
    "a2-ultragpu": ("1g", "2g", "4g", "8g"),
}
_NO_ACCELERATORS = re.compile(r"(c2d?|c3d?|c4[ad]?|e2|h3|m[1-4]|n2d?|n4[ad]?|t2[ad]|x4|z3)-.+")
_N1 = re.compile(r"n1-(standard|highmem|highcpu)-(\d+)")
_N1_COUNTS: dict[str, tuple[tuple[int, Counts], ...]] = {  # up to a number of vCPUs
    T4: ((16, (1, 2, 4)), (32, (2, 4)), (96, (4,))),
    P4: ((16, (1, 2, 4)), (32, (2, 4)), (96, (4,))),
    P100: ((16, (1, 2, 4)), (32, (2, 4))),
    V100: ((8, (1, 2, 4, 8)), (16, (2, 4, 8)), (32, (4, 8)), (96, (8,))),
    K80: ((8, (1, 2, 4, 8)), (16, (2, 4, 8)), (32, (4, 8))),
}
CLOUD_TPU = "cloud-tpu"  # of TPU v2 and v3
_SLICES = ("2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBES = ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16")
TOPOLOGIES = {
    **{f"{series}-1t": ("1x1",) for series in ("ct5lp-hightpu", "ct6e-standard")},
    **{f"{series}-4t": _SLICES for series in ("ct5lp-hightpu", "ct6e-standard")},
    **{f"{series}-8t": ("2x4",) for series in ("ct5lp-hightpu", "ct6e-standard")},
    "tpu7x-standard-4t": _CUBES,
}
_TPU = re.compile(r"cloud-tpu|(ct\w+|tpu\w+)-.+")
_GENERATIONS = {  # of TPUs, as Cloud TPU's own API begins their names
    "v2": CLOUD_TPU,
    "v3": CLOUD_TPU,
    "v5e": "ct5lp-hightpu-4t",
    "v5lite": "ct5lp-hightpu-4t",
    "v6e": "ct6e-standard-4t",
    "7x": "tpu7x-standard-4t",
    "v7x": "tpu7x-standard-4t",
}
MACHINES = {  # an example for each accelerator
    **dict.fromkeys((T4, P4, P100, V100, K80), "n1-standard-4"),
    "NVIDIA_L4": "g2-standard-8",
    "NVIDIA_RTX_PRO_6000": "g4-standard-48",
    "NVIDIA_TESLA_A100": "a2-highgpu-1g",
    "NVIDIA_A100_80GB": "a2-ultragpu-1g",
    "NVIDIA_H100_80GB": "a3-highgpu-8g",
    "NVIDIA_H100_MEGA_80GB": "a3-megagpu-8g",
    "NVIDIA_H200_141GB": "a3-ultragpu-8g",
    "NVIDIA_B200": "a4-highgpu-8g",
    "NVIDIA_GB200": "a4x-highgpu-4g",
    "TPU_V2": CLOUD_TPU,
    "TPU_V3": CLOUD_TPU,
    "TPU_V5_LITEPOD": "ct5lp-hightpu-4t",
}
MACHINE_TYPES = (  # that are documented with accelerators
    *(f"n1-standard-{cpus}" for cpus in (4, 8, 16, 32, 64, 96)),
    *(f"n1-highmem-{cpus}" for cpus in (2, 4, 8, 16, 32, 64, 96)),
    *(f"n1-highcpu-{cpus}" for cpus in (16, 32, 64, 96)),
    *(f"g2-standard-{size}" for size in _GPU_MACHINES["g2-standard"][1]),
    *(f"g4-standard-{size}" for size in _GPU_MACHINES["g4-standard"][1]),
    *(f"a2-highgpu-{number}g" for number in (1, 2, 4, 8)),
    "a2-megagpu-16g",
    *(f"a2-ultragpu-{number}g" for number in (1, 2, 4, 8)),
    *(f"a3-highgpu-{number}g" for number in (1, 2, 4, 8)),
    *("a3-megagpu-8g", "a3-ultragpu-8g", "a4-highgpu-8g", "a4x-highgpu-4g"),
)
_CUBE = re.compile(r"(\d+)x(\d+)x(\d+)")
FLEX_GPUS = ("NVIDIA_L4", "A100", "H100", "H200", "NVIDIA_B200")  # parts of their names


def is_tpu(machine: str) -> bool:
    """Tell whether a machine type is one of a TPU."""
    return bool(_TPU.fullmatch(machine))


def can_have(machine: str, topology: str) -> bool:
    """Tell whether a TPU may have a topology: a documented one, or more cubes of 4x4x4 chips."""
    known = TOPOLOGIES.get(machine)
    cube = _CUBE.fullmatch(topology) if known == _CUBES else None
    is_cubes = cube is not None and all(int(side) % 4 == 0 for side in cube.groups())
    return known is None or topology in known or is_cubes


def is_settled(accelerator: str) -> bool:
    """Tell whether no new machine type can have an accelerator: an old GPU of n1, or a TPU."""
    return accelerator in _N1_COUNTS or accelerator.startswith("TPU_")


def tpu_machine(name: str) -> str:
    """Return the machine type that a name of Cloud TPU's own API means, such as v5litepod-4."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    for generation, machine in _GENERATIONS.items():
        if re.fullmatch(rf"(cloud)?(tpu)?{generation}(litepod|pod|podslice|slice)?\d*", plain):
            return machine
    return ""


def sizes(machine: str) -> tuple[str, ...]:
    """Return the machine types of an old series in which this one does not exist, if it is one."""
    series, _, size = machine.rpartition("-")
    known = _SIZES.get(series, ())
    return () if size in known else tuple(f"{series}-{each}" for each in known)


def included(machine: str) -> tuple[str, int] | None:
    """Return the GPUs that a machine type is documented with, and their number."""
    series, _, size = machine.rpartition("-")
    if series in _GPU_SERIES and re.fullmatch(r"\d+g", size):
        return _GPU_SERIES[series], int(size[:-1])
    gpu, counts = _GPU_MACHINES.get(series, ("", {}))
    number = counts.get(int(size)) if size.isdecimal() else None
    return (gpu, number) if number else None


def accelerators(machine: str) -> dict[str, Counts] | None:
    """Return the accelerators of a machine type with their counts; None for an unknown one."""
    if only := included(machine):
        return {only[0]: (only[1],)}
    if n1 := _N1.fullmatch(machine):
        by_type = {gpu: _n1_counts(gpu, n1[1], int(n1[2])) for gpu in _N1_COUNTS}
        return {gpu: counts for gpu, counts in by_type.items() if counts}
    if _NO_ACCELERATORS.fullmatch(machine):
        return {}
    return None


def _n1_counts(gpu: str, kind: str, cpus: int) -> Counts:
    if (gpu, kind, cpus) == (P100, "highcpu", 64):  # four have 64 vCPUs, and 208 GB at most
        return (4,)
    return next((counts for most, counts in _N1_COUNTS[gpu] if cpus <= most), ())
