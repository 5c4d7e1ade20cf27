"""The demo's output: what W&B shows of each job, in a terminal of 80 × 24, and errors in one line."""

import io
from pathlib import Path
from typing import Any

import click
import pytest
from rich.console import Console

from deploy.local.cases import CASES
from deploy.local.commands import TRACEBACK, in_one_line
from deploy.local.rows import Row, progress, summary, table

REASON = "resource_args.gcp-vertex.spec.worker_pool_spec: is not an argument of [CustomJob]. Did you mean …?"
JOB = {"state": "JOB_STATE_FAILED", "error": "The replica exited with a status of 1."}


def printed(drawn: Any) -> list[str]:
    """Print to a terminal of 80 columns; return its lines."""
    file = io.StringIO()
    Console(file=file, width=80).print(drawn)
    return file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("item", "run", "reason"),
    [
        ({"error": {"message": "refused"}}, {}, "refused"),
        ({"error": None, "warning": {"message": "waits"}}, {}, "waits"),
        ({"error": None, "warning": None}, {"state": "failed", "last_log_line": "loss is nan"}, "loss is nan"),
        ({"error": None, "warning": None}, {"state": "finished", "last_log_line": "done"}, ""),
        ({}, {}, ""),
    ],
)
def test_the_reason_is_what_wandb_shows(item: dict[str, Any], run: dict[str, Any], reason: str) -> None:
    """The CustomJob's own error, which only Vertex AI shows, is no part of it."""
    assert Row(CASES[0], item=item, jobs=[JOB], run=run).reason == reason


def test_the_table_fits_a_terminal() -> None:
    """With the longest states and reasons, it leaves half of the 24 lines to the rest."""
    item = {"state": "CLAIMED", "error": {"message": REASON + "\n" + REASON}}
    job = {"state": "JOB_STATE_CANCELLING"}
    rows = [Row(case, item, "SUBMITTING", [job], {"state": "preempting"}) for case in CASES]
    lines = printed(table(rows))
    assert len(lines) <= 12
    assert max(map(len, lines)) <= 80
    assert all("preempting" in line for line in lines[2:])


def test_the_summary_has_the_whole_reason() -> None:
    """A bracket in a reason is no markup."""
    file = io.StringIO()
    [case] = [case for case in CASES if case.name == "bad-spec"]
    row = Row(case, {"state": "FAILED", "error": {"message": REASON}}, "closed: REJECTED")
    summary([row], Console(file=file, width=80))
    first, *rest = file.getvalue().splitlines()
    assert first.split() == ["OK", "bad-spec", *case.about.split()[:-1], case.about.split()[-1] + ":", "FAILED"]
    assert " ".join(line.strip() for line in rest) == REASON


def test_progress_names_only_the_known_states() -> None:
    """A job without a run yet has no run in its line."""
    row = Row(CASES[0], {"state": "CLAIMED"}, "SUBMITTED", [{"state": "JOB_STATE_RUNNING"}])
    assert progress(row) == "train-1: item CLAIMED, launch SUBMITTED, CustomJob RUNNING"


def test_an_unforeseen_error_is_one_line(tmp_path: Path) -> None:
    """Its traceback is in the folder."""
    with pytest.raises(click.ClickException) as caught, in_one_line(tmp_path):
        raise KeyError("run_spec")
    assert caught.value.message == f"KeyError: 'run_spec': see {tmp_path / TRACEBACK}"
    assert "Traceback" in (tmp_path / TRACEBACK).read_text(encoding="utf-8")
