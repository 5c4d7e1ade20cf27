"""Machine-hours from a listing alone, and money from a table that the operator writes."""

import os
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from deploy.__main__ import main
from deploy.operate.cost.prices import described, hourly_cost, pools_of, read_prices
from deploy.operate.cost.usage import DIMENSIONS, described_use, spans, total, totals, use_of
from shared.core.errors import SettingsError
from shared.core.intake import from_item
from shared.core.launch import Entry, Launch, Outcome, RunPath, State
from shared.core.machine import machines
from shared.core.message import Queue
from tests.fakes import FakeClock

START = FakeClock()()
JOB = "projects/p/locations/europe-west4/customJobs/1"
HOUR = timedelta(hours=1)
TABLE: dict[str, Any] = {
    "date": "2026-11-01",
    "currency": "USD",
    "machines": {"n1-standard-4": {"hour": 0.2, "spot": 0.05}, "g2-standard-8": {"hour": 1, "flex_start": "0.60"}},
    "accelerators": {"NVIDIA_TESLA_T4": {"hour": 0.4, "spot": 0.1}},
    "regions": {"europe-west4": {"machines": {"n1-standard-4": {"hour": 0.3}}}},
}


def table(tmp_path: Path, **changes: Any) -> Path:
    """Write a price table."""
    path = tmp_path / "prices.yaml"
    path.write_text(yaml.safe_dump({**TABLE, **changes}), encoding="utf-8")
    return path


def entry(**changes: Any) -> Entry:
    """Return the entry of a launch whose job ran for an hour."""
    base = Entry("k1", State.ENDED, START, RunPath("e", "p", "r"), queue_name="vertex", author="ann")
    full = {"machine": "2×n1-standard-4", "job_name": JOB, "started_at": START, "ended_at": START + HOUR, **changes}
    return replace(base, outcome=Outcome.SUCCEEDED, **full)


def pool(machine: str, replicas: int = 1, accelerator: str = "", number: int = 0) -> dict[str, Any]:
    """Return a worker pool."""
    spec = {"machine_type": machine, "accelerator_type": accelerator, "accelerator_count": number}
    return {"machine_spec": spec, "replica_count": replicas}


