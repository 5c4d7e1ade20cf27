"""Sweeps: a run of a sweep is launched only while its sweep is running or paused."""

from shared.core.errors import Reject
from shared.core.ports import Sweeps
from shared.core.shorten import shown
from shared.runspec.model import RunSpec

ACTIVE = ("RUNNING", "PAUSED")  # as in the agent: the queued runs of a paused sweep still run


def check_sweep(spec: RunSpec, sweeps: Sweeps) -> None:
    """Refuse a run whose sweep is over, has not begun, or does not exist.

    Raises:
        Reject: naming the sweep and its state.
        Retry, Denied: W&B gives no answer.
    """
    if not spec.sweep_id:
        return
    state = sweeps.state_of(spec.entity, spec.project, spec.sweep_id)
    named = f"the sweep {shown(spec.sweep_id, 100)} of {spec.entity}/{spec.project}"
    if not state:
        fix = "Give this deployment's API key access to its project, or leave sweep_id out."
        raise Reject("sweep_id", f"{named} was not found in W&B", fix)
    if state not in ACTIVE:
        fix = "Resume it, or leave sweep_id out: it must be RUNNING or PAUSED to launch a run."
        raise Reject("sweep_id", f"{named} is {state}", fix)
