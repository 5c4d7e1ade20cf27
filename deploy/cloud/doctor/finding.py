"""Checks and their findings."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """The result of a check; the value is the sign before its line."""

    OK = "✓"
    WARNING = "!"
    FAILED = "✗"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: the thing that was checked, the result, and the fix.

    `fix` consists of lines to copy: whole commands, or a sentence if no command can do it.
    """

    name: str
    outcome: Outcome
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One look at one thing; `needs` are the permissions that the caller must have."""

    name: str
    look: Callable[[], Iterable[Finding]]
    needs: tuple[str, ...] = ()


def ok(name: str, message: str) -> Finding:
    """Return the finding of a thing that works."""
    return Finding(name, Outcome.OK, message)


def warning(name: str, message: str, fix: str) -> Finding:
    """Return the finding of a thing that works, but needs attention."""
    return Finding(name, Outcome.WARNING, message, fix)


def failed(name: str, message: str, fix: str) -> Finding:
    """Return the finding of a thing that does not work."""
    return Finding(name, Outcome.FAILED, message, fix)


def unknown(name: str, message: str, fix: str = "") -> Finding:
    """Return the finding of a thing that could not be seen."""
    return Finding(name, Outcome.UNKNOWN, message, fix)
