"""One launch of a listing, as a JSON document and as texts for people."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from deploy.operate.fleet.fleet import since_of, state_of
from deploy.operate.plain import one_line
from shared.core.duration import span
from shared.core.entry import Entry
from shared.core.states import State

UNREADABLE = "unreadable"
STATES = {  # in the order of a launch's life, with the colour on a terminal
    "queued": "",
    "building": "cyan",
    "waiting": "yellow",
    "submitting": "",
    "pending": "cyan",
    "running": "green",
    "stopping": "yellow",
    "cancelling": "yellow",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "dim",
    "rejected": "red",
    UNREADABLE: "red",
}
ENDED = ("succeeded", "failed", "cancelled", "rejected")
SHORTEST = 8  # characters of a key on a terminal


def document(entry: Entry, now: datetime) -> dict[str, Any]:
    """Return a launch as JSON with all fields of fields.py; null for what does not apply."""
    values = {
        "launch_key": entry.key,
        "state": state_of(entry, now),
        "state_seconds": max(int((now - since_of(entry)).total_seconds()), 0),
        "name": entry.name,
        "author": entry.author,
        "source": entry.source,
        "entity": entry.run.entity,
        "project": entry.run.project,
        "run_id": entry.run.run_id,
        "queue": entry.queue_name,
        "queue_entity": entry.queue_entity,
        "item_id": entry.item_id,
        "machine": entry.machine,
        "region": region(entry),
        "job": entry.job_name,
        "build": entry.build,
        "tries": entry.attempt,
        "preempted": entry.resumes,
        "lacks": str(entry.short_of or ""),
        "holds_queue": entry.holds_queue,
        "next_try_at": moment(entry.retry_at),
        "opened_at": moment(entry.opened_at),
        "submitted_at": moment(entry.submitted_at),
        "started_at": moment(entry.started_at),
        "ended_at": moment(entry.ended_at),
        "outcome": str(entry.outcome or ""),
        "reason": entry.reason,
        "notice": entry.notice,
        "retries": entry.retries,
        "wish": _wish(entry),
    }
    return {name: None if value == "" else value for name, value in values.items()}


def _wish(entry: Entry) -> dict[str, Any] | None:
    wish = entry.wish
    return {"kind": wish.kind, "by": wish.by, "at": moment(wish.at)} if wish else None


def moment(at: datetime | None) -> str | None:
    """Return a time in ISO 8601 and UTC."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(at: datetime) -> str:
    """Return a time for people, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def region(entry: Entry) -> str:
    """Return the region of a launch's current or last attempt."""
    parts = (entry.job_name or entry.parent).split("/")
    return one_line(parts[3]) if len(parts) > 3 else ""


def queue(entry: Entry) -> str:
    """Return the queue of a launch; the publishing system if it came from no queue."""
    if entry.queue_name:
        return one_line(entry.queue_name)
    return one_line(f"({entry.source})") if entry.source else ""


def title(entry: Entry) -> str:
    """Return the name of a launch, or of its run."""
    return one_line(entry.name or entry.run.run_id)


def progress(entry: Entry, now: datetime) -> str:
    """Return what happens next, and what has happened so far, in a few words."""
    parts: list[str] = []
    if entry.wish:
        parts.append(one_line(f"{entry.wish.kind} by {entry.wish.by}"))
    if entry.state is State.QUEUED and entry.retry_at and not entry.wish:
        later = entry.retry_at > now
        parts.append(f"next try in {span(entry.retry_at - now)}" if later else "next try now")
    if entry.attempt > 1:
        parts.append(f"{entry.attempt} tries")
    if entry.resumes:
        parts.append(f"preempted {entry.resumes}×")
    if entry.holds_queue:
        parts.append("holds its queue")
    if entry.unanswered:
        parts.append("the create has no answer yet")
    if entry.stuck_since:
        parts.append(f"no progress for {span(now - entry.stuck_since)}")
    if entry.state is State.ENDED and entry.report_owed:
        parts.append("not yet reported to W&B")
    return ", ".join(parts)


def reason(entry: Entry) -> str:
    """Return why a launch is in its state, or stops."""
    why = one_line(entry.cancel_reason or entry.reason)
    lacks = entry.short_of if entry.state is State.QUEUED else None
    return f"{lacks}: {why}" if lacks else why


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Return for each key its shortest beginning that no other key has, as git shows commits."""
    ordered = sorted(keys)
    short = {}
    for place, key in enumerate(ordered):
        beside = [ordered[near] for near in (place - 1, place + 1) if 0 <= near < len(ordered)]
        shared = max((_shared(key, other) for other in beside), default=0)
        short[key] = key[: max(SHORTEST, shared + 1)]
    return short


def _shared(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
