"""What one call of poll did."""

import logging
from collections import Counter
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """What one call did; its JSON is the answer to Cloud Scheduler."""

    polled: bool = True
    why_not: str = ""
    agent_id: str = ""
    open_launches: int = 0
    launched: Counter[str] = field(default_factory=Counter)  # per queue: acked to us and published
    refused: Counter[str] = field(
        default_factory=Counter
    )  # per queue: acked to us; status reports them as FAILED
    left: Counter[str] = field(
        default_factory=Counter
    )  # per reason: popped, and not ours to launch now
    held: dict[str, str] = field(default_factory=dict)  # per queue that was not popped: why
    full: str = ""  # the limits that leave no room
    errors: list[str] = field(default_factory=list)

    def failed(self, where: str, problem: object, exc: Exception | None = None) -> None:
        """Note and log what could not be done now; the next call tries it again."""
        if self.note(where, problem):
            log.error(
                "poll.failed",
                extra={"fields": {"where": where, "problem": str(problem)}},
                exc_info=exc,
            )

    def note(self, where: str, problem: object) -> bool:
        """Note an error that was logged before; return whether it is new."""
        text = f"{where}: {problem}"
        new = text not in self.errors
        if new:
            self.errors.append(text)
        return new
