"""The scheduler: says who goes on, what time brings, and what goes wrong; writes down what happened."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn

from shared.core.cadence import Mode
from shared.core.errors import LaunchError
from shared.core.launch import Launch, State
from tests.simulation import invariants
from tests.simulation.deployment import TIMEOUTS, Deployment
from tests.simulation.faults import (
    FROZEN,
    HOURS,
    LATE,
    LONG_AFTER,
    NO_EFFECT,
    PEOPLE,
    SLOW,
    Fault,
    error_of,
    possible,
)
from tests.simulation.invariants import Violation
from tests.simulation.logs import DOUBLED, LOST_CLAIM, is_mistake
from tests.simulation.processes import Call, Process
from tests.simulation.shown import shown
from tests.simulation.world import EVERY, START, Delivery, Event, Happening, Tick, WakeUp, World

HELD_UP = (Fault.SLOW, Fault.TWIN, Fault.FROZEN, Fault.HOURS, Fault.DIES)  # the call is not sent yet
ODD = (Fault.PARTLY, Fault.UNREADABLE)  # the answer itself shows the fault
WARM = timedelta(minutes=20)  # within which poll and status stay for another round after the last work
TICKS = 3  # within which an item is served: one may have begun before, and one waits for the item's lease
DELIVERIES = 20  # of a message, before it is a dead letter
PATIENCE = timedelta(hours=6)  # within which a world has to come to rest when no more faults come

BEFORE: dict[Fault | None, Callable[[World], object]] = {  # what happens before a call has its effect
    Fault.EXPIRES: lambda world: world.wandb.end_leases(),
    Fault.TAKEN: World.take,
    Fault.STOPPED: World.stop_all,
    Fault.REMOVED: World.remove_all,
    Fault.DELETED: World.delete_all,
    Fault.CANCELLED: World.cancel_all,
    Fault.FORGOTTEN: lambda world: world.wandb.forget(),
}


@dataclass(frozen=True)
class Outage:
    """A system is out of order for a time: each call to it, or those of these names, meets this fault."""

    system: str
    since: datetime
    until: datetime
    fault: Fault = Fault.UNAVAILABLE
    except_for: tuple[str, ...] = ()
    only: str = ""  # this call

    def hits(self, call: Call, now: datetime) -> bool:
        """Tell whether a call meets it now."""
        hit = call.system == self.system and self.only in ("", call.name) and call.name not in self.except_for
        return hit and self.since <= now < self.until


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
    idle: Counter[str] = field(default_factory=Counter)  # calls in a row that left an item waiting, with room for it
    idle_since: datetime = START
    broken: Violation | None = None

    def begin(self, poll: float = 0, status: float = 30) -> None:
        """Set up Cloud Scheduler: each function's first call comes after these seconds."""
        self.world.plan(timedelta(seconds=poll), Tick("poll"))
        self.world.plan(timedelta(seconds=status), Tick("status"))

    def fork(self) -> "Simulation":
        """Return a simulation of its own that goes on from here; only where no invocation lives."""
        forked = Simulation(self.deployment, self.world.fork(), self.outages, self.logged, people=self.people)
        forked.calls, forked.begun, forked.idle = self.calls, self.begun, Counter(self.idle)
        forked.idle_since = self.idle_since
        return forked

    # what a scheduler can choose

    def go(self, process: Process, fault: Fault | None = None) -> None:
        """Let an invocation make its next call, which meets this fault."""
        call = process.call
        if call is None:
            raise ValueError(f"{process.name} is over")
        self.calls += 1
        process.disturbed = process.disturbed or process.timed_out
        if fault is None:
            outage = next((outage for outage in self.outages if outage.hits(call, self.world.now)), None)
            fault = outage.fault if outage else None
            process.disturbed = process.disturbed or bool(outage and not outage.only)
        else:
            self.faults[fault] += 1
            process.disturbed = True
        self._meet(process, call, fault)
        if process.overslept or process.timed_out:  # others may have taken its claim over, as they should
            self.logged[:] = [one for one in self.logged if one.name != LOST_CLAIM]
        self._reap()
        self.check()

    def call(self, verb: str) -> None:
        """Call poll or status, whether it is time or not."""
        self._start(verb)
        self.check()

    def let_time_pass(self) -> None:
        """Let time pass until something happens: an event, a hold that ends, a function's timeout."""
        works = invariants.works(self.world)
        self._pass()
        if works:
            self.world.worked_at = self.world.now
        self.check()

    def _pass(self) -> None:
        timed = [(p.deadline, p.begun, p) for p in self.live if not p.timed_out] + [
            (p.wakes, p.begun, p) for p in self.live if p.wakes
        ]
        at, _, process = min(timed, default=(None, 0, None), key=lambda one: one[:2])
        if process is None or at is None or (self.world.agenda and self.world.agenda[0].at <= at):
            self._happen(self.world.next())
        else:
            self.world.now = max(self.world.now, at)
            if process.wakes == at:
                process.wakes = None
            else:
                self._time_out(process)

    def step(self) -> None:
        """Do what comes next when nothing goes wrong."""
        ready = next((process for process in self.live if process.ready), None)
        if ready and ready.call:
            faults = (*possible(ready.call, ready.checked), *(PEOPLE if self.people else ()))
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
            self._violated(Violation("the work never ends", invariants.left(self.world)))

    def rest(self) -> None:
        """Let all come to rest, with nothing more going wrong, and see that it is well then."""
        until = self.world.now + PATIENCE
        while self.live or not invariants.at_rest(self.world):
            if self.world.now > until:
                self._violated(Violation("the work never ends", invariants.left(self.world)))
            self.step()
        for violation in invariants.in_the_end(self.world):
            self._violated(violation)

    def check(self) -> None:
        """See that all that must always hold does hold."""
        for violation in self.logged:
            if violation.name != DOUBLED or not self.world.vertex.unasked:  # else it is right to say so
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
            case WakeUp(times):
                self._start("poll", woken=times)
            case Happening(what, happen):
                happen(self.world)
                self._tell("", what)

    def _time_out(self, process: Process) -> None:
        """Answer its caller with 504. The invocation itself does not notice, and goes on when it may."""
        self._tell(process.name, "has outlived its timeout")
        process.timed_out = True
        if process.delivery:
            self._deliver_again(process.delivery)

    def _start(self, verb: str, delivery: Delivery | None = None, woken: int = 0) -> Process:
        self.begun += 1
        name = f"{verb}-{self.begun}"
        process = Process(name, verb, self.begun, self.world.now + TIMEOUTS[verb], delivery)
        process.woken = woken
        work = self.deployment.work(verb, process.cross, lambda: self.world.now, name, delivery, bool(woken))
        self.live.append(process)
        process.begin(work)
        self._reap()
        return process

    def _meet(self, process: Process, call: Call, fault: Fault | None) -> None:
        line = " ".join(f"{call.name} {call.about}".split()) + (f"  !! {fault}" if fault else "")
        if call.name == "vertex.create" and fault not in HELD_UP:
            self._see_claim(call)
        if call.name == "wait" and not (process.overslept or process.timed_out):
            self._see_work()
        match fault:
            case Fault.DIES:
                process.die()
                self._tell(process.name, line)
            case Fault.SLOW:
                process.wakes = self.world.now + SLOW
                self._tell(process.name, line)
            case Fault.FROZEN | Fault.HOURS:
                process.wakes = self.world.now + (FROZEN if fault is Fault.FROZEN else HOURS)
                process.overslept = True
                self._tell(process.name, line)
            case Fault.TWIN:
                self._tell(process.name, line)
                process.held_for = self._start(process.verb, process.delivery, process.woken)
            case Fault.LATE:
                self.world.plan(LATE, Happening(f"{call.name} {call.about} arrives", _landing(call)))
                self._tell(process.name, line)
                process.answer(_raiser(error_of(fault, call)))
            case Fault() if fault in NO_EFFECT:
                self._tell(process.name, line)
                process.answer(_raiser(error_of(fault, call)))
            case _:
                self._reach(process, call, fault, line)

    def _see_work(self) -> None:
        """See that nobody stays for another round long after the last work."""
        quiet = self.world.now - self.world.worked_at
        if self.deployment.cadence.mode is Mode.ADAPTIVE and quiet > WARM:
            self._violated(Violation("fast without work", f"for {quiet}"))

    def _see_claim(self, call: Call) -> None:
        """See that a create is sent only while its launch is claimed, and for long enough for the call."""
        key, _, attempt = call.about.split()
        found = self.world.bucket.read(f"open/{key}")
        entry = found[1].entry if found and isinstance(found[1], Launch) else None
        until = entry.lease_until if entry and entry.state is State.SUBMITTING else None
        if entry is None or until is None or until <= self.world.now + LATE or str(entry.attempt) != attempt:
            self._violated(Violation("a create without a claim that outlasts it", call.about))
        if key in self.world.cancelled:
            self._violated(Violation("a create of a cancelled launch", call.about))

    def _reach(self, process: Process, call: Call, fault: Fault | None, line: str) -> None:
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
        self.world.odd = fault in ODD
        try:
            answer = call.effect(self.world)
        except LaunchError as exc:
            self._tell(process.name, line, repr(exc))
            given: Callable[[], Any] = _raiser(exc)
        else:
            self._tell(process.name, line, answer)
            if call.name == "ledger.delete" or "as ENDED" in call.about or (call.name == "wandb.pop" and answer):
                self.world.worked_at = self.world.now
            given = lambda: answer  # noqa: E731
        self.world.vertex.lags = self.world.odd = False
        process.answer(_raiser(error_of(fault, call)) if fault is Fault.LOST else given)

    def _reap(self) -> None:
        """See what has become of those that are over."""
        for process in [process for process in self.live if process.over]:
            self.live.remove(process)
            if process.error and is_mistake(process.error):
                self._violated(Violation("a function raised an error", repr(process.error)))
            if process.timed_out:
                continue  # nobody waits for its answer any more
            if process.woken and (process.dead or process.error) and process.woken < DELIVERIES:
                self.world.ring(timedelta(seconds=10), process.woken + 1)
            if process.delivery and (process.dead or process.error):
                self._deliver_again(process.delivery)
            elif not process.dead:
                self._see_waiting(process)
                self.answers.append((self.world.now, process.verb, process.error or process.result))

    def _see_waiting(self, process: Process) -> None:
        """See that no item waits for long while there is room: counted are calls that nothing has disturbed."""
        if process.error or process.verb == "submit":
            return
        took = process.verb == "poll" and (process.result.launched or process.result.refused)
        could_go = invariants.waiting(self.world) and invariants.room(self.world, self.deployment.max_jobs) > 0
        late = any(error.startswith("time: ") for error in process.result.errors)  # its budget was spent: it says so
        asked = process.verb == "status" or (process.result.polled and not late)
        if took or not could_go:
            self.idle.clear()
            self.idle_since = self.world.now
        elif asked and not process.disturbed:
            self.idle[process.verb] += 1
            long = self.world.now - self.idle_since > TICKS * EVERY
            if long and min(self.idle["poll"], self.idle["status"]) > TICKS:
                items = ", ".join(invariants.waiting(self.world))
                self._violated(Violation("an item waits because of another", items))

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
