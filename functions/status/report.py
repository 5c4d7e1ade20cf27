"""The report of one tick of status."""

import logging
from collections import Counter
from dataclasses import dataclass, field

from shared.core.redaction import redacted

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """The result of one tick; its JSON is the answer to Cloud Scheduler."""

    open_launches: int = 0
    jobs_listed: int = 0
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

    def failed(self, where: str, exc: Exception) -> None:
        """Note and log a failure; the next tick tries again."""
        self.errors.append(redacted(f"{where}: {type(exc).__name__}: {exc}"))
        log.error("status.failed", extra={"fields": {"where": where}}, exc_info=exc)
