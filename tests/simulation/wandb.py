"""W&B as the simulation has it: items and their leases, runs, agents and reports."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from shared.core.launch import RunPath
from shared.core.message import Queue, launch_key
from shared.core.ports import ItemStatus, QueueItem, RunStatus

LEASE = timedelta(seconds=60)  # of a popped item


@cache
def key_of(item_id: str) -> str:
    """Return the key of an item's launch."""
    return launch_key("wandb", item_id)


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a queue; `acker` is who acked it: us, them, or nobody yet. `script` is what its job does."""

    id: str
    queue: Queue
    run_spec: dict[str, Any] = field(repr=False)
    script: str
    state: str = "PENDING"
    leased_until: datetime | None = None
    acker: str = ""
    run_name: str = ""
    error: str = ""
    warning: str = ""
    problem: str = ""  # why nobody can read its run spec

    @property
    def key(self) -> str:
        """Return the key of its launch."""
        return key_of(self.id)


@dataclass
class Wandb:
    """All of W&B; `removed` items are out of everybody's sight."""

    items: dict[str, Item] = field(default_factory=dict)
    removed: dict[str, Item] = field(default_factory=dict)
    runs: dict[RunPath, RunStatus] = field(default_factory=dict)
    sweeps: dict[str, str] = field(default_factory=dict)
    hidden: frozenset[RunPath] = frozenset()  # runs that our key may not see
    agents: int = 0
    known: bool = False  # our agent
    stop_polling: bool = False
    versions: int = 0  # of the one job that there is

    def fork(self) -> "Wandb":
        """Return a W&B of its own that is in the same state."""
        dicts = (dict(self.items), dict(self.removed), dict(self.runs), dict(self.sweeps))
        return Wandb(*dicts, self.hidden, self.agents, self.known, self.stop_polling, self.versions)

    def pop(self, queue: Queue, now: datetime) -> QueueItem | None:
        """Lease the next item."""
        for item in self._seen(now):
            if item.queue == queue and item.state == "PENDING":
                self._change(item, state="LEASED", leased_until=now + LEASE)
                return QueueItem(item.id, dict(item.run_spec), item.problem)
        return None

    def ack(self, item_id: str, run_name: str, now: datetime, acker: str = "us") -> bool:
        """Accept an item from any holder of its lease; a second ack is answered False."""
        item = next((item for item in self._seen(now) if item.id == item_id), None)
        if item is None or item.state != "LEASED":
            return False
        self._change(item, state="CLAIMED", leased_until=None, acker=acker, run_name=run_name)
        return True

    def item_statuses(self, ids: Sequence[str], now: datetime) -> dict[str, ItemStatus]:
        """Return those of these items that exist."""
        return {item.id: ItemStatus(item.state, item.run_name) for item in self._seen(now) if item.id in ids}

    def fail(self, item_id: str, message: str) -> None:
        """Show an item of any state as FAILED; ignore one that is gone."""
        if item := self.items.get(item_id):
            self._change(item, state="FAILED", error=message)

    def warn(self, item_id: str, message: str) -> None:
        """Show a warning at an item."""
        if item := self.items.get(item_id):
            self._change(item, warning=message)

    def end_leases(self) -> None:
        """Let the leases of all popped items end."""
        for item in list(self.items.values()):
            if item.state == "LEASED":
                self._change(item, state="PENDING", leased_until=None)

    def remove(self, item_id: str) -> None:
        """Take an item off its queue, as its author may."""
        self.removed[item_id] = self.items.pop(item_id)

    def register(self) -> str:
        """Register an agent."""
        self.agents += 1
        self.known = True
        return f"agent-{self.agents}"

    def forget(self) -> None:
        """Forget our agent."""
        self.known = False

    def version_of(self, path: str) -> str:
        """Return what a path to a job means now; `latest` is a new version each time."""
        job, _, alias = path.partition(":")
        self.versions += alias == "latest"
        return f"{job}:v{self.versions}" if alias == "latest" else path

    def agent(self) -> bool | None:
        """Tell whether our agent should stop polling; None where there is none."""
        return self.stop_polling if self.known else None

    def show(self, run: RunPath, state: str) -> None:
        """Put a run into a state; whether stop was pressed stays."""
        stopped = self.runs[run].stopped if run in self.runs else False
        self.runs[run] = RunStatus(state, stopped)

    def stop(self, run: RunPath) -> None:
        """Press stop, on a run that exists."""
        self.runs[run] = replace(self.runs[run], stopped=True)

    def everything(self) -> Iterator[Item]:
        """Yield all items, the removed ones too."""
        yield from self.items.values()
        yield from self.removed.values()

    def _seen(self, now: datetime) -> list[Item]:
        """Return the items as they are now: a lease that is over has put its item back."""
        for item in list(self.items.values()):
            if item.state == "LEASED" and item.leased_until is not None and item.leased_until <= now:
                self._change(item, state="PENDING", leased_until=None)
        return list(self.items.values())

    def _change(self, item: Item, **changes: Any) -> None:
        self.items[item.id] = replace(item, **changes)
