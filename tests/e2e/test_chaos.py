"""Chaos as `make chaos` runs it, with few items: none lost, none doubled, none told something wrong, no slot leaked."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.chaos.items import KINDS
from deploy.local.faults import FAULTS
from deploy.local.stack import FUNCTIONS, ROOT

ITEMS, KILLS = 48, 12


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run it once; a fifth of all calls fail, so that every kind of failure is among few."""
    folder = tmp_path_factory.mktemp("chaos") / "logs"
    often = ["--fault-rate", "0.2", "--duplicates", "0.2", "--max-jobs", "16"]
    size = ["--items", str(ITEMS), "--kills", str(KILLS), "--seed", "5"]
    command = [sys.executable, "-m", "deploy", "chaos", *size, *often, "--folder", str(folder)]
    environ = {**os.environ, "COLUMNS": "300"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=500, check=False)
    return done, folder


def test_nothing_is_lost_doubled_leaked_or_wrong(chaos: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Of any item, and the exit code says so."""
    done, _ = chaos
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    assert "0 lost, 0 doubled, 0 slots leaked, 0 ended wrong" in done.stdout


def test_every_kind_of_trouble_was_there(chaos: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Every function was killed, every failure given, and pushes came twice: a quiet run would show nothing."""
    done, _ = chaos
    assert all(
        re.search(rf"^kills: {KILLS} \(.*{name} {KILLS // 3}\b", done.stdout, re.MULTILINE) for name in FUNCTIONS
    )
    assert not re.search(r"\b0 of them in the middle of a call", done.stdout)
    given = set(re.findall(r"[(,] ?([a-z0-9][a-z0-9 ]*) \d+", "".join(re.findall(r"^faults of .*", done.stdout, re.M))))
    assert given == {fault.name for fault in FAULTS}
    assert not re.search("^pushes that came twice: 0", done.stdout, re.MULTILINE)


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
