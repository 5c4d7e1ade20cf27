"""The audit: what W&B, Vertex AI and the bucket hold of each item, and what is wrong with it."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.chaos.items import Item

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
        """Tell whether there is neither a CustomJob nor an error that its author reads."""
        if self.item.kind.published:
            return not self.jobs
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
class Audit:
    """What is found when all is over. `strays` are CustomJobs that belong to no item."""

    rows: Sequence[Row]
    strays: Sequence[str]
    open_launches: Sequence[str]  # objects of the ledger
    slots_taken: int  # as poll counts them
    jobs_alive: Sequence[str]

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
        return not (self.lost or self.doubled or self.wrong or self.leaked)

    @property
    def _verdicts(self) -> Counter[str]:
        return Counter(row.verdict for row in self.rows)


def audit(
    items: Sequence[Item],
    wandb_items: Iterable[Mapping[str, Any]],
    runs: Iterable[Mapping[str, Any]],
    jobs: Sequence[Mapping[str, Any]],
    open_launches: Sequence[str],
    slots_taken: int,
) -> Audit:
    """Bring together what the stand-ins and the bucket show."""
    by_name = {row["run_spec"]["name"]: row for row in wandb_items}
    run_by_name = {run["display_name"]: run for run in runs}
    jobs_by_name: dict[str, list[Mapping[str, Any]]] = {item.name: [] for item in items}
    strays = []
    for job in sorted(jobs, key=lambda job: str(job["create_time"])):
        if job["display_name"] in jobs_by_name:
            jobs_by_name[job["display_name"]].append(job)
        else:
            strays.append(str(job["name"]))
    rows = [_row(item, by_name.get(item.name), run_by_name.get(item.name), jobs_by_name[item.name]) for item in items]
    alive = [str(job["name"]) for job in jobs if not job["end_time"]]
    return Audit(rows, strays, open_launches, slots_taken, alive)


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
