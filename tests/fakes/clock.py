"""A clock that only a test moves."""

from datetime import UTC, datetime, timedelta

from shared.core.budget import Budget

PLENTY = Budget(1e9)  # for a test that is about something else


class FakeClock:
    """Call it for the time; `pass_` moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time now."""
        return self.now

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
