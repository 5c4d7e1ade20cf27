"""The report of one tick of status."""

import logging
from collections import Counter
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """The result of one tick; its JSON is the answer to Cloud Scheduler."""

    open_launches: int = 0
    jobs_listed: int = 0
    done: Counter[str] = field(default_factory=Counter)  # per decision
    orphans: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def failed(self, where: str, exc: Exception) -> None:
        """Note and log a failure; the next tick tries again."""
        self.errors.append(f"{where}: {type(exc).__name__}: {exc}")
        log.error("status.failed", extra={"fields": {"where": where}}, exc_info=exc)
