"""The report of one call of poll."""

import logging
from collections import Counter
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """The result of one call; its JSON is the answer to Cloud Scheduler."""

    polled: bool = True
    why_not: str = ""
    agent_id: str = ""
    open_launches: int = 0
    launched: Counter[str] = field(default_factory=Counter)  # per queue: acked to us and published
    refused: Counter[str] = field(default_factory=Counter)  # per queue: acked, to be FAILED
    left: Counter[str] = field(default_factory=Counter)  # per reason: popped, and not ours
    held: dict[str, str] = field(default_factory=dict)  # per queue: why it was not popped
    full: str = ""  # the limits that are reached
    errors: list[str] = field(default_factory=list)

    def failed(self, where: str, problem: object, exc: Exception | None = None) -> None:
        """Note and log a failure; the next call tries again."""
        if self.note(where, problem):
            fields = {"where": where, "problem": str(problem)}
            log.error("poll.failed", extra={"fields": fields}, exc_info=exc)

    def note(self, where: str, problem: object) -> bool:
        """Note an error without logging it; return whether it is new."""
        text = f"{where}: {problem}"
        new = text not in self.errors
        if new:
            self.errors.append(text)
        return new
