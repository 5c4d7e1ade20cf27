"""Runs, from upsertBucket and the file stream, and their sweeps."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.local.servers.wandb.errors import Refused

ENDED = frozenset({"finished", "failed", "crashed", "killed", "preempted"})
ALIVE = frozenset({"running", "preempting"})
MAY_BECOME = {
    "pending": frozenset({"running", "failed", "crashed", "preempted"}),
    "failed": frozenset({"pending", "running"}),
}
KEPT = {  # upsertBucket's argument: a run's field
    "display_name": "display_name",
    "description": "description",
    "notes": "notes",
    "group_name": "group",
    "job_type": "job_type",
    "commit": "commit",
    "host": "host",
    "tags": "tags",
    "config": "config",
    "summary_metrics": "summary",
    "sweep": "sweep_name",
    "run_queue_item_id": "run_queue_item_id",
    "state": "state",
}


@dataclass
class Run:
    """A run and its logged data."""

    id: str
    entity: str
    project: str
    name: str
    created_at: float
    heartbeat_at: float
    user: str
    state: str = "running"
    stopped: bool = False
    exit_code: int | None = None
    display_name: str | None = None
    description: str | None = None
    notes: str | None = None
    group: str | None = None
    job_type: str | None = None
    commit: str | None = None
    host: str | None = None
    tags: list[str] = field(default_factory=list)
    sweep_name: str | None = None
    run_queue_item_id: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    streams: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Sweep:
    """A sweep; jobs of a finished sweep are not launched."""

    id: str
    entity: str
    project: str
    name: str
    state: str = "RUNNING"
    config: str = ""
    scheduler: str = ""  # the run spec of its scheduler, as JSON
    agents: list[str] = field(default_factory=list)


class Runs:
    """All runs and sweeps; callers hold State's lock."""

    def __init__(
        self,
        new_number: Callable[[], int],
        new_id: Callable[[str, int], str],
        clock: Callable[[], float],
        crashed_after_seconds: float,
    ) -> None:
        self._new_number = new_number
        self._new_id = new_id
        self._clock = clock
        self.crashed_after_seconds = crashed_after_seconds
        self.by_path: dict[tuple[str, str, str], Run] = {}
        self.by_id: dict[str, Run] = {}
        self.sweeps: dict[tuple[str, str, str], Sweep] = {}

    def get(self, entity: str, project: str, name: str) -> Run | None:
        """Return a run in its current state, or None."""
        run = self.by_path.get((entity, project, name))
        return self._now(run) if run else None

    def all(self) -> list[Run]:
        """Return every run in its current state, oldest first."""
        return [self._now(run) for run in self.by_path.values()]

    def in_project(self, entity: str, project: str) -> list[Run]:
        """Return a project's runs in their current state, oldest first."""
        return [run for run in self.all() if (run.entity, run.project) == (entity, project)]

    def upsert(
        self, entity: str, project: str, name: str, user: str, given: Mapping[str, Any]
    ) -> tuple[Run, bool]:
        """Create or update a run; return it and whether it is new."""
        run = self.get(entity, project, name)
        inserted = run is None
        if run is None:
            now = self._clock()
            run = Run(
                self._new_id("Run", self._new_number()), entity, project, name, now, now, user
            )
            self.by_path[entity, project, name] = self.by_id[run.id] = run
        elif run.state in ENDED or run.state == "pending":
            # wandb.init of an existing run: created ahead, or resumed
            run.stopped = run.stopped and run.state == "pending"
            run.state, run.exit_code = "running", None
        self.update(run, given)
        return run, inserted

    def update(self, run: Run, given: Mapping[str, Any]) -> None:
        """Set the arguments of upsertBucket; missing ones change nothing."""
        run.heartbeat_at = self._clock()
        for theirs, ours in KEPT.items():
            if given.get(theirs) is not None:
                setattr(run, ours, given[theirs])

    def stream(self, run: Run, message: Mapping[str, Any]) -> None:
        """Apply a file stream message: chunks of files, a heartbeat, finally the exit code."""
        run.heartbeat_at = self._clock()
        if run.state == "crashed":
            run.state = "running"
        for name, chunk in (message.get("files") or {}).items():
            lines = run.streams.setdefault(name, [])
            offset = chunk.get("offset", len(lines))
            lines += [""] * (offset - len(lines))
            lines[offset : offset + len(chunk["content"])] = chunk["content"]
        if summary := (message.get("files") or {}).get("wandb-summary.json"):
            # wandb-core writes bare NaN and Infinity; W&B returns them as strings
            run.summary = json.loads(summary["content"][-1], parse_constant=str)
        if message.get("preempting") and run.state == "running":
            run.state = "preempting"
        if message.get("complete"):
            run.exit_code = int(message.get("exitcode") or 0)
            run.state = _outcome(run)

    def change_state(self, run_id: str, state: str) -> None:
        """Set a run's state, if W&B allows it.

        Raises:
            Refused: the run is unknown, belongs to a sweep, or W&B forbids the transition.
        """
        run = self.known(run_id)
        if run.sweep_name:
            raise Refused("the state of a sweep's run cannot be updated")
        if run.state not in MAY_BECOME.get(state, ()):
            raise Refused(f"invalid run state transition from {run.state} to {state}")
        run.state = state

    def stop(self, run_id: str) -> None:
        """Ask a run to stop; its next file stream answer says so."""
        run = self.known(run_id)
        run.stopped = run.stopped or run.state not in ENDED

    def delete(self, run_id: str) -> None:
        """Delete a run."""
        run = self.known(run_id)
        del self.by_id[run.id], self.by_path[run.entity, run.project, run.name]

    def add_sweep(
        self, entity: str, project: str, name: str, state: str = "RUNNING", config: str = ""
    ) -> Sweep:
        """Create a sweep."""
        sweep = Sweep(
            self._new_id("Sweep", self._new_number()), entity, project, name, state, config
        )
        self.sweeps[entity, project, name] = sweep
        return sweep

    def known(self, run_id: str) -> Run:
        """Return a run by its id; raise Refused for an unknown id."""
        run = self.by_id.get(run_id)
        if run is None:
            raise Refused(f"run {run_id} not found")
        return self._now(run)

    def _now(self, run: Run) -> Run:
        if run.state in ALIVE and self._clock() - run.heartbeat_at > self.crashed_after_seconds:
            run.state = "preempted" if run.state == "preempting" else "crashed"
        return run


def _outcome(run: Run) -> str:
    if run.exit_code == 0:
        return "finished"
    if run.state == "preempting":
        return "preempted"
    return "killed" if run.stopped else "failed"
