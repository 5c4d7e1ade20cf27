"""Sweeps: a run of one is launched only while its sweep goes on."""

from collections.abc import Mapping
from typing import Any

from shared.core.errors import Reject
from shared.core.ports import Sweeps
from shared.spec.fields import text

GOES_ON = ("RUNNING", "PAUSED")  # as the agent has it: what is queued when a sweep is paused still runs


def check_sweep(run_spec: Mapping[str, Any], sweeps: Sweeps) -> None:
    """Refuse a run whose sweep is over, was not begun, or is not there; a run of no sweep is left alone.

    Raises:
        Reject: naming the sweep and its state.
        Retry, Denied: W&B cannot be asked.
    """
    sweep = text(run_spec.get("sweep_id") or None, "sweep_id", "")
    if not sweep:
        return
    entity, project = (text(run_spec.get(name), name, "") for name in ("entity", "project"))
    state = sweeps.state_of(entity, project, sweep)
    named = f"the sweep {sweep[:100]} of {entity}/{project}"
    if not state:
        raise Reject("sweep_id", f"{named} was not found in W&B", "Let this deployment's API key see its project.")
    if state not in GOES_ON:
        fix = "Its runs are launched only while it is RUNNING or PAUSED: resume it, or leave sweep_id out."
        raise Reject("sweep_id", f"{named} is {state}", fix)
