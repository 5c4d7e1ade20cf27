"""The pace of creates: as many a minute as Vertex AI allows, learned from its refusals (429).

Without a refusal in the last hour there is no limit, and no call. With one, submit claims a launch
first and then counts, in the ledger's consistent listing, the creates of the last minute and those
that come before it. A launch without a free slot waits for its slot here, or in the ledger.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.budget import Budget
from shared.core.entry import PACED_AHEAD, Entry
from shared.core.errors import Capacity, LaunchError, described
from shared.core.launch import Launch, State
from shared.core.ports import Clock, LearnedPace, Ledger, PaceBook
from shared.core.shortage import Shortage

log = logging.getLogger(__name__)

WINDOW = timedelta(minutes=1)  # of the quota
COUNTED = WINDOW + timedelta(seconds=0.5)  # the clocks of two processes differ by less
FORGOTTEN = timedelta(hours=1)
PATIENCE = PACED_AHEAD + timedelta(seconds=5)  # a later slot is waited for in the ledger
LOOKS = 5  # listings before a launch waits in the ledger
SHARED = 0.8  # refused below this share of the quota: somebody else uses the rest


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of one deployment, by the project and region of its jobs."""

    ledger: Ledger
    book: PaceBook
    clock: Clock
    pause: Callable[[float], object]
    heard: dict[str, LearnedPace]  # by this process: all its threads know it at once

    def slot(self, claimed: Launch, due: datetime | None, budget: Budget) -> datetime | None:
        """Wait for a free slot if it is near; return the time of a later one, or None to go on.

        `due` is the time for which the launch has waited in the ledger. A ledger that cannot be
        read stops nothing: Vertex AI itself still refuses.
        """
        entry = claimed.entry
        try:
            for _ in range(LOOKS):
                now = self.clock()
                pace = self._pace(entry.parent, now)
                earliest = max(due or now, now)
                if pace:
                    before = ahead(entry, due, self.ledger.list_open().entries, now)
                    earliest = free_slot(max(earliest, pace.not_before), before, pace.limit)
                wait = earliest - now
                if wait <= timedelta(0):
                    return None
                if wait > PATIENCE or wait.total_seconds() >= budget.left:
                    return min(earliest, now + FORGOTTEN)
                self.pause(wait.total_seconds())
        except LaunchError as exc:
            log.warning("submit.unpaced", extra={"fields": _fields(entry, exc)})
            return None
        return earliest

    def learn(self, refused: Launch, why: Capacity) -> None:
        """Record the quota that a refusal names; without one, what was sent in the last minute."""
        if why.shortage is not Shortage.RATE:
            return
        entry = refused.entry
        try:
            now = self.clock()
            # one refusal holds the others for a window at most, however long its own wait is
            not_before = now + min(why.at_least, WINDOW)
            if why.limit:  # the book takes a moment, in which other threads would be refused, too
                self.heard[entry.parent] = LearnedPace(why.limit, now, not_before)
            sent = ahead(entry, None, self.ledger.list_open().entries, now)
            busy = max(1, sum(now - WINDOW < each <= now for each in sent))
            known = _current(self.book.pace_of(entry.parent), now)
            limit = why.limit or busy
            if known and busy < SHARED * known.limit:
                limit = min(limit, busy)
            self.book.learn(entry.parent, LearnedPace(limit, now, not_before))
        except LaunchError as exc:
            log.warning("submit.unpaced", extra={"fields": _fields(entry, exc)})

    def _pace(self, parent: str, now: datetime) -> LearnedPace | None:
        noted = _current(self.book.pace_of(parent), now)
        heard = _current(self.heard.get(parent), now)
        if noted and heard:
            return heard if heard.learned_at > noted.learned_at else noted
        return noted or heard


def ahead(
    mine: Entry, due: datetime | None, entries: Sequence[Entry], now: datetime
) -> list[datetime]:
    """Return the times of the creates that come before a launch, in its project and region."""
    times = []
    for entry in entries:
        if entry.key == mine.key or entry.parent != mine.parent:
            continue
        if entry.state is State.SUBMITTED and entry.submitted_at:
            times.append(entry.submitted_at)
        elif entry.state is State.SUBMITTING and entry.lease_until and mine.lease_until:
            order = (entry.lease_until, entry.key)
            if entry.unanswered or order < (mine.lease_until, mine.key):
                times.append(now)
        elif entry.state is State.QUEUED and entry.short_of is Shortage.RATE and entry.retry_at:
            if entry.retry_at < (due or now):
                times.append(max(entry.retry_at, now))
            elif entry.retry_at > now:
                times.append(entry.retry_at)
    return times


def free_slot(earliest: datetime, times: Sequence[datetime], limit: int) -> datetime:
    """Return the first time at which fewer than `limit` creates are in the minute before it."""
    ends = (each + COUNTED for each in times)
    candidates = sorted({earliest, *(end for end in ends if end > earliest)})
    for candidate in candidates:
        if sum(candidate - COUNTED < each <= candidate for each in times) < limit:
            return candidate
    return candidates[-1]


def _current(pace: LearnedPace | None, now: datetime) -> LearnedPace | None:
    """Return a pace that is not forgotten yet; one from the future is not ours."""
    return pace if pace and -WINDOW <= now - pace.learned_at < FORGOTTEN else None


def _fields(entry: Entry, exc: LaunchError) -> dict[str, str]:
    return {"launch_key": entry.key, "problem": described(exc)}
