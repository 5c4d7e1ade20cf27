"""An outage of an hour, while items arrive and jobs end: nothing is lost, and afterwards nobody has to lend a hand."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from functions.poll import drain
from functions.status.report import Report
from shared.core.errors import Denied, KeyRefused, LaunchError, Retry
from tests.simulation.deployment import Deployment
from tests.simulation.faults import Fault
from tests.simulation.logs import listening
from tests.simulation.scripts import AGAIN
from tests.simulation.simulation import Outage, Simulation
from tests.simulation.world import OF_CODE, START, Happening, World

BEGINS, ENDS = START + timedelta(minutes=10), START + timedelta(minutes=70)
SOON = timedelta(minutes=30)  # after the outage, when all has caught up: longer than the longest wait before a retry
SYSTEMS = ("wandb", "vertex", "ledger", "topic", "events", "build")
FAULTS = (
    *(Fault.UNAVAILABLE, Fault.DENIED, Fault.BUSY),  # denied by W&B: its key is revoked, and later there is another
    *(Fault.LOST, Fault.LATE),  # each answer; each request
    *(Fault.DIES, Fault.SLOW),  # each invocation that calls it
)
SCRIPTS = ("trains", "never starts", "crashes", "says nothing", "preempted once")


def simulated(*outages: Outage, deployment: Deployment | None = None) -> Simulation:
    """Run a day on which an item comes every four minutes, and another system's request every twelve, to its end."""
    with listening() as logged:
        simulation = Simulation(deployment or Deployment(max_jobs=4), outages=outages, logged=logged)
        for number in range(20):
            arrives = _arrives(number)
            simulation.world.plan(timedelta(minutes=4 * number), Happening(f"item {number} arrives", arrives))
        simulation.begin()
        while simulation.world.now < max(outage.until for outage in outages):
            simulation.step()
        simulation.rest()
    return simulation


def _arrives(number: int) -> Callable[[World], None]:
    def arrives(world: World) -> None:
        of_sweep = {"sweep_id": "sweep"} if number % 4 == 1 else OF_CODE if number % 4 == 2 else {}
        world.wandb.sweeps["sweep"] = "RUNNING"
        world.enqueue(f"item-{number:02}", SCRIPTS[number % len(SCRIPTS)], of_sweep)
        if number % 3 == 0:
            world.request(str(number), "trains")

    return arrives


def answers(simulation: Simulation, verb: str) -> list[LaunchError | drain.Report | Report]:
    """Return what a verb answered during the outage, leaving a minute at either end for those that straddle it."""
    minute = timedelta(minutes=1)
    return [one for at, who, one in simulation.answers if who == verb and BEGINS + minute <= at < ENDS - minute]


def in_order(simulation: Simulation) -> None:
    """See that each item has what its script leads to, exactly once, and soon after the outage."""
    world = simulation.world
    for item in world.wandb.items.values():
        own_key = "_wandb_api_key" in item.run_spec  # whether its run exists, our key cannot tell
        fails = item.script == "never starts" or (item.script == "says nothing" and not own_key)
        assert item.state == ("FAILED" if fails else "CLAIMED"), item
        assert ("cannot see it" in item.warning) is (item.script == "says nothing" and own_key), item
    jobs = [job for job in world.vertex.jobs.values() if job.error not in AGAIN]
    assert len(jobs) == len({job.key for job in jobs}) == len(world.wandb.items) + len(world.requests)
    assert world.now < ENDS + SOON


# `make long` takes the others too
EACH_TIME = (Fault.UNAVAILABLE, Fault.LOST, Fault.DIES)


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=() if fault in EACH_TIME else pytest.mark.long) for fault in FAULTS]
)
@pytest.mark.parametrize("system", SYSTEMS)
def test_after_an_hour_s_outage_all_is_launched_and_reported(system: str, fault: Fault) -> None:
    """Each call to a system meets a fault for an hour: each item and request is launched once, within half an hour."""
    in_order(simulated(Outage(system, BEGINS, ENDS, fault)))


def test_after_an_hour_without_anything_all_is_launched_and_reported() -> None:
    """Everything is down, and comes back one after the other."""
    later = {system: ENDS + timedelta(minutes=2 * number) for number, system in enumerate(SYSTEMS)}
    in_order(simulated(*(Outage(system, BEGINS, until) for system, until in later.items())))


