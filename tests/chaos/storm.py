"""The storm on a running stack: enqueue the items, make trouble, pause for calm, and wait until nothing moves."""

import itertools
import random
import socket
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict

from deploy.local.processes import HOST, NotStartedError
from deploy.local.stack import FUNCTIONS, Stack
from tests.chaos.freezing import Freezer
from tests.chaos.items import Item
from tests.chaos.outside import STAND_INS, Outside
from tests.chaos.rounds import Rounds
from tests.chaos.trouble import AIMS, Aim, Plan, Seen, Show

KILLS_UNTIL, FAULTS_UNTIL = 0.6, 0.9  # of all launches have ended; there is work for all functions till then
LULLS, ITEMS_PER_LULL = 3, 200  # pauses of the storm at least, and one more for each so many items
LULL_ROUNDS = 4  # calm rounds of a pause
LULL_SECONDS = 90.0  # of a pause at most, on a slow machine; rounds.SETTLING is a part of it
SHAPES = ("usual", "errors", "403", "404", "409", "null", "mixed")  # of W&B, one after the other
FROZEN = {"poll": 9.0, "submit": 14.0, "status": 12.0}  # seconds; longer than each one's lease or budget
PATIENCE = 90.0  # seconds in which all functions serve and no launch ends: what is open then is stuck
BEGINS = 240.0  # seconds that a killed function may take to serve again; on a busy machine imports take long
QUIET = 5.0  # seconds in which nothing is open: longer than the latest duplicate takes
AIM_SECONDS = 8.0  # to wait for the call in whose middle a function is to be killed


