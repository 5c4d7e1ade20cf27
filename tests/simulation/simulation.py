"""The scheduler: says who goes on, what time brings, and what goes wrong; writes down what happened."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn

from shared.core.errors import LaunchError
from tests.simulation import invariants
from tests.simulation.deployment import TIMEOUTS, Deployment
from tests.simulation.faults import LATE, LONG_AFTER, NO_EFFECT, PEOPLE, SLOW, Fault, error_of, possible
from tests.simulation.invariants import Violation
from tests.simulation.logs import is_mistake
from tests.simulation.processes import Call, Process
from tests.simulation.shown import shown
from tests.simulation.world import EVERY, START, Delivery, Event, Happening, Tick, World

DELIVERIES = 20  # of a message, before it is a dead letter
PATIENCE = timedelta(hours=6)  # within which a world has to come to rest when no more faults come

BEFORE: dict[Fault | None, Callable[[World], object]] = {  # what happens before a call has its effect
    Fault.EXPIRES: lambda world: world.wandb.end_leases(),
    Fault.TAKEN: World.take,
    Fault.STOPPED: World.stop_all,
    Fault.REMOVED: World.remove_all,
    Fault.DELETED: World.delete_all,
}


@dataclass(frozen=True)
class Outage:
    """A system is out of order for a time: each call to it, or those of these names, meets this fault."""

    system: str
    since: datetime
    until: datetime
    fault: Fault = Fault.UNAVAILABLE
    except_for: tuple[str, ...] = ()

    def hits(self, call: Call, now: datetime) -> bool:
        """Tell whether a call meets it now."""
        return call.system == self.system and self.since <= now < self.until and call.name not in self.except_for


@dataclass
class Simulation:
    """A world, the invocations that live in it, and the trace of what happened."""

    deployment: Deployment = field(default_factory=Deployment)
    world: World = field(default_factory=World)
    outages: tuple[Outage, ...] = ()
    logged: list[Violation] = field(default_factory=list)  # what should not have been
    live: list[Process] = field(default_factory=list)
    trace: list[tuple[datetime, str, str, Any]] = field(default_factory=list)
    answers: list[tuple[datetime, str, Any]] = field(default_factory=list)  # what poll and status answered or raised
    faults: Counter[Fault] = field(default_factory=Counter)
    calls: int = 0
    begun: int = 0
    plan: dict[int, Fault] = field(default_factory=dict)  # which call meets which fault, by the calls before it
    people: bool = False  # act at any time
    offered: list[tuple[int, Fault]] = field(default_factory=list)  # what a plan could say
    broken: Violation | None = None

    def begin(self, poll: float = 0, status: float = 30) -> None:
        """Set up Cloud Scheduler: each function's first call comes after these seconds."""
        self.world.plan(timedelta(seconds=poll), Tick("poll"))
        self.world.plan(timedelta(seconds=status), Tick("status"))

    def fork(self) -> "Simulation":
        """Return a simulation of its own that goes on from here; only where no invocation lives."""
        forked = Simulation(self.deployment, self.world.fork(), self.outages, self.logged, people=self.people)
        forked.calls, forked.begun = self.calls, self.begun
        return forked

    # what a scheduler can choose

    def go(self, process: Process, fault: Fault | None = None) -> None:
        """Let an invocation make its next call, which meets this fault."""
        call = process.call
        if call is None:
            raise ValueError(f"{process.name} is over")
        self.calls += 1
        if fault is None:
            fault = next((o.fault for o in self.outages if o.hits(call, self.world.now)), None)
        else:
            self.faults[fault] += 1
        self._meet(process, call, fault)
        self._reap()
        self.check()

    def call(self, verb: str) -> None:
        """Call poll or status, whether it is time or not."""
        self._start(verb)
        self.check()

    def let_time_pass(self) -> None:
        """Let time pass until something happens: an event, a hold that ends, a function's timeout."""
        timed = [(p.deadline, p.begun, p) for p in self.live] + [(p.wakes, p.begun, p) for p in self.live if p.wakes]
        at, _, process = min(timed, default=(None, 0, None), key=lambda one: one[:2])
        if process is None or at is None or (self.world.agenda and self.world.agenda[0].at <= at):
            self._happen(self.world.next())
        else:
            self.world.now = max(self.world.now, at)
            if at == process.deadline:
                self._tell(process.name, "is killed at its timeout")
                process.die()
            process.wakes = None
            self._reap()
        self.check()

    def step(self) -> None:
        """Do what comes next when nothing goes wrong."""
        ready = next((process for process in self.live if process.ready), None)
        if ready and ready.call:
            faults = (*possible(ready.call), *(PEOPLE if self.people else ()))
            self.offered += [(self.calls, fault) for fault in faults]
            self.go(ready, self.plan.get(self.calls))
        else:
            self.let_time_pass()

    def until_nobody_lives(self) -> None:
        """Let the next event happen and, where it calls a function, the invocation end, and all that live beside it."""
        self.step()
        while self.live:
            self.step()
        if self.world.now > START + PATIENCE:
            self._violated(Violation("it never comes to rest", invariants.left(self.world)))

    def rest(self) -> None:
        """Let all come to rest, with nothing more going wrong, and see that it is well then."""
        until = self.world.now + PATIENCE
        while self.live or not invariants.at_rest(self.world):
            if self.world.now > until:
                self._violated(Violation("it never comes to rest", invariants.left(self.world)))
            self.step()
        for violation in invariants.in_the_end(self.world):
            self._violated(violation)

    def check(self) -> None:
        """See that all that must always hold does hold."""
        for violation in self.logged:
            self._violated(violation)
        for violation in invariants.always(self.world, self.deployment.max_jobs):
            self._violated(violation)

    def end(self) -> None:
        """Let all that lives die, so that no thread is left."""
        for process in self.live:
            process.die()
        self.live.clear()

    def note(self, what: str) -> None:
        """Write something down."""
        self._tell("", what)

    def lines(self) -> Iterator[str]:
        """Yield the trace, line by line."""
        for at, who, what, answer in self.trace:
            yield f"{str(at - START).rjust(8)}  {who:<9} {what}{f' → {shown(answer)}' if answer is not None else ''}"

    # how it comes about

    def _happen(self, event: Event) -> None:
        match event:
            case Tick(verb):
                self.world.plan(EVERY, event)
                self._start(verb)
            case Delivery():
                self._start("submit", event)
            case Happening(what, happen):
                happen(self.world)
                self._tell("", what)

    def _start(self, verb: str, delivery: Delivery | None = None) -> Process:
        self.begun += 1
        name = f"{verb}-{self.begun}"
        process = Process(name, verb, self.begun, self.world.now + TIMEOUTS[verb], delivery)
        work = self.deployment.work(verb, process.cross, lambda: self.world.now, name, delivery)
        self.live.append(process)
        process.begin(work)
        self._reap()
        return process

    def _meet(self, process: Process, call: Call, fault: Fault | None) -> None:
        said = " ".join(f"{call.name} {call.about}".split()) + (f"  !! {fault}" if fault else "")
        match fault:
            case Fault.DIES:
                process.die()
                self._tell(process.name, said)
            case Fault.SLOW:
                process.wakes = self.world.now + SLOW
                self._tell(process.name, said)
            case Fault.TWIN:
                self._tell(process.name, said)
                process.held_for = self._start(process.verb, process.delivery)
            case Fault.LATE | Fault.DIES_LATE:
                self.world.plan(LATE, Happening(f"{call.name} {call.about} arrives", _landing(call)))
                self._tell(process.name, said)
                if fault is Fault.DIES_LATE:
                    process.die()
                else:
                    process.answer(_raiser(error_of(fault, call)))
            case Fault() if fault in NO_EFFECT:
                self._tell(process.name, said)
                process.answer(_raiser(error_of(fault, call)))
            case _:
                self._reach(process, call, fault, said)

    def _reach(self, process: Process, call: Call, fault: Fault | None, said: str) -> None:
        """Let a call have its effect, after the time that it takes."""
        if call.takes and process.waited_for is not call:
            process.wakes, process.waited_for = self.world.now + call.takes, call
            return
        if fault in BEFORE:
            BEFORE[fault](self.world)
        if fault is Fault.DOUBLE and process.delivery and call.system == "platform":
            self.world.plan(LONG_AFTER, process.delivery)
        elif fault is Fault.DOUBLE:
            call.effect(self.world)
        self.world.vertex.lags = fault is Fault.LAGS
        try:
            answer = call.effect(self.world)
        except LaunchError as exc:
            self._tell(process.name, said, repr(exc))
            given: Callable[[], Any] = _raiser(exc)
        else:
            self._tell(process.name, said, answer)
            given = lambda: answer  # noqa: E731
        self.world.vertex.lags = False
        process.answer(_raiser(error_of(fault, call)) if fault is Fault.LOST else given)

    def _reap(self) -> None:
        """See what has become of those that are over."""
        for process in [process for process in self.live if process.over]:
            self.live.remove(process)
            if process.error and is_mistake(process.error):
                self._violated(Violation("a verb fell over", repr(process.error)))
            if process.delivery and (process.dead or process.error):
                self._deliver_again(process.delivery)
            elif not process.dead:
                self.answers.append((self.world.now, process.verb, process.error or process.result))

    def _deliver_again(self, delivery: Delivery) -> None:
        """Do what Pub/Sub does with a message that was not acknowledged."""
        if delivery.times >= DELIVERIES:
            self.world.dead_letters += (delivery.key,)
            return
        after = min(10 * 2 ** (delivery.times - 1), 600)
        again = Delivery(delivery.message, delivery.key, delivery.times + 1)
        self.world.plan(timedelta(seconds=after), again)

    def _tell(self, who: str, what: str, answer: Any = None) -> None:
        self.trace.append((self.world.now, who, what, answer))

    def _violated(self, violation: Violation) -> NoReturn:
        self.broken = violation
        self.end()
        self._tell("", f"VIOLATED {violation}")
        raise violation


def _landing(call: Call) -> Callable[[World], None]:
    def land(world: World) -> None:
        try:
            call.effect(world)
        except LaunchError:
            return  # its answer, a refusal, has nobody to go to

    return land


def _raiser(exc: Exception) -> Callable[[], NoReturn]:
    def give() -> NoReturn:
        raise exc

    return give
