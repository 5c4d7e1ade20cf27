"""Checks and their findings."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Outcome(StrEnum):
    """The result of a check; the value is the sign before its line."""

    OK = "✓"
    WARNING = "!"
    FAILED = "✗"
    UNKNOWN = "?"


_WORST = (Outcome.FAILED, Outcome.WARNING, Outcome.UNKNOWN, Outcome.OK)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: the thing that was checked, the result, and the fix.

    `fix` consists of lines to copy: whole commands, or a sentence if no command can do it. `causes`
    name what is at fault: findings with one in common are one fault. `because` names what would
    explain this finding, if another one reports it. `also` are the others of the same fault.
    """

    name: str
    outcome: Outcome
    message: str
    fix: str = ""
    causes: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    also: tuple["Finding", ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One look at one thing; `needs` are the permissions that the caller must have.

    `on_stack` tells whether the stack of `make up` has that thing.
    """

    name: str
    look: Callable[[], Iterable[Finding]]
    needs: tuple[str, ...] = ()
    on_stack: bool = False


class Unusable(Exception):
    """Something that a check needs is at fault; another check reports it as `cause`."""

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


def ok(name: str, message: str) -> Finding:
    """Return the finding of a thing that works."""
    return Finding(name, Outcome.OK, message)


def warning(name: str, message: str, fix: str, *causes: str) -> Finding:
    """Return the finding of a thing that works, but needs attention."""
    return Finding(name, Outcome.WARNING, message, fix, causes)


def failed(name: str, message: str, fix: str, *causes: str) -> Finding:
    """Return the finding of a thing that does not work."""
    return Finding(name, Outcome.FAILED, message, fix, causes)


def unknown(name: str, message: str, fix: str = "", *causes: str) -> Finding:
    """Return the finding of a thing that could not be seen."""
    return Finding(name, Outcome.UNKNOWN, message, fix, causes)


def by_cause(findings: Sequence[Finding]) -> list[Finding | None]:
    """Return each cause once: the worst finding, with the others of its cause in `also`.

    The result is as long as `findings`; None stands for one that is in another's `also`.
    """
    chiefs: dict[str, int] = {}  # the place of the finding that stays, by cause
    also: dict[int, list[Finding]] = {}
    for place in sorted(range(len(findings)), key=lambda at: _WORST.index(findings[at].outcome)):
        causes = findings[place].causes
        chief = next((chiefs[cause] for cause in causes if cause in chiefs), None)
        if chief is None:
            chief, also[place] = place, []
        else:
            also[chief].append(findings[place])
        for cause in causes:
            chiefs.setdefault(cause, chief)
    for place in list(also):
        why = (chiefs[cause] for cause in findings[place].because if cause in chiefs)
        if (chief := next(why, place)) != place:
            also[chief] += [findings[place], *also.pop(place)]
            chiefs = {cause: chief if at == place else at for cause, at in chiefs.items()}
    return [
        replace(finding, also=tuple(also[place])) if place in also else None
        for place, finding in enumerate(findings)
    ]
