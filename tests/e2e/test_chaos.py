"""Chaos as `make chaos` runs it, with few items: none lost, doubled, blocked or ended wrong, and no slot leaked."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.stack import FUNCTIONS, ROOT
from tests.chaos.items import KINDS

pytestmark = pytest.mark.long  # three minutes; `make chaos` takes more
ITEMS, KILLS, FREEZES = 60, 9, 9


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run it once; a fifth of all calls fail, so that every kind of failure is among few."""
    folder = tmp_path_factory.mktemp("chaos") / "logs"
    often = ["--fault-rate", "0.2", "--duplicates", "0.2", "--max-jobs", "16"]
    size = ["--items", str(ITEMS), "--kills", str(KILLS), "--freezes", str(FREEZES), "--seed", "5"]
    command = [sys.executable, "-m", "tests.chaos", *size, *often, "--folder", str(folder)]
    environ = {**os.environ, "COLUMNS": "300"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=500, check=False)
    return done, folder


def test_nothing_is_lost_doubled_leaked_or_wrong(chaos: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Of any item, and the exit code says so."""
    done, _ = chaos
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    assert "0 lost, 0 doubled, 0 slots leaked, 0 ended wrong, 0 blocked" in done.stdout


def test_every_kind_of_trouble_was_there(chaos: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Functions were killed and frozen, every system failed, agents were forgotten: a quiet run would show nothing."""
    done, _ = chaos
    assert all(
        re.search(rf"^kills: {KILLS} \(.*{name} {KILLS // 3}\b", done.stdout, re.MULTILINE) for name in FUNCTIONS
    )
    assert all(re.search(rf"^freezes: \d+ \(.*{name} \d", done.stdout, re.MULTILINE) for name in FUNCTIONS)
    assert not re.search(r"in the middle of a call: 0\b", done.stdout)
    assert not re.search(r"records of agents deleted: 0\b", done.stdout)
    for system in ("wandb", "vertex", "bucket", "the topic"):
        assert re.search(rf"^faults of {system}: [1-9]", done.stdout, re.MULTILINE), system
    assert not re.search("^pushes that came twice: 0", done.stdout, re.MULTILINE)


def test_rounds_were_calm_enough_to_see_who_waits(chaos: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Without calm rounds nobody can be found blocked."""
    done, _ = chaos
    found = re.search(r"^calm rounds: (\d+)", done.stdout, re.MULTILINE)
    assert found
    assert int(found[1]) >= 10


def test_the_ledger_of_items_names_every_one(chaos: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """With its kind, its verdict and its single CustomJob, or what its author reads."""
    _, folder = chaos
    with (folder / "items.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["name"] for row in rows}) == ITEMS
    assert {row["kind"] for row in rows} == {kind.name for kind in KINDS}
    assert {row["verdict"] for row in rows} == {"right"}
    single = [row for row in rows if row["kind"] in ("succeeds", "published")]
    assert all(re.fullmatch(r"projects/\S+/customJobs/\d+", row["job_names"]) for row in single)
    assert all(row["message"] for row in rows if row["item"] == "FAILED")
