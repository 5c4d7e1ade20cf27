"""Small histories: what people, jobs and other agents do, while the functions do their work and things go wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta

from shared.config.ladder import Ladder
from shared.core.cadence import Cadence, Mode
from tests.simulation.deployment import LADDER, Deployment
from tests.simulation.faults import Fault
from tests.simulation.invariants import Violation
from tests.simulation.simulation import Outage, Simulation
from tests.simulation.wandb import key_of
from tests.simulation.world import OF_CODE, OF_JOB, QUEUE, START, Happening, World


@dataclass(frozen=True)
class Scenario:
    """A beginning, and a deployment's limit that goes with it."""

    begin: Callable[[World], None]
    max_jobs: int = 1
    ladder: Ladder = field(default_factory=Ladder)
    cadence: Cadence = field(default_factory=lambda: Cadence(mode=Mode.NEVER))
    outages: tuple[Outage, ...] = ()
    long: bool = False  # too long for a fault at each of its calls
    people: bool = False  # press stop, remove items and delete jobs, before any call

    def simulation(self, deployment: Deployment, logged: list[Violation]) -> Simulation:
        """Return a simulation that is about to begin."""
        kind = type(deployment.cadence)  # a planted bug may have its own
        cadence = kind(**{each.name: getattr(self.cadence, each.name) for each in fields(self.cadence)})
        simulation = Simulation(
            replace(deployment, max_jobs=self.max_jobs, ladder=self.ladder, cadence=cadence),
            outages=self.outages,
            logged=logged,
        )
        simulation.people = self.people
        self.begin(simulation.world)
        simulation.begin()
        return simulation


def _at(world: World, seconds: float, what: str, happen: Callable[[World], object]) -> None:
    world.plan(timedelta(seconds=seconds), Happening(what, happen))


def _item(script: str) -> Callable[[World], None]:
    return lambda world: world.enqueue("a", script)


def _two(world: World) -> None:
    world.enqueue("a", "trains")
    world.enqueue("b", "never starts")


def _two_schedulers(world: World) -> None:
    for name in "ab":
        world.enqueue_scheduler(name, "trains")


def _many(world: World) -> None:
    for name in "abcdef":
        world.enqueue(name, "trains")


def _two_trains(world: World) -> None:
    for name in "ab":
        world.enqueue(name, "trains")


def _work_comes_back(world: World) -> None:
    """Let the second item come when the deployment has been cold for a while."""
    world.enqueue("a", "trains")
    _at(world, 45 * 60 + 3, "b arrives", lambda w: w.enqueue("b", "trains"))


def _while_polled(world: World) -> None:
    """Let items arrive while a poll goes on asking."""
    for number, name in enumerate("ab"):
        _at(world, 3 + 5 * number, f"{name} arrives", lambda w, name=name: w.enqueue(name, "trains"))  # type: ignore[misc]


def _press(world: World) -> None:
    """Press stop as soon as there is a run to press it on."""
    world.stop("a")
    if not world.stopped_at and world.wandb.items["a"].state != "FAILED":
        _at(world, 15, "stop is pressed", _press)


def _stop(world: World) -> None:
    world.enqueue("a", "goes on")
    _at(world, 40, "stop is pressed", _press)


def _cancel(script: str, seconds: float) -> Callable[[World], None]:
    def begin(world: World) -> None:
        world.enqueue("a", script)
        _at(world, seconds, "the launch is cancelled with the command", _cancel_now)

    return begin


def _cancel_now(world: World) -> None:
    """Cancel the launch as soon as there is one and no submit claims it: so long the command waits."""
    world.cancel_all()
    if not world.cancelled and not any(world.launches("closed")):
        _at(world, 5, "the command tries again", _cancel_now)


def _pause(world: World) -> None:
    """Pause the queues while a launch waits for machines."""
    world.enqueue("a", "finds machines at last")
    _at(world, 100, "the queues are paused with the command", World.pause)


def _stop_early(world: World) -> None:
    world.enqueue("a", "goes on")
    world.prepare_run("a")
    _at(world, 0.5, "stop is pressed", lambda w: w.stop("a"))


def _stop_preempted(world: World) -> None:
    world.enqueue("a", "preempted twice")
    _at(world, 40, "stop is pressed", _press)


def _sweep_s_run(world: World) -> None:
    """Enqueue a run that is there before it is launched, so that stop can be pressed from the beginning."""
    world.enqueue("a", "preempted once")
    world.prepare_run("a")


def _bad_build(world: World) -> None:
    """Enqueue a job of code whose image cannot be built."""
    world.builder.fails = True
    world.enqueue("a", "trains", OF_CODE)


def _two_of_one_build(world: World) -> None:
    """Enqueue two of the same code: the version that both mean is the first."""
    for name in "ab":
        world.enqueue(name, "trains", {**OF_CODE, "job": "team/cats/code:v1"})


def _compete(world: World) -> None:
    """Let another agent be quicker, whenever the item's lease has ended."""
    world.enqueue("a", "trains")
    for seconds in (30, 70, 130):
        _at(world, seconds, "another agent asks for work", lambda w: w.compete("a"))


def _remove(world: World) -> None:
    world.enqueue("a", "trains")
    _at(world, 65, "the item is removed, if it waits", lambda w: w.remove("a"))


def _delete(world: World) -> None:
    world.enqueue("a", "trains")
    _at(world, 50, "the job is deleted", lambda w: w.delete_job("a"))


