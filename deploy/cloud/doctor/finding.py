"""What a check is, and what it finds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a thing is; the value is the sign before its line."""

    OK = "✓"
    WARNING = "!"
    FAILED = "✗"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, and where it is not as it shall be, how to mend it.

    `mend` is made of lines to copy: commands in full, or where there is none, what to do.
    """

    name: str
    outcome: Outcome
    said: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One look at one thing; `needs` are the permissions that whoever looks has to have."""

    name: str
    look: Callable[[], Iterable[Finding]]
    needs: tuple[str, ...] = ()


def ok(name: str, said: str) -> Finding:
    """Return that all is well."""
    return Finding(name, Outcome.OK, said)


def warning(name: str, said: str, mend: str) -> Finding:
    """Return what works, but not as it should."""
    return Finding(name, Outcome.WARNING, said, mend)


def failed(name: str, said: str, mend: str) -> Finding:
    """Return what does not work."""
    return Finding(name, Outcome.FAILED, said, mend)


def unknown(name: str, said: str, mend: str = "") -> Finding:
    """Return what could not be seen."""
    return Finding(name, Outcome.UNKNOWN, said, mend)