class Storm:
    """Items and trouble on a stack, drawn from one source."""

    def __init__(
        self, stack: Stack, outside: Outside, rounds: Rounds, items: Sequence[Item], plan: Plan, rng: random.Random
    ) -> None:
        self._stack = stack
        self._outside = outside
        self._rounds = rounds
        self._items = items
        self._plan = plan
        self._rng = rng
        self._freezer = Freezer(stack.processes)
        # trouble is timed by launches that have ended, so that each kill and freeze meets work
        self._due = sorted([*self._victims(plan.kills, "kill"), *self._victims(plan.freezes, "freeze")])
        aims = {name: itertools.cycle(AIMS[name]) for name in FUNCTIONS}
        self._aims = [next(aims[name]) for _, name, _ in self._due]
        self._wandb = itertools.cycle(SHAPES)
        self._to_stop = {item.name for item in items if item.kind.stop == "running"}
        self._to_delete = {item.name for item in items if item.kind.vanishes == "launched"}
        self._enqueued = 0
        self._deleted = 0  # before poll could pop them, as far as anybody knows
        self._last, self._moved = (0, 0), time.monotonic()
        self.ids: dict[str, str] = {}  # of the items in W&B, by name
        self.kills: Counter[str] = Counter()
        self.freezes: Counter[str] = Counter()
        self.aimed = 0  # kills and freezes in the middle of a call
        self.agents = 0  # records of agents that were deleted
        self.restarts: Counter[str] = Counter()  # of functions that ended by themselves

    def _victims(self, number: int, what: str) -> list[tuple[float, str, str]]:
        names = list(itertools.islice(itertools.cycle(FUNCTIONS), number))
        self._rng.shuffle(names)
        return [(self._rng.uniform(0, KILLS_UNTIL * len(self._items)), name, what) for name in names]

    def enqueue(self) -> None:
        """Enqueue everything, each item as its kind asks; in a thread of its own."""
        outside = self._outside.again()
        for item in self._items:
            if item.kind.published:
                self._publish([item, item])  # as an impatient system would
            else:
                self.ids[item.name] = outside.push(item)
            if item.kind.stop == "queued":
                outside.press_stop(item.run_id)
            if item.kind.vanishes == "queued":
                outside.delete_item(self.ids[item.name])
                self._deleted += 1
            self._enqueued += 1

    def rage(self, show: Show) -> None:
        """Make trouble whenever it is time, until most launches have ended or nothing moves any more."""
        self._set_rates(self._plan.rate)
        lulls = LULLS + len(self._items) // ITEMS_PER_LULL
        pauses = {len(self._due) * (nth + 1) // (lulls + 1) for nth in range(lulls)}
        for nth, ((after, name, what), aim) in enumerate(zip(self._due, self._aims, strict=True)):
            if not self._reaches(after, show):
                return
            if nth in pauses:
                self._pause(show)
            self.aimed += self._wait_for(aim)
            if what == "kill":
                self._kill(name)
            elif self._freezer.freeze(name, FROZEN[name]):
                self.freezes[name] += 1
            if nth % 5 == 0:
                self._outside.refuse_in(next(self._wandb))
            if nth % 9 == 0:
                self.agents += self._outside.delete_agents()
        self._reaches(FAULTS_UNTIL * len(self._items), show)
        self._publish([item for item in self._items if item.kind.published])  # once more: by now most are long over

    def _kill(self, name: str) -> None:
        self._freezer.forget(name)
        self._stack.processes.kill(name)
        self._stack.start_function(name)
        self.kills[name] += 1

    def _pause(self, show: Show) -> None:
        """Make no trouble for a while, with all that it has left behind."""
        self._calm()
        until = self._rounds.waits.rounds + LULL_ROUNDS
        deadline = time.monotonic() + LULL_SECONDS
        while self._rounds.waits.rounds < until and time.monotonic() < deadline:
            self._look(show)
            time.sleep(0.2)
        self._rounds.disturb()
        self._set_rates(self._plan.rate)

    def _calm(self) -> None:
        self._set_rates(0)
        self._freezer.thaw(everything=True)
        self._await_functions()
        self._rounds.allow()

    def _await_functions(self) -> None:
        """Wait until all functions serve: one may have been killed just now, and none of it is a launch's fault."""
        deadline = time.monotonic() + BEGINS
        for name in FUNCTIONS:
            self._keep_up()
            self._stack.processes.await_port(name, getattr(self._stack.ports, name), deadline)

    def _set_rates(self, rate: float) -> None:
        for server in STAND_INS:
            shapes = {"shapes": self._plan.shapes} if self._plan.shapes else {}
            self._outside.control(server, {"rate": rate, **shapes})

    def calm_down(self, show: Show) -> None:
        """Let nothing fail any more, and wait until all launches are closed and stay so, or nothing moves any more."""
        self._outside.calm_topic()
        self._calm()
        quiet_since = time.monotonic()
        while not self._stuck:
            seen = self._look(show)
            if seen.open or seen.enqueued < len(self._items) or self._waiting():
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > QUIET:
                return
            time.sleep(0.2)

    def _waiting(self) -> bool:
        """Tell whether an item waits for poll."""
        return any(item["state"] in ("PENDING", "LEASED") for item in self._outside.items())

    def _publish(self, items: Sequence[Item]) -> None:
        """Ask for these items as another system does."""
        for item in items:
            self._outside.publish(item)

    def _reaches(self, ended: float, show: Show) -> bool:
        """Wait until so many launches have ended; False where nothing moves any more."""
        while self._look(show).ended < ended:
            if self._stuck:
                return False
            time.sleep(0.2)
        return True

    def _wait_for(self, aim: Aim | None) -> bool:
        """Wait for the moment of a kill: any, or one at which such a call is under way; tell whether it came."""
        if aim is None:
            time.sleep(self._rng.uniform(0, 1))
            return False
        server, hold = aim
        self._outside.control(server, {"hold": asdict(hold)})
        deadline = time.monotonic() + AIM_SECONDS
        while time.monotonic() < deadline:
            if self._outside.held(server):
                return True
            time.sleep(0.02)
        self._outside.control(server, {"hold": None})
        return False

    def _look(self, show: Show) -> Seen:
        """Look at the ledger and the stand-ins, show it, and press stop where it is time."""
        self._keep_up()
        if self._to_stop:
            running = {run["display_name"]: run["name"] for run in self._outside.runs() if run["state"] == "running"}
            for name in self._to_stop & running.keys():
                self._outside.press_stop(running[name])
                self._to_stop.remove(name)
        self._delete_those_that_run()
        opened, ended = self._outside.launches("open/"), len(self._outside.launches("closed/"))
        ended = min(ended + self._deleted, len(self._items))
        launched = ended + sum(found.get("metadata", {}).get("state") in ("SUBMITTED", "ENDED") for found in opened)
        given = sum(counted.total() for counted in self._outside.faults().values())
        kills, freezes = self.kills.total(), self.freezes.total()
        seen = Seen(self._enqueued, launched, ended, len(opened), kills, freezes, given)
        if (seen.enqueued, seen.ended) != self._last:
            self._last, self._moved = (seen.enqueued, seen.ended), time.monotonic()
        if not all(_listens(getattr(self._stack.ports, name)) for name in FUNCTIONS):
            self._moved = max(self._moved, time.monotonic() - PATIENCE / 2)  # nothing can move meanwhile
        show(seen)
        return seen

    def _delete_those_that_run(self) -> None:
        """Delete the items from their queue whose kind asks for it once their job runs."""
        if not self._to_delete:
            return
        running = {job["display_name"] for job in self._outside.jobs()}
        for name in self._to_delete & running & self.ids.keys():
            self._outside.delete_item(self.ids[name])
            self._to_delete.remove(name)

    def _keep_up(self) -> None:
        """Start a function that has ended by itself again, as the platform does; nothing else may end."""
        self._freezer.thaw()
        if self._rounds.problem:
            raise self._rounds.problem
        processes = self._stack.processes
        while gone := processes.ended():
            if gone not in FUNCTIONS:
                raise NotStartedError(f"{gone} has ended:\n{processes.tail(gone)}")
            self._stack.start_function(gone)
            self.restarts[gone] += 1

    @property
    def _stuck(self) -> bool:
        return time.monotonic() - self._moved > PATIENCE


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
