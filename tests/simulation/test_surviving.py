"""Invocations that outlive their timeout, freeze at a call and go on later; and failures that stop nobody else."""

from datetime import timedelta

import pytest

from functions.poll import drain
from shared.core.launch import Outcome
from shared.core.ports import RunStatus
from tests.simulation.deployment import Deployment
from tests.simulation.faults import Fault
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.simulation import Simulation
from tests.simulation.systematic import explore, replay
from tests.simulation.world import START, World

NEIGHBOURS = ("behind a poison item", "behind a removed item", "behind a refused warning", "one at a time")
TWO_TICKS = timedelta(minutes=2)


def calls(simulation: Simulation, name: str, about: str = "") -> list[int]:
    """Return which calls of the history without a fault have this name."""
    number, found = 0, []
    for _, who, what, _ in simulation.trace:
        if who:
            found += [number] if what.startswith(name) and about in what else []
            number += 1
    return found


@pytest.mark.parametrize("fault", [Fault.FROZEN, Fault.HOURS])
def test_a_submit_that_freezes_before_its_create_and_goes_on_sends_nothing(fault: Fault) -> None:
    """Others have looked twice and launched meanwhile; its own budget check is what stops it."""
    calm, _ = replay("trains", ())
    check = calls(calm, "budget", "create")[0]
    simulation, violation = replay("trains", ((check, fault),))
    assert violation is None
    assert len(simulation.world.vertex.jobs) == 1
    assert any("has outlived its timeout" in what for _, _, what, _ in simulation.trace)


def test_every_call_of_every_function_can_freeze() -> None:
    """Whichever call it is: the launch has its one job, and everything comes to rest."""
    result = explore("trains", faults=1)
    assert result.violation is None, result.replay
    calm, _ = replay("trains", ())
    held_up = [what for _, who, what, _ in calm.trace if who and not what.startswith("answer")]
    checked = sum(what.startswith("budget") for what in held_up)
    assert result.faults[Fault.FROZEN] >= len(held_up) - checked


def test_a_message_is_delivered_again_while_its_first_submit_still_lives() -> None:
    """Pub/Sub takes a timeout for a failure, and the second delivery finds the claim."""
    calm, _ = replay("trains", ())
    record = calls(calm, "ledger.write", "SUBMITTED")[0]
    simulation, violation = replay("trains", ((record, Fault.FROZEN),))
    assert violation is None
    submits = {who for _, who, what, _ in simulation.trace if who.startswith("submit") and "ledger.read open" in what}
    assert len(submits) > 1
    assert len(simulation.world.vertex.jobs) == 1


@pytest.mark.parametrize("hours", [-0.05, 0.05])
def test_functions_whose_clocks_differ_by_three_minutes_double_nothing(hours: float) -> None:
    """They go by the bucket's clock."""
    clocks = {"submit": timedelta(hours=hours), "status": -timedelta(hours=hours)}
    result = explore("trains", faults=1, deployment=Deployment(clocks=clocks))
    assert result.violation is None, result.replay


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_no_launch_waits_more_than_two_ticks_because_of_another(name: str) -> None:
    """With max_jobs 1: as soon as the first item needs no job any more, the next one is launched."""
    simulation, violation = replay(name, ())
    assert violation is None
    assert SCENARIOS[name].max_jobs == 1
    assert served(simulation) - freed(simulation) <= TWO_TICKS + timedelta(minutes=3), "for the verdict on the first"


def freed(simulation: Simulation) -> timedelta:
    """Return when the last job of the first item ended."""
    first = next(iter(simulation.world.wandb.everything())).key if not simulation.world.wandb.removed else None
    key = first or next(iter(simulation.world.wandb.removed.values())).key
    ends = [job.updated_at or job.created_at for job in simulation.world.vertex.jobs.values() if job.key == key]
    return max(ends, default=START) - START


def served(simulation: Simulation) -> timedelta:
    """Return when the second item was popped."""
    for at, _, what, answer in simulation.trace:
        if what.startswith("wandb.pop") and getattr(answer, "id", "") == "b":
            return at - START
    raise AssertionError("the second item was never popped")


def test_a_poison_item_is_failed_with_its_reason() -> None:
    """Its author reads why."""
    simulation, violation = replay("behind a poison item", ())
    assert violation is None
    item = simulation.world.wandb.items["a"]
    assert (item.state, "5,000 levels" in item.error) == ("FAILED", True)


def test_a_run_that_our_key_cannot_see_is_not_failed() -> None:
    """Nobody can tell that it never started."""
    simulation, violation = replay("a run that is hidden", ())
    assert violation is None
    assert simulation.world.wandb.items["a"].state == "CLAIMED"
    (launch,) = simulation.world.launches("closed")
    assert launch.entry.outcome is Outcome.SUCCEEDED


def test_a_record_that_was_deleted_by_hand_makes_no_second_job() -> None:
    """The request comes again, and its first attempt finds the job by its label."""
    simulation, violation = replay("request whose record is deleted", ())
    assert violation is None
    assert len(simulation.world.vertex.jobs) == 1


def test_an_unknown_agent_is_registered_anew() -> None:
    """At the next call, and poll never answers with an error."""
    calm, _ = replay("trains", ())
    simulation, violation = replay("trains", ((calls(calm, "wandb.agent")[0], Fault.FORGOTTEN),))
    assert violation is None
    assert simulation.world.wandb.agents == 2
    assert all(isinstance(answer, drain.Report) for _, verb, answer in simulation.answers if verb == "poll")


def test_a_job_that_waits_for_quota_is_left_alone() -> None:
    """Longer than the start timeout: it is not cancelled, and its run finishes."""
    simulation, violation = replay("queued for quota", ())
    assert violation is None
    assert {run.state for run in _runs(simulation.world)} == {"finished"}


def _runs(world: World) -> list[RunStatus]:
    return list(world.wandb.runs.values())
