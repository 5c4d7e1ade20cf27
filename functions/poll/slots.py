"""Which queue is asked next, and for how many items: counted from the ledger at each call, so that no slot leaks."""

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.launch import Entry, State
from shared.core.message import Queue
from shared.core.shortage import Shortage

MAX_STRIKES = 3  # items of a queue that may come to nothing in one round; then the queue waits for the next call


@dataclass(frozen=True, slots=True)
class Limits:
    """How many launches of queues may be open. -1: no limit."""

    max_jobs: int = 1
    max_schedulers: int = (
        1  # of sweeps; they do not count as jobs, or a sweep would wait for itself
    )
    max_queued: int = 100


class Slots:
    """Hand out the queues in turn while there is room, without those that proved empty or failed.

    A queue is held while one of its launches waits for capacity: its other items stay in W&B, where priorities count.
    `held` says why, by queue; `full` says which limit leaves no room.

    Launches that have ended, and those of other systems' requests, take no slot. Each unreadable record takes one
    of every kind.
    """

    def __init__(
        self,
        queues: Sequence[Queue],
        entries: Sequence[Entry],
        unreadable: int,
        limits: Limits,
        first: int = 0,
    ) -> None:
        counted = [
            entry for entry in entries if entry.from_queue and entry.state is not State.ENDED
        ]
        self._schedulers = {entry.key for entry in counted if entry.scheduler}
        self._max_schedulers = limits.max_schedulers
        self._unreadable = unreadable  # each may be a scheduler
        used = {
            "max_queued": (
                sum(entry.state is State.QUEUED for entry in counted) + unreadable,
                limits.max_queued,
            ),
            "max_jobs": (len(counted) - len(self._schedulers) + unreadable, limits.max_jobs),
        }
        room = {name: most - taken for name, (taken, most) in used.items() if most >= 0}
        self.room = max(min(room.values(), default=0), 0)
        self.full = ", ".join(
            f"{used[name][0]} of {used[name][1]} {name}" for name, left in room.items() if left <= 0
        )
        short = {
            queue: [e.short_of for e in counted if e.holds_queue and e.queue == queue]
            for queue in queues
        }
        self.held = {queue: _why(shortages) for queue, shortages in short.items() if shortages}
        self._queues = deque(queue for queue in queues if queue not in self.held)
        self._queues.rotate(
            -first
        )  # with one slot, the same queue would otherwise always come first
        self._strikes: Counter[Queue] = Counter()
        self._lock = threading.Lock()

    def next(self) -> Queue | None:
        """Reserve room for one item of the next queue; None where there is no room or no queue."""
        with self._lock:
            if not self.room or not self._queues:
                return None
            self.room -= 1
            self._queues.rotate(-1)
            return self._queues[-1]

    def admits(self, key: str) -> bool:
        """Reserve a place for the scheduler of a sweep; one that an earlier poll has opened has its own."""
        with self._lock:
            taken = len(self._schedulers) + self._unreadable
            if key not in self._schedulers and 0 <= self._max_schedulers <= taken:
                return False
            self._schedulers.add(key)
            return True

    def leave_out(self, name: str) -> None:
        """Do not ask the queue of this name."""
        with self._lock:
            self._queues = deque(queue for queue in self._queues if queue.name != name)

    def drop(self, queue: Queue) -> None:
        """Free the reserved room, and do not ask this queue again."""
        with self._lock:
            self.room += 1
            self._remove(queue)

    def strike(self, queue: Queue) -> None:
        """Free the room of an item that came to nothing; after a few of them the queue is not asked again."""
        with self._lock:
            self.room += 1
            self._strikes[queue] += 1
            if self._strikes[queue] >= MAX_STRIKES:
                self._remove(queue)

    def give_back(self) -> None:
        """Free the room of an item that takes none."""
        with self._lock:
            self.room += 1

    def _remove(self, queue: Queue) -> None:
        if queue in self._queues:
            self._queues.remove(queue)


def _why(shortages: Sequence[Shortage | None]) -> str:
    kinds = ", ".join(sorted({str(each) for each in shortages}))
    return f"{len(shortages)} of its launches wait for capacity ({kinds})"
