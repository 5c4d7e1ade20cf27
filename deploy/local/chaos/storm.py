"""The storm on a running stack: enqueue the items, kill functions, press stop, and wait until nothing moves."""

import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from deploy.local.chaos.items import Item
from deploy.local.chaos.outside import STAND_INS, Outside
from deploy.local.faults import Hold
from deploy.local.processes import NotStartedError
from deploy.local.stack import ENTITY, FUNCTIONS, PROJECT, QUEUE, START_SECONDS, TOPIC, Stack
from shared.core.message import Queue, Request, encode

KILLS_UNTIL, FAULTS_UNTIL = 0.6, 0.9  # of all launches have ended; there is work for all functions till then
PATIENCE = 90.0  # seconds in which no launch ends: whatever is open then is stuck
QUIET = 5.0  # seconds in which nothing is open: longer than the latest duplicate takes
AIM_SECONDS = 8.0  # to wait for the call in whose middle a function is to be killed
Aim = tuple[str, Hold]  # a stand-in, and that call
_CREATE = r"^POST \S+/customJobs\n"
AIMS: dict[str, tuple[Aim | None, ...]] = {  # of the first kill, the second, …, and again; None: any moment
    "poll": (
        ("wandb", Hold("ackRunQueueItem", worked=True)),
        None,
        ("wandb", Hold("popFromRunQueue", worked=True)),
        ("wandb", Hold("ackRunQueueItem", worked=False)),
    ),
    "submit": (
        ("vertex", Hold(_CREATE, worked=True)),
        None,
        ("vertex", Hold(_CREATE, worked=False)),
        ("wandb", Hold("GetRunQueueMetadata", worked=True)),
    ),
    "status": (
        ("wandb", Hold("failRunQueueItem", worked=False)),
        None,
        ("wandb", Hold("failRunQueueItem", worked=True)),
        ("vertex", Hold(":cancel", worked=False)),
    ),
}


@dataclass(frozen=True)
class Seen:
    """How far it has come."""

    enqueued: int
    launched: int  # a CustomJob exists, or did
    ended: int
    open: int
    kills: int
    faults: int

    @property
    def line(self) -> str:
        """Return it as one line."""
        return (
            f"enqueued {self.enqueued}, launched {self.launched}, ended {self.ended}; "
            f"kills {self.kills}, faults given {self.faults}"
        )


Show = Callable[[Seen], None]


class Storm:
    """Items and kills on a stack, drawn from one source."""

    def __init__(self, stack: Stack, outside: Outside, items: Sequence[Item], kills: int, rng: random.Random) -> None:
        self._stack = stack
        self._outside = outside
        self._items = items
        self._rng = rng
        names = list(itertools.islice(itertools.cycle(FUNCTIONS), kills))
        rng.shuffle(names)
        # when it is time for a kill is said in launches that have ended, so that every one meets work
        times = sorted(rng.uniform(0, KILLS_UNTIL * len(items)) for _ in range(kills))
        aims = {name: itertools.cycle(AIMS[name]) for name in FUNCTIONS}
        self._due = [(after, name, next(aims[name])) for after, name in zip(times, names, strict=True)]
        self._to_stop = {item.name for item in items if item.kind.stop == "running"}
        self._enqueued = 0
        self._last, self._moved = (0, 0), time.monotonic()
        self.kills: Counter[str] = Counter()
        self.aimed = 0  # kills in the middle of a call
        self.restarts: Counter[str] = Counter()  # of functions that ended by themselves

    def enqueue(self) -> None:
        """Enqueue everything, each item as its kind asks; in a thread of its own."""
        outside = Outside(self._stack)
        for item in self._items:
            if item.kind.published:
                self._publish([item, item])  # as an impatient system would
            else:
                outside.push(item)
            if item.kind.stop == "queued":
                outside.press_stop(item.run_id)
            self._enqueued += 1

    def rage(self, show: Show) -> None:
        """Kill a function whenever it is time, until most launches have ended or nothing moves any more."""
        for after, name, aim in self._due:
            if not self._reaches(after, show):
                return
            self.aimed += self._wait_for(aim)
            self._stack.processes.kill(name)
            self._stack.start_function(name)
            self.kills[name] += 1
        self._reaches(FAULTS_UNTIL * len(self._items), show)
        self._publish([item for item in self._items if item.kind.published])  # once more: by now most are long over

    def calm_down(self, show: Show) -> None:
        """Let nothing fail any more, and wait until all launches are closed and stay so, or nothing moves any more."""
        for server in STAND_INS:
            self._outside.control(server, {"rate": 0})
        self._keep_up()
        deadline = time.monotonic() + START_SECONDS
        for name in FUNCTIONS:  # one may have been killed just now
            self._stack.processes.await_port(name, getattr(self._stack.ports, name), deadline)
        quiet_since = time.monotonic()
        while not self._stuck:
            seen = self._look(show)
            if seen.open or seen.ended < len(self._items):
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > QUIET:
                return
            time.sleep(0.2)

    def _publish(self, items: Sequence[Item]) -> None:
        """Ask for these items as another system does."""
        publisher = self._stack.publisher()
        for item in items:
            queue = Queue(entity=ENTITY, name=QUEUE)
            request = Request(source="chaos", idempotency_key=item.name, run_spec=item.run_spec, queue=queue)
            publisher.publish(publisher.topic_path(PROJECT, TOPIC), encode(request)).result(timeout=30)

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
        opened, ended = self._outside.launches("open/"), len(self._outside.launches("closed/"))
        launched = ended + sum(found["metadata"]["state"] in ("SUBMITTED", "ENDED") for found in opened)
        given = sum(counted.total() for counted in self._outside.faults().values())
        seen = Seen(self._enqueued, launched, ended, len(opened), self.kills.total(), given)
        if (seen.enqueued, seen.ended) != self._last:
            self._last, self._moved = (seen.enqueued, seen.ended), time.monotonic()
        show(seen)
        return seen

    def _keep_up(self) -> None:
        """Start a function that has ended by itself again, as the platform does; nothing else may end."""
        processes = self._stack.processes
        while gone := processes.ended():
            if gone not in FUNCTIONS:
                raise NotStartedError(f"{gone} has ended:\n{processes.tail(gone)}")
            self._stack.start_function(gone)
            self.restarts[gone] += 1

    @property
    def _stuck(self) -> bool:
        return time.monotonic() - self._moved > PATIENCE
