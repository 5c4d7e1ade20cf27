"""The demo's output: what W&B shows of each job, in a terminal of 80 × 24, and errors in one line."""

import io
import os
from pathlib import Path
from typing import Any

import click
import pytest
from rich.console import Console

from deploy.local.cases import CASES
from deploy.local.commands import TRACEBACK, in_one_line
from deploy.local.rows import Row, progress, summary, table
from deploy.local.screen import is_screen

REASON = "resource_args.gcp-vertex.spec.worker_pool_spec: is not an argument of [CustomJob]. Did you mean …?"
JOB = {"state": "JOB_STATE_FAILED", "error": "The replica exited with a status of 1."}


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


LONG = "The job's log: " + " ".join(f"line-{n}" for n in range(200)) + " the-last-word"


def drawn(rows: list[Row], width: int = 80, height: int = 19, *, ended: bool = False) -> list[str]:
    """Return the lines of the table on a terminal."""
    file = io.StringIO()
    Console(file=file, width=width).print(table(rows, width, height, ended=ended), soft_wrap=True)
    return file.getvalue().splitlines()


def reports(reason: str) -> list[Row]:
    """Return all jobs in their longest states; each author reads this."""
    item = {"state": "CLAIMED", "error": {"message": reason}}
    job = {"state": "JOB_STATE_CANCELLING"}
    return [Row(case, item, "SUBMITTING", [job], {"state": "preempting"}) for case in CASES]


@pytest.mark.parametrize("reason", ["", REASON, f"{REASON}\n{REASON}", LONG])
@pytest.mark.parametrize("ended", [False, True])
def test_the_table_fits_a_terminal(reason: str, ended: bool) -> None:
    """With the longest states and reasons, it has 19 of the 24 lines; each job and its states are whole."""
    lines = drawn(reports(reason), ended=ended)
    assert len(lines) <= 19
    assert max(map(len, lines)) <= 80
    states = [line.split() for line in lines if "preempting" in line]
    assert [words[-5:-1] for words in states] == [[case.name, "CLAIMED", "SUBMITTING", "CANCELLING"] for case in CASES]


def test_the_author_reads_whole_sentences_where_there_is_room() -> None:
    """Beside the states on a wide terminal, else below them: the same words, in their order."""
    rows = reports("")
    rows[3].item = rows[4].item = {"state": "FAILED", "error": {"message": REASON}}
    for width in (80, 200):
        lines = drawn(rows, width)
        assert lines[0].split()[-4:] == ["what", "the", "author", "reads"]
        text = " ".join(" ".join(lines).split())
        assert text.count(REASON) == 2, text
    assert len(drawn(rows, 200)) == 1 + len(CASES)


def test_a_text_loses_its_middle_first() -> None:
    """Its beginning names the field, its end the fix."""
    rows = reports("")
    rows[3].item = {"state": "FAILED", "error": {"message": LONG}}
    text = " ".join(drawn(rows))
    assert "The job's log: line-0 " in text
    assert " … " in text
    assert "the-last-word" in text


def test_a_wrong_end_says_what_was_expected() -> None:
    """Once nothing more can come."""
    row = Row(CASES[0], {"state": "FAILED", "error": {"message": "no quota"}}, "closed: FAILED")
    assert not any("expected" in line for line in drawn([row]))
    assert drawn([row], ended=True)[2].strip() == "Not as expected: CLAIMED → SUCCEEDED → finished. no quota"


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


def test_a_pipe_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if a CI asks for colours; so does a terminal that cannot move its cursor."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not is_screen(Console(file=io.StringIO()))
    with os.fdopen(os.openpty()[1], "w") as terminal:
        assert is_screen(Console(file=terminal))
        monkeypatch.setenv("TERM", "dumb")
        assert not is_screen(Console(file=terminal))


def test_an_unforeseen_error_is_one_line(tmp_path: Path) -> None:
    """Its traceback is in the folder."""
    with pytest.raises(click.ClickException) as caught, in_one_line(tmp_path):
        raise KeyError("run_spec")
    assert caught.value.message == f"KeyError: 'run_spec': see {tmp_path / TRACEBACK}"
    assert "Traceback" in (tmp_path / TRACEBACK).read_text(encoding="utf-8")
