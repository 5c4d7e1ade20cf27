"""What needs an operator: the causes, worst first, each with a command that tells more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from deploy.operate.fleet.fleet import Fleet, since_of, state_of
from shared.core.duration import span
from shared.core.entry import Entry
from shared.core.pause import pause_of
from shared.core.ports import AgentNote
from shared.core.states import State

SILENT = timedelta(minutes=5)  # without a call of poll
TOO_LONG = timedelta(minutes=10)  # for a launch that waits for nothing known
RECENT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Alert:
    """One cause. `level` is "bad", or "warn" for a cause that resolves itself."""

    level: str
    text: str
    command: Sequence[str] = ()  # the words after vertex-launch
    key: str = ""  # of the launch that is meant


def alerts_of(fleet: Fleet, note: AgentNote) -> list[Alert]:
    """Return everything that needs attention, worst first."""
    found = [*_of_poll(fleet, note), *_of_records(fleet), *_of_launches(fleet, note)]
    return sorted(found, key=lambda alert: alert.level != "bad")


def _of_poll(fleet: Fleet, note: AgentNote) -> Iterator[Alert]:
    if note.stopped:
        yield Alert(
            "bad",
            "The agent is stopped: poll takes nothing off W&B's queues.",
            ("agent", "start"),
        )
    elif note.polled_at is None:
        yield Alert("bad", "poll has never run in this deployment.", ("doctor",))
    elif (silence := fleet.now - note.polled_at) > SILENT:
        text = f"poll has not run for {span(silence)}: no queue is read."
        yield Alert("bad", text, ("doctor",))
    elif note.why_not:
        yield Alert("bad", f"poll took nothing off the queues: {note.why_not}", ("why",))
    for pause in note.paused:
        what = f"Queue {pause.queue} is" if pause.queue else "All queues are"
        option = [f"--queue={pause.queue}"] if pause.queue else []
        yield Alert("warn", f"{what} paused {pause}.", ("resume", *option))
    if note.missing:
        names = ", ".join(note.missing)
        yield Alert("bad", f"W&B has no queue named {names}.", ("doctor",))


def _of_records(fleet: Fleet) -> Iterator[Alert]:
    for key, why in list(fleet.unreadable.items())[:3]:
        yield Alert("bad", f"The record of {key} cannot be read: {why}", ("doctor",))
    if len(fleet.unreadable) > 3:
        yield Alert("bad", f"{len(fleet.unreadable) - 3} more records cannot be read.")


def _of_launches(fleet: Fleet, note: AgentNote) -> Iterator[Alert]:
    holding: dict[str, list[Entry]] = {}
    for entry in fleet.open:
        if entry.holds_queue:
            holding.setdefault(entry.queue_name, []).append(entry)
    for queue, entries in holding.items():
        first = min(entries, key=lambda one: one.opened_at)
        what = "a launch waits" if len(entries) == 1 else f"{len(entries)} launches wait"
        text = f"Queue {queue} is held: {what} for capacity ({first.short_of})."
        yield Alert("warn", text, ("why", first.key), first.key)
    if late := [entry for entry in fleet.open if _is_late(entry, fleet, note)]:
        first = min(late, key=lambda one: one.opened_at)
        what = "A launch has" if len(late) == 1 else f"{len(late)} launches have"
        waited = span(fleet.now - first.opened_at)
        text = f"{what} no job after more than {span(TOO_LONG)}; the oldest waits {waited}."
        yield Alert("bad", text, ("why", first.key), first.key)
    if failed := _failed(fleet.closed, fleet):
        what = "1 launch" if failed == 1 else f"{failed} launches"
        text = f"{what} failed or {'was' if failed == 1 else 'were'} rejected in the last hour."
        yield Alert("warn", text, ("ls", "--since=1h"))


def _is_late(entry: Entry, fleet: Fleet, note: AgentNote) -> bool:
    waits = entry.state in (State.QUEUED, State.SUBMITTING)
    if not waits or entry.short_of or entry.build or entry.wish:
        return False
    if entry.from_queue and pause_of(entry.queue_name, note.paused):
        return False
    return fleet.now - entry.opened_at > TOO_LONG


def _failed(closed: Sequence[Entry], fleet: Fleet) -> int:
    return sum(
        state_of(entry, fleet.now) in ("failed", "rejected")
        and fleet.now - since_of(entry) < RECENT
        for entry in closed
    )
