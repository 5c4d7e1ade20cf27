"""The report of one tick of status."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from shared.core.errors import described
from shared.core.redaction import redacted

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """The result of one tick; its JSON is the answer to Cloud Scheduler.

    `slots` has the later times at which paced launches may be created, and their keys, in order.
    """

    open_launches: int = 0
    jobs_listed: int = 0
    ticks: int = 1  # of this call
    pending: int = 0  # jobs at the last tick, as are the next two
    stopping: int = 0
    young: int = 0
    freed: int = 0  # launches that are open no more
    done: Counter[str] = field(default_factory=Counter)  # per decision
    orphans: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    queued: int = 0  # launches by state, as they were listed
    submitting: int = 0
    submitted: int = 0
    ended: int = 0
    oldest_seconds: int = 0  # of the oldest launch that is not held and never had a job
    owed: int = 0  # launches with a report, warning or event that was not delivered
    errors: list[str] = field(default_factory=list)
    slots: list[tuple[datetime, str]] = field(default_factory=list, metadata={"shown": False})

    def measured(self) -> dict[str, str | int]:
        """Return the numbers for metrics."""
        states = {name: getattr(self, name) for name in ("queued", "submitting", "submitted")}
        return {
            "function": "status",
            **states,
            "ended": self.ended,
            "oldest_seconds": self.oldest_seconds,
            "owed": self.owed,
            "problems": len(self.errors),
            "doubled": len(self.doubled),
        }

    def followed_by(self, later: "Report") -> "Report":
        """Return the report of the next tick, with everything that was done and failed before."""
        later.ticks += self.ticks
        later.freed += self.freed
        later.done = self.done + later.done
        later.closed = [*self.closed, *later.closed]
        later.orphans = list(dict.fromkeys([*self.orphans, *later.orphans]))
        later.doubled = list(dict.fromkeys([*self.doubled, *later.doubled]))
        later.errors = list(dict.fromkeys([*self.errors, *later.errors]))
        return later

    def failed(self, where: str, exc: Exception) -> None:
        """Note and log a failure; the next tick tries again."""
        self.errors.append(redacted(f"{where}: {described(exc)}"))
        log.error("status.failed", extra={"fields": {"where": where}}, exc_info=exc)
