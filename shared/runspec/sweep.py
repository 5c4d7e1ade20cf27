"""Sweeps: a run of one is launched only while its sweep goes on."""

from shared.core.errors import Reject
from shared.core.ports import Sweeps
from shared.runspec.model import RunSpec

GOES_ON = (
    "RUNNING",
    "PAUSED",
)  # as the agent has it: what is queued when a sweep is paused still runs


def check_sweep(spec: RunSpec, sweeps: Sweeps) -> None:
    """Refuse a run whose sweep is over, was not begun, or is not there; a run of no sweep is left alone.

    Raises:
        Reject: naming the sweep and its state.
        Retry, Denied: W&B cannot be asked.
    """
    if not spec.sweep_id:
        return
    state = sweeps.state_of(spec.entity, spec.project, spec.sweep_id)
    named = f"the sweep {spec.sweep_id[:100]} of {spec.entity}/{spec.project}"
    if not state:
        raise Reject(
            "sweep_id",
            f"{named} was not found in W&B",
            "Let this deployment's API key see its project.",
        )
    if state not in GOES_ON:
        fix = "Its runs are launched only while it is RUNNING or PAUSED: resume it, or leave sweep_id out."
        raise Reject("sweep_id", f"{named} is {state}", fix)
