"""A clock that only a test moves."""

from datetime import UTC, datetime, timedelta

from shared.core.budget import Budget

PLENTY = Budget(1e9)  # for tests without a time limit


class FakeClock:
    """A callable that returns the time; `pass_` moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def pass_(self, seconds: float) -> None:
        """Move the time forward."""
        self.now += timedelta(seconds=seconds)
