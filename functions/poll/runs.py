"""Know the runs of open launches: two launches of one run would share its folder and artifacts.

W&B gives each sweep's run its own id, and a launch without an id gets one from its launch key. So
two open launches have the same run only if an author wrote its id into an item. The listing that
counts the slots shows it, without another call; only one poll works at a time.
"""

import threading
from collections.abc import Sequence

from shared.core.errors import Reject
from shared.core.launch import Entry, RunPath, State
from shared.core.shorten import quoted

_FIX = "Leave run_id out, or enqueue the item again when that launch has ended."


class OpenRuns:
    """The launch of each run that has not ended."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._lock = threading.Lock()
        self._keys: dict[RunPath, str] = {}
        for entry in sorted(entries, key=lambda entry: entry.opened_at):
            if entry.state is not State.ENDED:
                self._keys.setdefault(_run(entry), entry.key)

    def reserve(self, entry: Entry) -> str:
        """Reserve a launch's run; return why it cannot have that run, or empty."""
        with self._lock:
            key = self._keys.setdefault(_run(entry), entry.key)
        if key == entry.key:
            return ""
        problem = f"is {quoted(entry.run.run_id)}, the run of launch {key}, which is still open"
        return str(Reject("run_id", problem, _FIX))


def _run(entry: Entry) -> RunPath:
    """Return a run's names; two spellings of an entity or a project may mean the same one."""
    run = entry.run
    return RunPath(run.entity.lower(), run.project.lower(), run.run_id)
