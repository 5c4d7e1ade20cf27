"""The record of a launch, and the functions that move it from state to state.

Each function is pure: it takes a record and an event, and returns the next record.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.core.backoff import Backoff
from shared.core.entry import NOTICE_BYTES, Entry, RunPath, Wish
from shared.core.event import KEPT, Event, EventType
from shared.core.placement import Placement
from shared.core.record import Record
from shared.core.redaction import redacted, secrets_in
from shared.core.shortage import Shortage
from shared.core.shorten import shortened
from shared.core.states import TRANSITIONS, IllegalTransition, Outcome, State

__all__ = [
    "NOTICE_BYTES",
    "TRANSITIONS",
    "Attempt",
    "Backoff",
    "Entry",
    "Event",
    "EventType",
    "IllegalTransition",
    "Launch",
    "Outcome",
    "RunPath",
    "State",
    "Wish",
]

_OF_A_JOB: Mapping[str, Any] = {  # fields that are cleared when the launch gets another job
    "job_name": "",
    "submitted_at": None,
    "queued_since": None,
    "pending_since": None,
    "stuck_since": None,
    "ended_seen_at": None,
    "stop_seen_at": None,
    "started_at": None,
}
_HISTORY = 50  # lines


@dataclass(frozen=True, slots=True)
class Attempt(Record):
    """The result of one create, kept for readers of the record."""

    number: int
    at: datetime
    result: str


@dataclass(frozen=True, slots=True)
class Launch(Record):
    """The whole record of a launch: its index entry, its request and its history.

    `generation` is the ledger's version of the record; 0 means that it was not written yet.
    """

    entry: Entry
    run_spec: dict[str, Any] = field(repr=False)  # can contain a key
    source: str = "wandb"  # or the name of the publishing system
    idempotency_key: str = ""  # of a request
    digest: str = ""  # of a request's content, as it was first published
    reply: dict[str, str] = field(default_factory=dict)  # of a request: attributes of its events
    searched: bool = False  # of a request: no job of an earlier record was found
    reason: str = ""
    history: tuple[Attempt, ...] = ()
    events: tuple[Event, ...] = ()  # the last 50
    climb: Placement = field(default_factory=Placement)
    generation: int = field(default=0, compare=False)

    @property
    def key(self) -> str:
        """Return the launch key."""
        return self.entry.key

    @property
    def needs(self) -> int:
        """Return the lowest `record.READS` of a version that may claim or write this record.

        A version without wishes would launch a cancelled launch. One without retries would take
        that of an item for a request, which its limits could refuse. One without builds, ladders,
        schedulers or resumes would launch it again and again.
        """
        entry, climb = self.entry, self.climb
        if entry.wish or entry.retries:
            return 2
        climbs = entry.climbs or climb.elsewhere or climb.tried or climb.barred
        return 1 if entry.build or entry.scheduler or entry.resumes or climbs else 0

    def move(self, state: State, **changes: Any) -> "Launch":
        """Return this launch in another state, with these fields of its entry changed.

        Raises:
            IllegalTransition: TRANSITIONS does not allow this step.
        """
        if state not in TRANSITIONS[self.entry.state]:
            raise IllegalTransition(f"launch {self.key}: {self.entry.state} → {state}")
        if state is not State.SUBMITTING:  # no answer of a create is outstanding any more
            changes = {"unanswered": False, "looked_at": None, **changes}
        return replace(self, entry=replace(self.entry, state=state, **changes))

    def without_secrets(self, text: str) -> str:
        """Return a text for people without the secrets of this launch's run spec."""
        return redacted(text, secrets_in(self.run_spec)) if text else ""

    def because(self, reason: str) -> "Launch":
        """Return this launch with the reason of its state."""
        reason = self.without_secrets(reason)
        return replace(self, reason=reason, entry=replace(self.entry, reason=reason))

    def happened(self, event: EventType, at: datetime, why: str = "", reason: str = "") -> "Launch":
        """Return this launch with one more event; a wait that goes on is no new event."""
        last = self.events[-1] if self.events else None
        if last and event is EventType.WAITING and (last.type, last.why) == (event, why):
            return self
        number = self.entry.events + 1
        text = self.without_secrets(reason)
        new = Event(number, event, at, self.entry.attempt, why, self.entry.job_name, text)
        entry = replace(self.entry, events=number)
        return replace(self, entry=entry, events=(*self.events, new)[-KEPT:])

    def started(self, at: datetime | None) -> "Launch":
        """Return this launch with the time at which its job first ran, if that is news."""
        if at is None or self.entry.started_at or self.entry.state is not State.SUBMITTED:
            return self
        began = replace(self, entry=replace(self.entry, started_at=at))
        return began.happened(EventType.RUNNING, at)

    def asked(self, wish: Wish) -> "Launch":
        """Return this launch with what a person asked for; the first wish stays."""
        return self if self.entry.wish else replace(self, entry=replace(self.entry, wish=wish))

    def tell(self, notice: str) -> "Launch":
        """Return this launch with a notice for its author; an unchanged notice is sent once."""
        notice = self.without_secrets(notice)
        if not notice or shortened(notice, NOTICE_BYTES) == self.entry.notice:
            return self
        return replace(self, entry=replace(self.entry, notice=notice, noticed=False))

    def note(self, at: datetime, result: str) -> "Launch":
        """Return this launch with one more line in its history; the last 50 are kept."""
        line = Attempt(self.entry.attempt, at, self.without_secrets(result))
        return replace(self, history=(*self.history, line)[-_HISTORY:])

    def again(
        self, at: datetime, wait: timedelta, line: str, why: str, notice: str = "", **changes: Any
    ) -> "Launch":
        """Return this launch queued again, not before the wait is over.

        `line` goes into the history; the author reads `notice`, or `why` if there is none.
        """
        queued = self.move(
            State.QUEUED,
            **{**_OF_A_JOB, "short_of": None, **changes},
            retry_at=at + wait,
            lease_until=None,
            cancel_reason="",
        )
        searched = self.searched or self.entry.state is State.SUBMITTED
        noted = replace(queued.note(at, line), searched=searched).because(why)
        short_of = str(queued.entry.short_of or "")
        waiting = noted.happened(EventType.WAITING, at, short_of, why)
        return waiting.tell(f"Waiting: {notice or why}")

    def wait_for_capacity(
        self,
        at: datetime,
        shortage: Shortage,
        why: str,
        backoff: Backoff,
        least: timedelta = timedelta(0),
    ) -> "Launch":
        """Return this launch queued again because Vertex AI had no capacity.

        It goes on to the next place of its ladder. After the last place it waits, longer each
        time, without a bound.
        """
        moves = shortage.holds and bool(self.climb.next_place)
        waits = self.entry.waits if moves else self.entry.waits + 1
        wait = backoff.first if moves else backoff.after(waits, shortage)
        following = f"next: {self.climb.next_place}" if moves else ""
        climb = self.climb
        if shortage.holds:
            climb = climb.leave(self.without_secrets(why), bar=shortage is Shortage.ZERO)
        notice = "; ".join(part for part in (why, following, climb.left_out) if part)
        queued = self.again(
            at,
            max(wait, least),
            f"{shortage}: {why}",
            why,
            notice,
            waits=waits,
            short_of=shortage,
        )
        return replace(queued, climb=climb)

    def resume(self, at: datetime, budget: int) -> "Launch":
        """Return this launch queued again after Vertex AI preempted its job: the run continues.

        As in the agent's requeue, `_resume_count` grows, and the run leaves its sweep, which may
        be over by then.
        """
        times = self.entry.resumes + 1
        taken = self.happened(EventType.PREEMPTED, at)
        again = taken.move(State.QUEUED, **_OF_A_JOB, resumes=times, waits=0, broken=0)
        spec = {name: value for name, value in self.run_spec.items() if name != "sweep_id"}
        spec["_resume_count"] = times
        notice = f"Preempted; launched again ({times} of {budget} times)"
        noted = again.note(at, f"{notice}: {self.entry.job_name}")
        resumed = replace(noted, run_spec=spec, climb=self.climb.again(), searched=True)
        return resumed.tell(notice)

    def end(
        self,
        outcome: Outcome,
        reason: str,
        at: datetime,
        *,
        report: bool = True,
        job_ended_at: datetime | None = None,
    ) -> "Launch":
        """Return this launch ended; `report` tells whether its item must be shown as FAILED."""
        ended_at = job_ended_at or at
        ended = self.move(
            State.ENDED,
            outcome=outcome,
            lease_until=None,
            retry_at=None,
            report_owed=report and self.entry.from_queue,
            ended_at=ended_at,
        )
        noted = ended.note(at, f"{outcome}: {reason}").because(reason)
        return noted.happened(EventType.ENDED, ended_at, str(outcome), reason)
