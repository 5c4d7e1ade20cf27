"""Who may take what, and how much: counted afresh from the ledger, so that nothing eats a slot for good."""

import threading
from collections import deque
from collections.abc import Sequence

from shared.core.launch import Entry, State
from shared.core.message import Queue
from shared.core.shortage import Shortage


class Turn:
    """Hand out the queues in turn, as long as there is headroom, leaving out those that proved empty.

    And those one of whose launches waits for capacity: what else is in such a queue stays in W&B, where priorities
    count, because it most likely would not run either. `held` says why, by queue.
    """

    def __init__(
        self, queues: Sequence[Queue], entries: Sequence[Entry], max_jobs: int, max_schedulers: int, max_queued: int
    ) -> None:
        self._schedulers = {entry.key for entry in entries if entry.scheduler}
        self._max_schedulers = max_schedulers
        room = max_queued - sum(entry.state is State.QUEUED for entry in entries)
        if max_jobs >= 0:
            room = min(room, max_jobs - (len(entries) - len(self._schedulers)))
        self.room = max(room, 0)
        short = {queue: [e.short_of for e in entries if e.holds_queue and e.queue == queue] for queue in queues}
        self.held = {queue: _why(shortages) for queue, shortages in short.items() if shortages}
        self._queues = deque(queue for queue in queues if queue not in self.held)
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
            if key not in self._schedulers and 0 <= self._max_schedulers <= len(self._schedulers):
                return False
            self._schedulers.add(key)
            return True

    def drop(self, queue: Queue) -> None:
        """Do not ask this queue again."""
        with self._lock:
            if queue in self._queues:
                self._queues.remove(queue)

    def give_back(self) -> None:
        """Free the room of an item that was not there."""
        with self._lock:
            self.room += 1


def _why(shortages: Sequence[Shortage | None]) -> str:
    kinds = ", ".join(sorted({str(each) for each in shortages}))
    return f"{len(shortages)} of its launches wait for capacity ({kinds})"
