"""A run of a sweep is launched while its sweep goes on."""

import pytest

from shared.core.errors import Reject
from shared.runspec.model import RunSpec
from shared.runspec.sweep import check_sweep
from tests.unit.specs import run_spec

RESUME = "Resume it, or leave sweep_id out: it must be RUNNING or PAUSED to launch a run."


class Sweeps:
    """W&B, whose sweep has one state."""

    def __init__(self, state: str) -> None:
        self.state, self.asked = state, list[tuple[str, str, str]]()

    def state_of(self, entity: str, project: str, sweep: str) -> str:
        """Note the question, and answer."""
        self.asked.append((entity, project, sweep))
        return self.state


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("RUNNING", ""),
        ("PAUSED", ""),
        ("PENDING", f"sweep_id: the sweep sw1 of team/Cats is PENDING. {RESUME}"),
        ("FINISHED", f"sweep_id: the sweep sw1 of team/Cats is FINISHED. {RESUME}"),
        ("", "sweep_id: the sweep sw1 of team/Cats was not found in W&B. "
         "Give this deployment's API key access to its project, or leave sweep_id out."),
    ],
)  # fmt: skip
def test_a_run_needs_a_sweep_that_goes_on(state: str, why: str) -> None:
    """The refusal names the sweep, its state and the fix."""
    sweeps, refusal = Sweeps(state), ""
    try:
        check_sweep(RunSpec.parse(run_spec(sweep_id="sw1")), sweeps)
    except Reject as exc:
        refusal = str(exc)
    assert refusal == why
    assert sweeps.asked == [("team", "Cats", "sw1")]


def test_a_run_without_a_sweep_asks_nothing() -> None:
    """One call to W&B less."""
    sweeps = Sweeps("")
    check_sweep(RunSpec.parse(run_spec()), sweeps)
    assert sweeps.asked == []
