"""Take one popped item: write its launch into the ledger, then ack the item.

Every item becomes a launch; a launch with a problem is recorded as REJECTED, with the reason. The
failure of one item affects that item only.
"""

import logging
from dataclasses import dataclass

from functions.poll.lease import Lease, LeaseLost
from functions.poll.runs import OpenRuns
from functions.poll.slots import Slots
from shared.core.budget import Budget
from shared.core.errors import (
    Conflict,
    LaunchError,
    OutcomeUnknown,
    OutOfTime,
    UnreadableRecord,
    described,
)
from shared.core.intake import from_item
from shared.core.launch import Launch, State
from shared.core.message import Queue
from shared.core.ports import Clock, Ledger, QueueItem, RunQueue
from shared.core.redaction import hiding, redacted

log = logging.getLogger(__name__)


class _Unsettled(LaunchError):
    """An ack may have had its effect, or may still have it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The result of one item; `left` is the reason why it is not ours now."""

    queue: Queue
    item: str = ""
    key: str = ""
    refused: bool = False
    left: str = ""
    error: str = ""

    @property
    def where(self) -> str:
        """Return the queue and the item as text."""
        queue = f"queue {self.queue.name}"
        return f"{queue}, item {self.item}" if self.item else queue


@dataclass(frozen=True, slots=True)
class Intake:
    """What taking an item needs. The item keeps its reserved slot only if it is ours."""

    run_queue: RunQueue
    ledger: Ledger
    clock: Clock
    slots: Slots
    runs: OpenRuns
    budget: Budget
    lease: Lease

    def take(self, queue: Queue, item: QueueItem) -> Taken:
        """Take one item; never raises. W&B offers a failed item again after its lease."""
        with hiding():  # the secrets of the item, which from_item adds
            return self._taken(queue, item)

    def _taken(self, queue: Queue, item: QueueItem) -> Taken:
        names = {"queue": queue.name, "item": item.id}
        try:
            taken = self._take(queue, item)
        except OutOfTime:
            self.slots.give_back()
            taken = Taken(queue, item.id, left="the time is over")
        except LeaseLost as exc:
            self.slots.give_back()
            taken = Taken(queue, item.id, left=str(exc))
        except _Unsettled as exc:  # it may be ours, so it keeps its slot
            log.exception("poll.item_unsettled", extra={"fields": names})
            return Taken(queue, item.id, error=str(exc))
        except Exception as exc:
            self.slots.strike(queue)
            log.exception("poll.item_failed", extra={"fields": names})
            return Taken(queue, item.id, error=words(exc))
        log.info(
            "poll.item", extra={"fields": {"launch_key": taken.key, **names, "left": taken.left}}
        )
        return taken

    def _take(self, queue: Queue, item: QueueItem) -> Taken:
        self.budget.require("taking the lease")
        self.lease.hold()
        launch = self._opened(queue, item)
        if launch.entry.scheduler and not _is_refused(launch) and not self.slots.admits(launch.key):
            self.slots.give_back()
            # W&B offers it again in a minute
            return Taken(queue, item.id, launch.key, left="max_schedulers are open")
        launch = self._written(queue, item, launch)
        if left := self._not_ours(queue, item, launch):
            self.slots.strike(queue)
            return Taken(queue, item.id, launch.key, left=left)
        if _is_refused(launch):
            self.slots.give_back()
            fields = {"launch_key": launch.key, "why": launch.reason}
            log.warning("poll.refused", extra={"fields": fields})
        return Taken(queue, item.id, launch.key, refused=_is_refused(launch))

    def _opened(self, queue: Queue, item: QueueItem) -> Launch:
        """Return the launch of an item; refuse a run of another launch, or a failure of our own."""
        try:
            launch = from_item(item.id, queue, item.run_spec, self.clock(), item.problem)
            if _is_refused(launch) or not (problem := self.runs.reserve(launch.entry)):
                return launch
            return from_item(item.id, queue, item.run_spec, self.clock(), problem)
        except Exception as exc:
            fields = {"queue": queue.name, "item": item.id}
            log.exception("poll.item_unreadable", extra={"fields": fields})
            return self._refusal(queue, item, f"cannot be read ({type(exc).__name__})")

    def _written(self, queue: Queue, item: QueueItem, launch: Launch) -> Launch:
        """Write the launch into the ledger; if that fails twice, a refusal without the run spec."""
        for _ in range(2):
            try:
                return self._write(launch)
            except LaunchError:
                raise
            except Exception:
                fields = {"queue": queue.name, "item": item.id}
                log.exception("poll.not_written", extra={"fields": fields})
        return self._write(self._refusal(queue, item, "cannot be written into the ledger"))

    def _write(self, launch: Launch) -> Launch:
        """Write a launch; return the record of an earlier poll if there is one: it has the run."""
        self.budget.require("writing a launch")
        try:
            self.ledger.write(launch)
        except Conflict:
            log.info("poll.again", extra={"fields": {"launch_key": launch.key}})
            try:
                return self.ledger.read(launch.key) or launch
            except UnreadableRecord:  # it is recorded: the item is acked, or it would come again
                return launch
        return launch

    def _refusal(self, queue: Queue, item: QueueItem, problem: str) -> Launch:
        fix = "Ask the operator of this deployment: the log of poll has the details."
        return from_item(item.id, queue, {}, self.clock(), f"run_spec: {problem}. {fix}")

    def _not_ours(self, queue: Queue, item: QueueItem, launch: Launch) -> str:
        """Ack an item; return why it is not ours, or empty if it is.

        Raises:
            _Unsettled: unknown. The launch stays in the ledger, and status asks W&B again.
            Retry, Denied, …: W&B has refused the ack.
        """
        run_id = launch.entry.run.run_id
        self.budget.require("acking an item")
        failure: Exception | None = None
        try:
            if self.run_queue.ack(item.id, run_id):
                return ""
        except Exception as exc:  # noqa: BLE001 - the item itself shows its owner
            failure = exc
        # the lease ended, an earlier ack of ours succeeded, or another agent was quicker
        shown = self.run_queue.item_statuses([(queue, item.id)])
        if item.id in shown.failed:
            raise _Unsettled(words(shown.failed[item.id]))
        status = shown.found.get(item.id)
        if status is None:
            return "the item is gone"
        if not status.run_name and failure:
            raise _Unsettled(words(failure)) if _may_arrive(failure) else failure
        if not status.run_name:
            return "lease ended"
        if status.run_name == run_id:
            return ""
        self.budget.require("withdrawing a launch")
        self.ledger.withdraw(launch.key)
        return "another agent has it"


def _may_arrive(exc: Exception) -> bool:
    """Tell whether an ack that raised this error may have its effect, now or later."""
    return isinstance(exc, OutcomeUnknown) or not isinstance(exc, LaunchError)


def words(exc: Exception) -> str:
    """Return an exception's message without secrets; with its name unless it is ours."""
    if isinstance(exc, LaunchError) and str(exc):
        return redacted(str(exc))
    return redacted(described(exc))


def _is_refused(launch: Launch) -> bool:
    return launch.entry.state is State.ENDED
