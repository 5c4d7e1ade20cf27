"""The report of one call of poll."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from shared.core.errors import KeyRefused, message_of
from shared.core.redaction import redacted

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
    headroom: int | None = None  # free slots when the last round began; -1: no limit
    pending: int | None = None  # items that wait in W&B; counted rarely
    key_refused: bool = False
    errors: list[str] = field(default_factory=list)

    def measured(self) -> dict[str, Any]:
        """Return the numbers for metrics, without those that this call has not counted."""
        counted = {"headroom": self.headroom, "pending": self.pending}
        return {
            "function": "poll",
            **{name: number for name, number in counted.items() if number is not None},
            "held": len(self.held),
            "held_queues": self.held,
            "launched": self.launched.total(),
            "refused": self.refused.total(),
            "key_refused": int(self.key_refused),
            "problems": len(self.errors),
        }

    @classmethod
    def of_refused_key(cls, exc: KeyRefused) -> "Report":
        """Return the report of a call that ended because W&B refuses the key."""
        report = cls(polled=False, why_not="W&B refuses the key", key_refused=True)
        report.failed("key", exc, exc)
        return report

    def failed(self, where: str, problem: object, exc: Exception | None = None) -> None:
        """Note and log a failure; the next call tries again."""
        text = message_of(problem) if isinstance(problem, Exception) else str(problem)
        if self.note(where, text):
            fields = {"where": where, "problem": text}
            log.error("poll.failed", extra={"fields": fields}, exc_info=exc)

    def note(self, where: str, problem: str) -> bool:
        """Note an error without logging it; return whether it is new."""
        text = redacted(f"{where}: {problem}")
        new = text not in self.errors
        if new:
            self.errors.append(text)
        return new
