"""The machine quota: a job stays QUEUED until its replicas fit into its region's quota."""

import threading
from collections import Counter
from typing import Any

from deploy.local.servers.vertex.behaviour import Behaviour


class Machines:
    """The running replicas of each region, counted against `Behaviour.machines`."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, location: str, message: Any) -> bool:
        """Reserve a job's machines; return whether the quota suffices."""
        with self._lock:
            quota = self._behaviour.machines.get(location)
            if quota is not None and self._taken[location] + _replicas(message) > quota:
                return False
            self._taken[location] += _replicas(message)
            return True

    def give_back(self, location: str, message: Any) -> None:
        """Release a job's machines."""
        with self._lock:
            self._taken[location] -= _replicas(message)


def _replicas(message: Any) -> int:
    return sum(pool.replica_count for pool in message.job_spec.worker_pool_specs)
