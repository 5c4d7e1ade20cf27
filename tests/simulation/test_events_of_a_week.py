"""A week of traffic with crashes, lost answers and repeats: what readers of the events keep is the ledger's history."""

import random
from datetime import timedelta

from shared.core.event import EventType
from tests.simulation.deployment import LADDER, Deployment
from tests.simulation.faults import Fault, possible
from tests.simulation.logs import listening
from tests.simulation.simulation import Outage, Simulation
from tests.simulation.world import OF_CODE, START

DAYS = 7
SCRIPTS = ("trains", "never starts", "crashes", "preempted once", "finds machines elsewhere", "queued for quota")
SPOILT = 0.03  # of the calls
HARM = (*(Fault.DIES, Fault.LOST, Fault.LATE, Fault.UNAVAILABLE), *(Fault.SLOW, Fault.TWIN, Fault.DOUBLE, Fault.FROZEN))


def _day(simulation: Simulation, day: int, chance: random.Random) -> None:
    """Let a day's launches come and end. At night nothing happens, so that its ticks are left out."""
    world = simulation.world
    world.now = max(world.now, START + timedelta(days=day))
    for number in range(6):
        script = SCRIPTS[(day + number) % len(SCRIPTS)]
        world.enqueue(f"{day}-{number}", script, OF_CODE if number == 2 else None)
    world.request(str(day), "trains")
    hours = world.now + timedelta(hours=1), world.now + timedelta(hours=2)
    simulation.outages = (Outage("events", *hours, Fault.UNAVAILABLE),) if day % 3 == 0 else ()
    while world.now < hours[1]:
        ready = next((process for process in simulation.live if process.ready), None)
        if ready is None or ready.call is None:
            simulation.let_time_pass()
            continue
        faults = [fault for fault in possible(ready.call, ready.checked) if fault in HARM]
        spoilt = faults and chance.random() < SPOILT
        simulation.go(ready, chance.choice(faults) if spoilt else None)
    simulation.rest()


def test_readers_keep_the_history_of_a_week() -> None:
    """Each event once by its id, in the order of its numbers; each launch from its first event to its end."""
    chance = random.Random(18)  # noqa: S311 - the same at each time
    with listening() as logged:
        simulation = Simulation(Deployment(max_jobs=4, ladder=LADDER), logged=logged)
        simulation.begin()
        for day in range(DAYS):
            _day(simulation, day, chance)
    world = simulation.world
    kept = dict(world.announced)
    closed = {launch.key: launch for launch in world.launches("closed")}
    assert len(closed) == DAYS * 7
    assert kept == {f"{key}/{each.number}": each for key, launch in closed.items() for each in launch.events}
    for launch in closed.values():
        kinds = [event.type for event in launch.events]
        assert [event.number for event in launch.events] == list(range(1, len(kinds) + 1))
        assert (kinds[0], kinds[-1], kinds.count(EventType.ENDED)) == (EventType.QUEUED, EventType.ENDED, 1)
        assert (launch.entry.announced, launch.entry.events) == (len(kinds), len(kinds))
    assert len(world.announced) > len(kept), "no event was repeated: nothing was shown"
    assert {event.type for event in kept.values()} == set(EventType)
    assert sum(simulation.faults.values()) > 50