def test_a_key_that_is_revoked_over_night_fails_nobody() -> None:
    """What needs W&B waits for another key, however long; no launch is to blame."""
    morning = BEGINS + timedelta(hours=9)
    simulation = simulated(Outage("wandb", BEGINS, morning, Fault.DENIED))
    failed = {item.script for item in simulation.world.wandb.items.values() if item.state == "FAILED"}
    assert failed <= {"never starts", "says nothing"}
    assert simulation.world.now < morning + SOON


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.DENIED])
def test_without_wandb_each_poll_and_each_status_says_so(fault: Fault) -> None:
    """Cloud Scheduler sees an error at every tick; a revoked key is an error that an operator has to fix."""
    simulation = simulated(Outage("wandb", BEGINS, ENDS, fault))
    polls, ticks = answers(simulation, "poll"), answers(simulation, "status")
    assert len(polls) == len(ticks) == 58
    assert all(isinstance(poll, KeyRefused if fault is Fault.DENIED else Retry) for poll in polls)
    assert all(isinstance(tick, Report) and "W&B: " in "".join(tick.errors) for tick in ticks if tick.open_launches)  # type: ignore[union-attr]


def test_without_vertex_poll_goes_on_and_each_status_says_so() -> None:
    """Items are written down and acked as far as max_jobs goes; nothing is taken for deleted."""
    simulation = simulated(Outage("vertex", BEGINS, ENDS))
    polls, ticks = answers(simulation, "poll"), answers(simulation, "status")
    assert all(isinstance(poll, drain.Report) and not poll.errors for poll in polls)
    assert all(isinstance(tick, Report) and "vertex.list" in "".join(tick.errors) for tick in ticks)
    assert max(poll.open_launches for poll in polls if isinstance(poll, drain.Report)) >= 4


@pytest.mark.parametrize(("fault", "error"), [(Fault.UNAVAILABLE, Retry), (Fault.DENIED, Denied)])
def test_without_the_ledger_nothing_is_done_and_both_say_so(fault: Fault, error: type[LaunchError]) -> None:
    """Nothing is popped either: what cannot be written down stays in W&B's queue."""
    simulation = simulated(Outage("ledger", BEGINS, ENDS, fault))
    assert all(isinstance(answer, error) for verb in ("poll", "status") for answer in answers(simulation, verb))
    assert not [who for at, who, what, _ in simulation.trace if "wandb.pop" in what and BEGINS < at < ENDS]


def test_without_the_topic_items_wait_in_the_ledger_and_the_polls_that_took_them_say_so() -> None:
    """Poll goes on as far as max_jobs goes; status tells at every tick that it could not publish what is due."""
    simulation = simulated(Outage("topic", BEGINS, ENDS))
    took = [poll for poll in answers(simulation, "poll") if isinstance(poll, drain.Report) and poll.launched]
    assert took
    assert all("topic: " in "".join(poll.errors) for poll in took)
    assert [
        tick for tick in answers(simulation, "status") if isinstance(tick, Report) and "topic: " in "".join(tick.errors)
    ]


def test_without_the_topic_of_events_everything_else_goes_on_and_every_event_arrives_later() -> None:
    """Launches wait as ENDED for their last event, and take no slot."""
    simulation = simulated(Outage("events", BEGINS, ENDS))
    ticks = [tick for tick in answers(simulation, "status") if isinstance(tick, Report)]
    assert ticks[-1].owed > 10
    assert "events: " in "".join(ticks[-1].errors)
    assert simulation.world.now < ENDS + SOON
    polls = [poll for poll in answers(simulation, "poll") if isinstance(poll, drain.Report)]
    assert sum(poll.launched.total() for poll in polls) > 10


@pytest.mark.parametrize(("hours", "given_up"), [(1, False), (4, False), (8, True)])
def test_max_failures_outlasts_four_hours(hours: int, given_up: bool) -> None:
    """With LAUNCH_MAX_FAILURES=30 a permission may be missing for four hours; after a night the author reads why."""
    ends = BEGINS + timedelta(hours=hours)
    simulation = simulated(Outage("vertex", BEGINS, ends, Fault.DENIED, except_for=("vertex.list",)))
    failed = [item for item in simulation.world.wandb.items.values() if item.error.startswith("not launched after 30")]
    assert bool(failed) is given_up
    assert all("vertex.create: denied" in item.error for item in failed)
    if not given_up:
        assert simulation.world.now < ends + SOON