def _older_job(world: World) -> None:
    """Let Vertex AI show a job of the first attempt while that of the second runs; it would run for ever."""
    world.enqueue("a", "preempted once")
    _at(world, 185, "a job of the first attempt is shown", lambda w: w.vertex.reveal(key_of("a"), w.now))


def _behind_poison(world: World) -> None:
    world.enqueue_poison("a")
    world.enqueue("b", "trains")


def _behind_removed(world: World) -> None:
    """Remove the first item while its job runs, which ends without a run: no author can read a report."""
    world.enqueue("a", "never starts")
    world.enqueue("b", "trains")
    _at(world, 20, "the item is removed", lambda w: w.remove("a"))


def _behind_refused_warning(world: World) -> None:
    world.enqueue("a", "preempted once")
    world.enqueue("b", "trains")


def _hidden(world: World) -> None:
    world.enqueue("a", "trains")
    world.hide("a")


def _by_hand(world: World) -> None:
    """Delete the record of a request whose job runs, and deliver the request once more."""
    world.request("42", "trains")
    _at(world, 240, "its record is deleted by hand, and it is published again", World.forget_request)


ADAPTIVE = Cadence(window=12)
LOST_CREATE = Outage("vertex", START, START + timedelta(seconds=30), Fault.LOST, only="vertex.create")
SLOW_RENDERING = Outage("wandb", START, START + timedelta(minutes=30, seconds=5), Fault.FROZEN, only="wandb.key")
NO_WARNINGS = Outage("wandb", START, START + timedelta(hours=2), Fault.REFUSED, only="wandb.warn")
NO_WAKE_UPS = Outage("topic", START, START + timedelta(hours=2), only="topic.ring")

SCENARIOS = {
    "trains": Scenario(_item("trains")),
    "never starts": Scenario(_item("never starts")),
    "says nothing": Scenario(_item("says nothing")),
    "crashes": Scenario(_item("crashes")),
    "seems to crash": Scenario(_item("seems to crash")),
    "preempted once": Scenario(_item("preempted once")),
    "always preempted": Scenario(_item("always preempted")),
    "taken away once": Scenario(_item("taken away once")),
    "finds machines at last": Scenario(_item("finds machines at last")),
    "shows its run late": Scenario(_item("shows its run late")),
    "shows its preemption late": Scenario(_item("shows its preemption late")),
    "finds machines elsewhere": Scenario(_item("finds machines elsewhere"), ladder=LADDER),
    "says late that it was taken away": Scenario(_item("says late that it was taken away")),
    "says late that it found no machines": Scenario(_item("says late that it found no machines")),
    "queued for quota": Scenario(_item("queued for quota"), long=True),
    "ends without an end time": Scenario(_item("ends without an end time")),
    "create without an answer": Scenario(_item("trains"), outages=(LOST_CREATE,)),
    "rendering takes half an hour": Scenario(_item("trains"), outages=(SLOW_RENDERING,), long=True),
    "an older job is shown late": Scenario(_older_job, long=True),
    "behind a poison item": Scenario(_behind_poison),
    "behind a removed item": Scenario(_behind_removed),
    "behind a refused warning": Scenario(_behind_refused_warning, outages=(NO_WARNINGS,), long=True),
    "a run that is hidden": Scenario(_hidden),
    "request whose record is deleted": Scenario(_by_hand),
    "two items": Scenario(_two, max_jobs=2),
    "one at a time": Scenario(_two),
    "a poll that goes on asking": Scenario(_while_polled, cadence=Cadence(Mode.ALWAYS, window=12)),
    "a slot is freed": Scenario(_two_trains, cadence=ADAPTIVE),
    "its wake-up is lost": Scenario(_two_trains, cadence=ADAPTIVE, outages=(NO_WAKE_UPS,), long=True),
    "work comes back": Scenario(_work_comes_back, cadence=ADAPTIVE, long=True),
    "six items": Scenario(_many, max_jobs=3),
    "stopped": Scenario(_stop),
    "stopped before it is launched": Scenario(_stop_early),
    "stopped and then preempted": Scenario(_stop_preempted),
    "cancelled": Scenario(_cancel("goes on", 40)),
    "cancelled before it is launched": Scenario(_cancel("goes on", 0.5)),
    "cancelled while it trains": Scenario(_cancel("trains", 20)),
    "cancelled and then preempted": Scenario(_cancel("preempted once", 40)),
    "cancelled on a ladder": Scenario(_cancel("finds machines elsewhere", 40), ladder=LADDER),
    "cancelled without an answer": Scenario(_cancel("goes on", 45), outages=(LOST_CREATE,)),
    "paused": Scenario(_pause, long=True),  # a ticket of a frozen status may come later
    "people at any time": Scenario(_sweep_s_run, people=True),
    "another agent": Scenario(_compete),
    "removed": Scenario(_remove),
    "deleted in the console": Scenario(_delete),
    "two schedulers": Scenario(_two_schedulers, max_jobs=3),
    "scheduler of a sweep": Scenario(lambda world: world.enqueue_scheduler("a", "never starts")),
    "request": Scenario(lambda world: world.request("42", "trains")),
    "of a job": Scenario(lambda world: world.enqueue("a", "preempted once", OF_JOB)),
    "built": Scenario(lambda world: world.enqueue("a", "trains", OF_CODE)),
    "built in vain": Scenario(_bad_build),
    "two of one build": Scenario(_two_of_one_build, max_jobs=2),
    "request on a queue": Scenario(lambda world: world.request("42", "trains", QUEUE)),
    "request that never starts": Scenario(lambda world: world.request("42", "never starts")),
}
SHORT = tuple(name for name, scenario in SCENARIOS.items() if not scenario.long)
