"""Each bad day of `make up`, as its guide walks through it: `why` names the cause, and the printed command ends it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.local.plays import PLAYS
from deploy.local.record import SCRIPT, Record, running
from tests.e2e.test_demo import ROOT, started
from tests.waiting import eventually

pytestmark = pytest.mark.long  # half a minute each
CAUSES = {  # what `why` says about the last item, or for "preempted" about the one that W&B shows so
    "no-capacity": r"\(STOCKOUT\)",
    "quota-zero": r"the quota \S+ is 0",
    "key-revoked": r"W&B refuses the API key of the functions",
    "full": r"max_jobs is reached, because 1 of 1",
    "preempted": r"reempted",
    "slow-build": r"Cloud Build builds its image",
}


@pytest.mark.parametrize("name", PLAYS)
def test_a_bad_day_shows_its_cause_and_ends(name: str, tmp_path: Path) -> None:
    """With the printed commands only; afterwards a run goes on that could not."""
    folder = tmp_path / "stack"
    program = tmp_path / "vertex-launch"  # of this checkout
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m deploy "$@"\n')
    program.chmod(0o755)
    with started("up", "--folder", str(folder), "--port-base", "0", "--play", name, beside=tmp_path) as (up, printed):
        eventually(lambda: "To end the bad day" in printed() or up.poll() is not None, "its items are on the queue")
        record = running(folder)
        assert isinstance(record, Record), printed()
        before, _, end = printed().partition("To end the bad day:")
        commands = re.findall(r"vertex-launch why \S+", before)
        assert len(commands) == len(PLAYS[name].items) + len(PLAYS[name].later)
        eventually(lambda: re.search(CAUSES[name], "".join(shell(folder, one) for one in commands)), CAUSES[name], 90)
        shell(folder, end)
        eventually(lambda: has_ended(name, record), "the bad day is over")


def shell(folder: Path, command: str) -> str:
    """Run a printed command in a shell that uses the stack, as a person who agrees to every question."""
    path = os.pathsep.join([str(folder.parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-c", f'. "{folder / SCRIPT}"; {command}'],
        env={"PATH": path, "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        input="y\n" * 9,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def has_ended(name: str, record: Record) -> bool:
    """Tell whether the runs show that the bad day is over."""
    runs: list[dict[str, Any]] = requests.get(f"{record.addresses['wandb']}/standin/runs", timeout=10).json()
    states = {run["display_name"]: run["state"] for run in runs}
    if name == "full":
        return "running" in (states.get("full-2"), states.get("full-3"))
    return states.get(PLAYS[name].items[0].name) == "finished"
