"""The last phase of a tick: send the warnings, then mark what was sent, or close the launches."""

import logging
from dataclasses import dataclass, replace
from typing import Any

from functions.status.act import Actor, fields_of, stage_of
from functions.status.announce import REFUSED_FOR, owes
from functions.status.closing import close
from functions.status.decisions import Decision
from shared.core.errors import KeyRefused, LaunchError, OutOfTime, Retry
from shared.core.launch import Entry, Launch, State

log = logging.getLogger(__name__)


@dataclass(slots=True)
class FollowUp:
    """A launch after its action; `launch` is None until its record is read.

    `mark` tells whether its record may be written: after a ticket, a submit may claim it. `over`
    tells whether its end is recorded and reported.
    """

    entry: Entry
    decision: Decision
    launch: Launch | None = None
    mark: bool = True
    over: bool = False


def unheard(entry: Entry) -> bool:
    """Tell whether a notice must be sent.

    Not during a claim: its holder could not record the job after our write. A FAILED item needs no
    notice.
    """
    owed = bool(entry.notice) and not entry.noticed and entry.from_queue and not entry.report_owed
    return owed and (entry.state is not State.SUBMITTING or entry.unanswered)


def settle(actor: Actor, launch: Launch, follow_up: FollowUp, *, events: bool, out: bool) -> None:
    """Send a launch's warning; then close it, or mark what is sent.

    `events` tells whether this deployment publishes events, `out` whether all events of this
    launch are out. A warning or an event that is refused for a day does not keep it open.
    """
    changes: dict[str, Any] = {"announced": launch.entry.events} if out else {}
    failure: Exception | None = None
    if unheard(launch.entry):
        try:
            _warn(actor, launch)
            changes["noticed"] = True
        except Exception as exc:  # noqa: BLE001 - raised again below
            failure = exc
    if not (follow_up.over and failure is None):
        _mark(actor, launch, changes if follow_up.mark else {})
    elif events and owes(launch.entry) and not out and not actor.old(launch):
        _mark(actor, launch, {**changes, "report_owed": False, "noticed": True})
    else:
        _close(actor, replace(launch, entry=replace(launch.entry, **changes)), events=events)
    if failure:
        raise failure


def _warn(actor: Actor, launch: Launch) -> None:
    actor.in_time("a warning")
    entry = launch.entry
    try:
        actor.tracker.warn_item(entry.queue, entry.item_id, entry.notice, stage_of(entry))
    except LaunchError as exc:
        refused = not isinstance(exc, KeyRefused | OutOfTime)
        if not (refused and entry.state is State.ENDED and actor.old(launch)):
            raise
        log.exception("status.never_told", extra=fields_of(launch, exc))


def _mark(actor: Actor, launch: Launch, changes: dict[str, Any]) -> None:
    entry = replace(launch.entry, **changes)
    if entry != launch.entry:
        actor.in_time("recording what was sent")
        actor.ledger.write(replace(launch, entry=entry))


def _close(actor: Actor, launch: Launch, *, events: bool) -> None:
    if events and owes(launch.entry):
        exc = Retry(f"its events could not be published for {REFUSED_FOR}")
        log.error("status.never_told", extra=fields_of(launch, exc), exc_info=exc)
    close(actor.ledger, launch, actor.report)
