"""The audit of a chaos run: it has to see what went wrong, or the run shows nothing."""

import csv
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.audit import Audit, Waits, audit, write
from tests.chaos.items import KINDS, Item, plan
from tests.chaos.poison import POISON

BY_NAME = {kind.name: kind for kind in KINDS}


def job(item: str, attempt: int = 1, state: str = "SUCCEEDED", end: str | None = "2026-01-01T00:01:00") -> Any:
    """Return a CustomJob as the stand-in shows it."""
    return {
        "name": f"projects/p/locations/l/customJobs/{attempt}",
        "display_name": item,
        "labels": {"launch_attempt": str(attempt)},
        "state": f"JOB_STATE_{state}",
        "create_time": f"2026-01-01T00:00:0{attempt}",
        "end_time": end,
    }


def found(
    kind: str,
    state: str = "CLAIMED",
    message: str = "",
    run: str = "finished",
    jobs: tuple[Any, ...] = (),
    more: Mapping[str, Any] | None = None,
) -> Audit:
    """Audit one item of a kind that W&B and Vertex AI show so."""
    error = {"message": message} if message else None
    items = [{"id": "i", "run_spec": {"name": "one"}, "state": state, "error": error}] if state else []
    runs = [{"name": "r", "display_name": "one", "state": run}] if run else []
    given: dict[str, Any] = {"open_launches": [], "slots_taken": 0}
    return audit([Item("one", BY_NAME[kind])], {"one": "i"}, items, runs, list(jobs), **(given | dict(more or {})))


FAILED, CANCELLED = job("one", state="FAILED"), job("one", state="CANCELLED")
RIGHT: list[tuple[str, dict[str, Any]]] = [
    ("succeeds", {"jobs": (job("one"),)}),
    ("succeeds", {"jobs": (job("one", attempt=3),)}),
    ("fails", {"jobs": (FAILED,), "run": "failed"}),
    ("silent", {"jobs": (job("one"),), "state": "FAILED", "message": "never called wandb.init", "run": ""}),
    ("refused", {"state": "FAILED", "message": "spec: wrong", "run": ""}),
    ("published", {"jobs": (job("one"),), "state": ""}),
    ("stopped", {"jobs": (CANCELLED,), "run": "killed"}),
    ("stopped-early", {"state": "FAILED", "message": "stopped", "run": "pending"}),
    ("stopped-early", {"jobs": (CANCELLED,), "run": "killed"}),
    ("preempted", {"jobs": (FAILED, job("one", 2))}),
    ("stockout", {"jobs": (FAILED, job("one", 2))}),
    ("internal", {"jobs": (FAILED, job("one", 2))}),
    ("hidden", {"jobs": (job("one"),)}),
    ("gone", {"jobs": (job("one"),), "state": "", "run": ""}),
    ("gone-early", {"state": "", "run": ""}),
    ("gone-early", {"jobs": (job("one"),), "state": ""}),
    *((f"poison-{name}", {"state": "FAILED", "message": "why", "run": ""}) for name in POISON),
    ("poison-nan", {"jobs": (job("one"),)}),
]
WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("lost", "succeeds", {"run": ""}),
    ("lost", "succeeds", {"state": "PENDING", "run": ""}),
    ("lost", "succeeds", {"state": "LEASED", "jobs": (job("one"),)}),
    ("lost", "succeeds", {"state": "", "run": ""}),
    ("lost", "refused", {"state": "FAILED", "run": ""}),
    ("lost", "published", {"state": "", "run": ""}),
    ("doubled", "succeeds", {"jobs": (job("one"), job("one"))}),
    ("doubled", "succeeds", {"jobs": (job("one"), job("one", 2))}),
    ("doubled", "preempted", {"jobs": (FAILED, job("one", 2), job("one", 3))}),
    ("doubled", "preempted", {"jobs": (FAILED, job("one"))}),
    ("wrong", "succeeds", {"jobs": (job("one"),), "state": "FAILED", "message": "no"}),
    ("wrong", "silent", {"jobs": (job("one"),), "run": ""}),
    ("wrong", "fails", {"jobs": (FAILED,), "run": "running"}),
    ("wrong", "preempted", {"jobs": (job("one"),)}),
    ("wrong", "stopped", {"jobs": (job("one"),)}),
    ("lost", "gone", {"state": "", "run": ""}),
    ("lost", "poison-deep", {"state": "LEASED", "run": ""}),
    ("lost", "poison-deep", {"state": "FAILED", "run": ""}),
    ("wrong", "hidden", {"jobs": (job("one"),), "state": "FAILED", "message": "never started"}),
    ("wrong", "stockout", {"jobs": (FAILED,), "run": "failed"}),
]


