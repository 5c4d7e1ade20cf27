"""The launches of a fleet that somebody asks for: by queue, state, author and time."""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from deploy.operate.fleet import rows
from deploy.operate.fleet.fleet import Fleet, state_of
from deploy.operate.plain import plain
from shared.core.entry import BOUNDS, Entry
from shared.core.shorten import shortened

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Since(click.ParamType[timedelta | datetime]):
    """A duration such as 30m, 12h or 7d, or a time in ISO 8601; UTC without a zone."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta | datetime:
        """Return a timedelta or an aware datetime."""
        if found := re.fullmatch(r"(\d{1,6})([smhdw])", value.strip()):
            return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
        with suppress(ValueError):
            at = datetime.fromisoformat(value.strip())
            return at if at.tzinfo else at.replace(tzinfo=UTC)
        return self.fail(f"{plain(value)!r}: write 30m, 12h, 7d, or 2026-11-26T08:00", param, ctx)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The launches that somebody asks for."""

    queues: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    since: timedelta | datetime | None = None

    @property
    def closed(self) -> bool:
        """Tell whether launches can be among them that are over."""
        return self.since is not None or not set(self.states).isdisjoint(rows.ENDED)

    def select(self, fleet: Fleet) -> list[Entry]:
        """Return them, the oldest first."""
        begin = fleet.now - self.since if isinstance(self.since, timedelta) else self.since
        authors = {_bounded(author) for author in self.authors}
        over = [entry for entry in fleet.closed if begin is None or _ended(entry) >= begin]
        found = [
            entry
            for entry in (*fleet.open, *over)
            if (not self.queues or self._in_queue(entry))
            and (not self.states or state_of(entry, fleet.now) in self.states)
            and (not authors or _bounded(entry.author) in authors)
        ]
        return sorted(found, key=lambda entry: (entry.opened_at, entry.key))

    def unreadable(self, fleet: Fleet) -> dict[str, str]:
        """Return the problems of the unreadable records: nobody knows their queue and author."""
        named = bool(self.queues or self.authors) and rows.UNREADABLE not in self.states
        hidden = named or (self.states and rows.UNREADABLE not in self.states)
        return {} if hidden else {key: plain(why) for key, why in sorted(fleet.unreadable.items())}

    def _in_queue(self, entry: Entry) -> bool:
        names = {entry.queue_name, f"{entry.queue_entity}/{entry.queue_name}"}
        return bool(entry.queue_name) and not names.isdisjoint(self.queues)


def _ended(entry: Entry) -> datetime:
    """Return when a closed launch ended; an older revision has not kept it."""
    return entry.ended_at or entry.submitted_at or entry.opened_at


def _bounded(author: str) -> str:
    """Return an author's name as the index has it, for a comparison."""
    return shortened(author, BOUNDS["author"]).casefold()
