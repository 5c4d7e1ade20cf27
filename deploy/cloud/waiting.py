"""Repeat calls to Google whose errors pass by themselves; `waiting.txt` lists these errors.

`patiently.sh` does the same for the shell scripts.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

import click

T = TypeVar("T")
TABLE = Path(__file__).with_name("waiting.txt")
SECONDS = 420  # Google: a new binding takes up to seven minutes
FIRST_PAUSE, LONGEST_PAUSE = 2, 30  # seconds; each pause is twice the last one
LAG, DENIED = "lag", "denied"


@dataclass(frozen=True)
class Passing:
    """An error that passes by itself: its kind, LAG or DENIED, and the reason for people."""

    kind: str
    reason: str


@cache
def _table() -> tuple[tuple[re.Pattern[str], Passing], ...]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return tuple((re.compile(words), Passing(kind, reason)) for kind, words, reason in rows)


def passing(error: str) -> Passing | None:
    """Classify the text of an error; None for an error that stays."""
    found = next((found for words, found in _table() if words.search(error)), None)
    return found if found and found.kind in (LAG, DENIED) else None


@dataclass(frozen=True)
class Patience:
    """How long to repeat a call, in seconds: `denied` after a refused permission.

    `ended` ends every pause: another call has failed for good, so its caller wants to stop.
    """

    seconds: float = SECONDS
    denied: float = 60
    ended: threading.Event = field(default_factory=threading.Event)

    def keep(
        self,
        call: Callable[[], T],
        classify: Callable[[Exception], Passing | None],
        name: str,
    ) -> T:
        """Return what `call` returns; repeat it while `classify` finds a passing error.

        Shows the reason of each pause. After the last repetition, its error is raised.
        """
        waited, pause = 0.0, float(FIRST_PAUSE)
        while True:
            try:
                return call()
            except Exception as exc:
                found = classify(exc)
                limit = self.seconds if found and found.kind == LAG else self.denied
                if found is None or waited >= limit or self.ended.is_set():
                    raise
                click.echo(
                    f"Waiting ({waited:.0f} of at most {limit:.0f} s): {found.reason}.\n"
                    f"  {name}: {_last_line(exc)}",
                    err=True,
                )
            sleep(self.ended, pause)
            waited, pause = waited + pause, min(2 * pause, float(LONGEST_PAUSE))


def sleep(ended: threading.Event, seconds: float) -> None:
    """Wait; an event ends it."""
    ended.wait(seconds)


def _last_line(exc: Exception) -> str:
    """Return the line of an error that says most: the last one with words."""
    text = exc.message if isinstance(exc, click.ClickException) else str(exc)
    lines = [line.strip() for line in text.splitlines() if "ERROR" in line] or text.splitlines()
    return lines[-1].strip() if lines else type(exc).__name__