@pytest.mark.parametrize(("kind", "seen"), RIGHT)
def test_a_faultless_run_passes(kind: str, seen: dict[str, Any]) -> None:
    """Every kind of item, in each way in which it may end."""
    result = found(kind, **seen)
    assert (result.right, result.rows[0].verdict) == (True, "")


@pytest.mark.parametrize(("verdict", "kind", "seen"), WRONG)
def test_each_fault_is_named(verdict: str, kind: str, seen: dict[str, Any]) -> None:
    """It is counted once."""
    result = found(kind, **seen)
    assert result.rows[0].verdict == verdict
    assert not result.right
    assert {"lost": result.lost, "doubled": result.doubled, "wrong": result.wrong}[verdict] == 1
    assert result.lost + result.doubled + result.wrong == 1


def test_every_kind_is_in_the_table() -> None:
    """So that none is forgotten."""
    assert {kind for kind, _ in RIGHT} == set(BY_NAME)


@pytest.mark.parametrize(
    "more", [{"open_launches": ["open/k"]}, {"slots_taken": 1}, {"jobs": (job("one", state="RUNNING", end=None),)}]
)
def test_a_slot_that_is_still_taken_has_leaked(more: dict[str, Any]) -> None:
    """By a launch, as poll counts, or by a job."""
    jobs = more.get("jobs", (job("one"),))
    result = found("succeeds", jobs=jobs, more={name: value for name, value in more.items() if name != "jobs"})
    assert (result.leaked, result.right) == (1, False)


def test_a_job_of_no_item_is_doubled() -> None:
    """It was launched without an item."""
    result = found("succeeds", jobs=(job("one"), job("other")))
    assert (result.doubled, result.strays, result.jobs) == (1, ["projects/p/locations/l/customJobs/1"], 2)


@pytest.mark.parametrize("number", [len(KINDS), 48, 1000])
def test_a_plan_has_every_kind_and_a_name_for_each_item(number: int) -> None:
    """However few they are; the same seed gives the same plan."""
    items, again = (plan(number, random.Random(7)) for _ in range(2))  # noqa: S311 - no secret
    assert len({item.name for item in items}) == number
    assert {item.kind.name for item in items} == set(BY_NAME)
    assert items == again


def test_the_ledger_of_items_is_one_line_each(tmp_path: Path) -> None:
    """With every job and its attempt."""
    write(found("preempted", jobs=(FAILED, job("one", 2))), tmp_path / "items.csv")
    with (tmp_path / "items.csv").open(newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["name"], row["verdict"], row["item"]) == ("one", "right", "CLAIMED")
    assert row["jobs"] == "1:FAILED 2:SUCCEEDED"
    assert len(row["job_names"].split()) == 2


def test_a_job_is_known_by_its_run_where_its_name_was_cut() -> None:
    """The name of a poison item need not fit."""
    env = [{"name": "WANDB_RUN_ID", "value": "one"}]
    spec = {"workerPoolSpecs": [{"containerSpec": {"env": env}}]}
    result = found("poison-emoji", jobs=({**job("a name that was cut"), "job_spec": spec},))
    assert (result.strays, result.rows[0].verdict) == ([], "")


@pytest.mark.parametrize(("rounds", "blocked"), [(0, 0), (2, 0), (3, 1)])
def test_an_item_that_waits_more_than_two_rounds_is_blocked(rounds: int, blocked: int) -> None:
    """It is named, with the number."""
    waits = Waits(9, {"item i": rounds} if rounds else {})
    result = found("succeeds", jobs=(job("one"),), more={"waits": waits})
    assert (result.blocked, result.right) == (blocked, not blocked)
    assert waits.worst == (f"{rounds} rounds: item i" if rounds else "nothing waited for a round in vain")