@pytest.mark.parametrize(
    ("pools", "strategy", "amounts"),
    [
        ([pool("n1-standard-4", 2)], "", [0.4, 0.6]),
        ([pool("n1-standard-4", 2, "NVIDIA_TESLA_T4", 4)], "", [3.6, 3.8]),
        ([pool("n1-standard-4", 1, "NVIDIA_TESLA_T4", 1)], "SPOT", [0.15, None]),
        ([pool("g2-standard-8"), pool("n1-standard-4", 3)], "", [1.6, 1.9]),
        ([pool("g2-standard-8")], "FLEX_START", [0.6, 0.6]),
        ([pool("g2-standard-8")], "STANDARD", [1.0, 1.0]),
        ([pool("g2-standard-8")], "SPOT", [None, None]),
        ([pool("a3-highgpu-8g")], "", [None, None]),
        ([], "", [None, None]),
    ],
)
def test_an_hour_is_priced_by_what_the_listing_shows(
    tmp_path: Path, pools: list[Any], strategy: str, amounts: list[float | None]
) -> None:
    """Each pool, its accelerators, its strategy, in a region; a missing price is named and never replaced."""
    prices = read_prices(table(tmp_path))
    shown = machines({"worker_pool_specs": pools}, {"scheduling_strategy": strategy} if strategy else {})
    for region, amount in zip(["us-central1", "europe-west4"], amounts, strict=True):
        hourly = hourly_cost(shown, region, prices)
        if amount is None:
            assert hourly.missing
            assert described(shown, region, prices).startswith("unknown: the price table has no price for ")
        else:
            assert (float(hourly.amount), hourly.missing) == (amount, ())
            assert described(shown, region, prices) == f"{amount:.2f} USD, prices of 2026-11-01"
    assert sum(each.count for each in pools_of(shown)[0]) == sum(each["replica_count"] for each in pools)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"date": None}, "date: "),
        ({"date": "yesterday"}, "date: "),
        ({"currency": "dollars"}, "currency: "),
        ({"machine": {}}, "machine: is not known; write machines"),
        ({"machines": {"n1-standard-4": {"hour": -1}}}, "machines.n1-standard-4.hour: "),
        ({"machines": {"n1-standard-4": {"hour": "free"}}}, "machines.n1-standard-4.hour: "),
        ({"machines": {"n1-standard-4": {"hour": float("nan")}}}, "machines.n1-standard-4.hour: "),
        ({"machines": {"n1-standard-4": {"hours": 1}}}, "machines.n1-standard-4.hours: is not known; write hour"),
        ({"machines": {"n1-standard-4": 1}}, "machines.n1-standard-4: "),
        ({"regions": {"us-central1": {"gpus": {}}}}, "regions.us-central1.gpus: is not known; known: "),
    ],
)
def test_a_wrong_table_is_refused_with_its_field(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    """No price is guessed."""
    path = table(tmp_path, **changes)
    with pytest.raises(SettingsError) as refused:
        read_prices(path)
    assert f"{path}: {problem}" in str(refused.value)


def preempted() -> Launch:
    """Return the record of a launch whose first job ran for an hour before a preemption, and whose second runs."""
    queue = Queue(entity="team", name="vertex")
    launch = from_item("item", queue, {"name": "n"}, START)
    submitted = launch.move(State.SUBMITTING, attempt=1).move(State.SUBMITTED, job_name=JOB)
    resumed = submitted.started(START + HOUR).resume(START + 2 * HOUR, budget=5)
    again = resumed.move(State.SUBMITTING, attempt=2).move(State.SUBMITTED, job_name=JOB)
    return again.started(START + 4 * HOUR)


def test_a_job_counts_from_its_start_to_its_end() -> None:
    """A running one until now, one without a start not at all, and one before a preemption too."""
    now = START + 10 * HOUR
    assert use_of(entry(), None, now).machine_hours == 2
    assert use_of(entry(), None, now, since=START + HOUR / 2).machine_hours == 1
    assert use_of(entry(started_at=None), None, now).machine_hours == 0
    running = entry(state=State.SUBMITTED, ended_at=None)
    assert use_of(running, None, now).machine_hours == 20
    assert use_of(entry(state=State.QUEUED, ended_at=None, started_at=None), None, now).machine_hours == 0
    record = preempted()
    hours = [(begin - START, end - START) for begin, end in spans(record.entry, record, now)]
    assert hours == [(HOUR, 2 * HOUR), (4 * HOUR, 10 * HOUR)]
    ended = record.end(Outcome.SUCCEEDED, "", now, job_ended_at=START + 5 * HOUR)
    assert [end - START for _, end in spans(ended.entry, ended, now)] == [2 * HOUR, 5 * HOUR]


def test_totals_are_by_queue_author_machine_and_region(tmp_path: Path) -> None:
    """The largest first; unpriced hours are counted apart."""
    prices = read_prices(table(tmp_path))
    entries = [entry(), entry(author="bob", machine="1×a3-highgpu-8g"), entry(author="", job_name="")]
    uses = [use_of(each, None, START + HOUR, None, prices) for each in entries]
    assert {name: list(totals(uses, name)) for name in DIMENSIONS} == {
        "queue": ["vertex"],
        "author": ["(none)", "ann", "bob"],
        "machine": ["2×n1-standard-4", "1×a3-highgpu-8g"],
        "region": ["europe-west4", "(none)"],
    }
    sums = total(uses)
    assert (sums.launches, sums.machine_hours, sums.unpriced_hours) == (3, 5.0, 1.0)
    assert sums.cost == Decimal("1.0")  # 2 × 0.30 in europe-west4, and 2 × 0.20


def test_one_launch_is_described(tmp_path: Path) -> None:
    """For `show`: hours always, money only by a table that has all of its prices."""
    prices, now = read_prices(table(tmp_path)), START + HOUR
    assert described_use(use_of(entry(), None, now), None) == "2.00 machine-hours"
    priced = use_of(entry(), None, now, table=prices)
    assert described_use(priced, prices) == "2.00 machine-hours, 0.60 USD, prices of 2026-11-01"
    other = use_of(entry(machine="1×a3-highgpu-8g"), None, now, table=prices)
    assert described_use(other, prices) == "1.00 machine-hours; the price table has no price for a3-highgpu-8g"
    assert described_use(use_of(entry(started_at=None), None, now), prices) == ""


def test_a_wrong_table_is_named_before_the_ledger_is_read(tmp_path: Path) -> None:
    """In one line, with the exit code of a failure."""
    path = table(tmp_path, currency="€")
    arguments = ["cost", "--project=p", f"--prices={path}"]
    result = CliRunner().invoke(main, arguments, env=dict(os.environ))
    assert result.exit_code == 1
    assert f"Error: {path}: currency: " in result.output


def test_the_example_of_the_page_is_valid(tmp_path: Path) -> None:
    """A reader can copy it."""
    page = Path("docs/how-to/estimate-costs.md").read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    path = tmp_path / "prices.yaml"
    path.write_text(example, encoding="utf-8")
    prices = read_prices(path)
    assert described("2×n1-standard-4 (1×NVIDIA_TESLA_T4)", "europe-west4", prices) == "1.34 USD, prices of 2026-11-01"
