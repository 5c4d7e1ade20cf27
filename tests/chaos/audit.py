"""The audit: what W&B, Vertex AI and the bucket hold of each item, and what is wrong with it."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.items import Item

COLUMNS = ("name", "kind", "verdict", "item", "run", "jobs", "message", "item_id", "run_id", "job_names")


@dataclass(frozen=True)
class Row:
    """One item as it is seen from the outside when all is over."""

    item: Item
    state: str = ""  # the queue item's, empty where W&B has none
    message: str = ""  # what its author reads
    item_id: str = ""
    run_id: str = ""
    run_state: str = ""
    jobs: tuple[Mapping[str, Any], ...] = ()  # its CustomJobs, oldest first

    @property
    def attempts(self) -> list[str]:
        """Return the attempt of each job, as its label says."""
        return [job["labels"].get("launch_attempt", "") for job in self.jobs]

    @property
    def end(self) -> tuple[str, str, str]:
        """Return the states of the item, of the last job and of the run."""
        return self.state, _state(self.jobs[-1]) if self.jobs else "", self.run_state

    @property
    def doubled(self) -> bool:
        """Tell whether an attempt has two jobs, or the item more of them than machines were taken away, and one."""
        return len(set(self.attempts)) < len(self.jobs) or len(self.jobs) > self.item.kind.jobs

    @property
    def lost(self) -> bool:
        """Tell whether it has no CustomJob and no error that its author reads."""
        if self.item.kind.published:
            return not self.jobs
        if self.item.kind.vanishes:
            return self.item.kind.vanishes == "launched" and not self.jobs
        return not (self.message if self.state == "FAILED" else self.state == "CLAIMED" and self.jobs)

    @property
    def verdict(self) -> str:
        """Return what is wrong: doubled, lost, wrong where it ended in another way than it has to; or nothing."""
        if self.doubled:
            return "doubled"
        if self.lost:
            return "lost"
        right = self.end in self.item.kind.ends and self.item.kind.jobs in (1, len(self.jobs))
        return "" if right else "wrong"


@dataclass(frozen=True)
class Waits:
    """How many calm rounds each waited in vain, by name: see rounds.py. Two are allowed."""

    rounds: int = 0
    by_name: Mapping[str, int] = field(default_factory=dict)

    @property
    def blocked(self) -> list[str]:
        """Return what waited for more than two."""
        return sorted(name for name, number in self.by_name.items() if number > 2)

    @property
    def worst(self) -> str:
        """Return the longest wait, and whose it was."""
        if not self.by_name:
            return "nothing waited for a round in vain"
        name = max(self.by_name, key=lambda one: self.by_name[one])
        return f"{self.by_name[name]} rounds: {name}"


NO_WAITS = Waits()


@dataclass(frozen=True)
class Audit:
    """What is found when all is over. `strays` are CustomJobs that belong to no item."""

    rows: Sequence[Row]
    strays: Sequence[str]
    open_launches: Sequence[str]  # objects of the ledger
    slots_taken: int  # as poll counts them
    jobs_alive: Sequence[str]
    waits: Waits = NO_WAITS

    @property
    def blocked(self) -> int:
        """Count what was held up by another launch, item, queue or project."""
        return len(self.waits.blocked)

    @property
    def lost(self) -> int:
        """Count the items that were lost."""
        return self._verdicts["lost"]

    @property
    def doubled(self) -> int:
        """Count the items with a CustomJob too many, and the CustomJobs of no item."""
        return self._verdicts["doubled"] + len(self.strays)

    @property
    def wrong(self) -> int:
        """Count the items that ended in another way than they have to."""
        return self._verdicts["wrong"]

    @property
    def leaked(self) -> int:
        """Count what holds a slot though all is over."""
        return max(len(self.open_launches), self.slots_taken, len(self.jobs_alive))

    @property
    def jobs(self) -> int:
        """Count the CustomJobs."""
        return sum(len(row.jobs) for row in self.rows) + len(self.strays)

    @property
    def right(self) -> bool:
        """Tell whether nothing is wrong."""
        return not (self.lost or self.doubled or self.wrong or self.leaked or self.blocked)

    @property
    def _verdicts(self) -> Counter[str]:
        return Counter(row.verdict for row in self.rows)


def audit(
    items: Sequence[Item],
    ids: Mapping[str, str],
    wandb_items: Iterable[Mapping[str, Any]],
    runs: Iterable[Mapping[str, Any]],
    jobs: Sequence[Mapping[str, Any]],
    open_launches: Sequence[str],
    slots_taken: int,
    waits: Waits = NO_WAITS,
) -> Audit:
    """Bring together what the stand-ins and the bucket show; `ids` are those of the items, by their names."""
    by_id = {row["id"]: row for row in wandb_items}
    listed = list(runs)
    run_by_name = {run["display_name"]: run for run in listed} | {run["name"]: run for run in listed}
    jobs_by_name: dict[str, list[Mapping[str, Any]]] = {item.name: [] for item in items}
    strays = []
    for job in sorted(jobs, key=lambda job: str(job["create_time"])):
        name = next((name for name in _names(job) if name in jobs_by_name), "")
        if name:
            jobs_by_name[name].append(job)
        else:
            strays.append(str(job["name"]))
    rows = [
        _row(item, by_id.get(ids.get(item.name, "")), run_by_name.get(item.name), jobs_by_name[item.name])
        for item in items
    ]
    alive = [str(job["name"]) for job in jobs if _state(job) not in _OVER]
    return Audit(rows, strays, open_launches, slots_taken, alive, waits)


_OVER = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED")


def _names(job: Mapping[str, Any]) -> Iterator[str]:
    """Yield by what names a job may be known: its own, or its run's."""
    yield str(job["display_name"])
    for pool in job.get("job_spec", {}).get("workerPoolSpecs", ()):
        for variable in pool.get("containerSpec", {}).get("env", ()):
            if variable.get("name") == "WANDB_RUN_ID":
                yield str(variable.get("value", ""))


def _row(
    item: Item, found: Mapping[str, Any] | None, run: Mapping[str, Any] | None, jobs: Iterable[Mapping[str, Any]]
) -> Row:
    found, run = found or {}, run or {}
    return Row(
        item,
        state=found.get("state", ""),
        message=(found.get("error") or {}).get("message", ""),
        item_id=found.get("id", ""),
        run_id=run.get("name", ""),
        run_state=run.get("state", ""),
        jobs=tuple(jobs),
    )


def write(found: Audit, path: Path) -> None:
    """Write the ledger of all items, one a line; several jobs of an item are parted by spaces."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        for row in found.rows:
            shown = " ".join(f"{n}:{_state(job)}" for n, job in zip(row.attempts, row.jobs, strict=True))
            names = " ".join(str(job["name"]) for job in row.jobs)
            states = (row.item.name, row.item.kind.name, row.verdict or "right", row.state, row.run_state)
            lines.writerow([*states, shown, row.message, row.item_id, row.run_id, names])


def _state(job: Mapping[str, Any]) -> str:
    return str(job["state"]).removeprefix("JOB_STATE_")
