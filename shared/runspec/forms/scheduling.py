"""Check what Vertex AI documents of scheduling strategies."""

from shared.core.errors import Reject
from shared.core.ports import CustomJobCall
from shared.runspec.forms import hardware
from shared.runspec.forms.arguments import DAY
from shared.runspec.forms.machines import accelerator_of
from shared.runspec.walk import values

_MACHINES = "spec.worker_pool_specs[].machine_spec"
_GPUS = "L4, A100, H100, H200 or B200 GPUs"


def check_strategy(call: CustomJobCall, path: str = "") -> None:
    """Refuse FLEX_START for a job that cannot have it; `path` precedes the path of an argument.

    Raises:
        Reject: a timeout of more than seven days, different machines, or other accelerators.
    """
    if call.submit.get("scheduling_strategy") != "FLEX_START":
        return
    if (timeout := call.submit.get("timeout") or 0) > 7 * DAY:
        problem = f"is {timeout} seconds, more than the seven days of FLEX_START"
        raise Reject(f"{path}run.timeout", problem, f"Write at most {7 * DAY}.")
    machines = [
        (f"{path}{at}", dict(spec) if isinstance(spec, dict) else {})
        for at, spec in values({"spec": call.constructor}, _MACHINES)
    ]
    for at, spec in machines:
        machine = str(spec.get("machine_type", ""))
        if spec != machines[0][1]:
            problem = "differs from that of the first pool"
            fix = "Write the same machine_spec in each pool: FLEX_START needs it."
            raise Reject(at, problem, fix)
        if not _can_flex(machine, accelerator_of(spec)):
            problem = f"is {machine}, and FLEX_START needs {_GPUS}"
            fix = "Write such a machine, or run.scheduling_strategy: SPOT."
            raise Reject(f"{at}.machine_type", problem, fix)


def _can_flex(machine: str, accelerator: str) -> bool:
    """Tell whether FLEX_START may have a machine; an unknown machine may."""
    only = hardware.included(machine)
    accelerator = accelerator or (only[0] if only else "")
    if accelerator:
        return any(part in accelerator for part in hardware.FLEX_GPUS)
    return hardware.accelerators(machine) is None and machine != hardware.CLOUD_TPU
