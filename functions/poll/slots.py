"""Choose the next queue while slots are free; every call counts them in the ledger afresh."""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.core.launch import Entry, State
from shared.core.message import Queue
from shared.core.pause import Pause, pause_of

MAX_STRIKES = 3  # useless items of a queue in one round; then it waits for the next call


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on open launches that came from queues. -1: no limit."""

    max_jobs: int = 1
    max_schedulers: int = 1  # of sweeps; not counted as jobs, or a sweep would wait for itself
    max_queued: int = 100


class Slots:
    """Return the queues in turn while slots are free, without those that are empty or failed.

    A queue is held while one of its launches waits for capacity, or while a person has paused it:
    its other items stay in W&B, which orders them by priority. `held` gives the reason by queue,
    `full` the limits that are reached, `headroom` how many more launches `max_jobs` allows (-1: any
    number).

    Ended launches and those of requests take no slot. An unreadable record takes one of each kind.
    """

    def __init__(
        self,
        queues: Sequence[Queue],
        entries: Sequence[Entry],
        unreadable: int,
        limits: Limits,
        first: int = 0,
        paused: Iterable[Pause] = (),
    ) -> None:
        counted = [
            entry for entry in entries if not entry.of_request and entry.state is not State.ENDED
        ]
        self._schedulers = {entry.key for entry in counted if entry.scheduler}
        self._max_schedulers = limits.max_schedulers
        self._unreadable = unreadable  # each may be a scheduler
        queued = [entry for entry in counted if entry.state is State.QUEUED]
        jobs = len(counted) - len(self._schedulers)
        limited = [
            (name, used + unreadable, most)
            for name, used, most in (
                ("max_queued", len(queued), limits.max_queued),
                ("max_jobs", jobs, limits.max_jobs),
            )
            if most >= 0
        ]
        self._room = max(min((most - used for _, used, most in limited), default=0), 0)
        reached = [f"{used} of {most} {name}" for name, used, most in limited if used >= most]
        self.full = ", ".join(reached)
        used = jobs + unreadable
        self.headroom = max(limits.max_jobs - used, 0) if limits.max_jobs >= 0 else -1
        self.held = {**_held(queues, counted), **_paused(queues, tuple(paused))}
        self._queues = deque(queue for queue in queues if queue not in self.held)
        self._queues.rotate(-first)  # with one slot, the same queue would always come first
        self._open = frozenset(self._queues)  # those that this round may pop
        self._strikes: Counter[Queue] = Counter()
        self._lock = threading.Lock()

    @property
    def is_full(self) -> bool:
        """Tell whether no slot is free."""
        with self._lock:
            return not self._room

    @property
    def free(self) -> bool:
        """Tell whether another round could take an item: a slot is free, a queue is not held."""
        return bool(self._open) and not self.is_full

    def next(self) -> Queue | None:
        """Reserve a slot for one item of the next queue; None without a free slot or a queue."""
        with self._lock:
            if not self._room or not self._queues:
                return None
            self._room -= 1
            self._queues.rotate(-1)
            return self._queues[-1]

    def admits(self, key: str) -> bool:
        """Reserve a slot for a sweep's scheduler; an open one keeps its slot."""
        with self._lock:
            taken = len(self._schedulers) + self._unreadable
            if key not in self._schedulers and 0 <= self._max_schedulers <= taken:
                return False
            self._schedulers.add(key)
            return True

    def leave_out(self, name: str) -> None:
        """Remove the queue of this name."""
        with self._lock:
            self._queues = deque(queue for queue in self._queues if queue.name != name)
            self._open = frozenset(self._queues)

    def drop(self, queue: Queue) -> None:
        """Free the reserved slot, and remove this queue."""
        with self._lock:
            self._room += 1
            self._remove(queue)

    def strike(self, queue: Queue) -> None:
        """Free the slot of an item that is not ours; remove the queue after a few of them."""
        with self._lock:
            self._room += 1
            self._strikes[queue] += 1
            if self._strikes[queue] >= MAX_STRIKES:
                self._remove(queue)

    def give_back(self) -> None:
        """Free the slot of an item that needs none."""
        with self._lock:
            self._room += 1

    def _remove(self, queue: Queue) -> None:
        if queue in self._queues:
            self._queues.remove(queue)


def _paused(queues: Sequence[Queue], paused: Sequence[Pause]) -> dict[Queue, str]:
    """Return who paused queues, by queue."""
    pauses = {queue: pause_of(queue.name, paused) for queue in queues}
    return {queue: f"paused {pause}" for queue, pause in pauses.items() if pause}


def _held(queues: Sequence[Queue], entries: Sequence[Entry]) -> dict[Queue, str]:
    """Return why queues are held, by queue."""
    held = {}
    for queue in queues:
        waiting = [entry for entry in entries if entry.holds_queue and entry.queue == queue]
        if waiting:
            kinds = ", ".join(sorted({str(entry.short_of) for entry in waiting}))
            held[queue] = f"{len(waiting)} of its launches wait for capacity ({kinds})"
    return held
