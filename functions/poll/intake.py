"""Take one popped item: write its launch into the ledger, then ack the item.

Every item becomes a launch, or one that is refused with a reason. What goes wrong with one item costs that item only.
"""

import logging
from dataclasses import dataclass

from functions.poll.slots import Slots
from shared.core.budget import Budget
from shared.core.errors import Conflict, LaunchError, OutcomeUnknown, OutOfTime
from shared.core.intake import from_item
from shared.core.launch import Launch, State
from shared.core.message import Queue
from shared.core.ports import Clock, Ledger, QueueItem, RunQueue

log = logging.getLogger(__name__)


class _Unsettled(LaunchError):
    """An ack may have had its effect, or may have it later."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one item; `left` says why it is not ours to launch now."""

    queue: Queue
    item: str = ""
    key: str = ""
    refused: bool = False
    left: str = ""
    error: str = ""

    @property
    def where(self) -> str:
        """Return where an error belongs."""
        return (
            f"queue {self.queue.name}, item {self.item}"
            if self.item
            else f"queue {self.queue.name}"
        )


@dataclass(frozen=True, slots=True)
class Intake:
    """What taking an item needs. Each item has reserved room in `slots`, which it keeps only if it is ours."""

    run_queue: RunQueue
    ledger: Ledger
    clock: Clock
    slots: Slots
    budget: Budget

    def take(self, queue: Queue, item: QueueItem) -> Taken:
        """Take one item; never raises. An item that we cannot take comes again after its lease."""
        try:
            taken = self._take(queue, item)
        except OutOfTime:
            self.slots.give_back()
            taken = Taken(queue, item.id, left="the time is over")
        except _Unsettled as exc:  # it may be ours, so it keeps its room
            log.exception(
                "poll.item_unsettled", extra={"fields": {"queue": queue.name, "item": item.id}}
            )
            return Taken(queue, item.id, error=str(exc))
        except Exception as exc:
            self.slots.strike(queue)
            log.exception(
                "poll.item_failed", extra={"fields": {"queue": queue.name, "item": item.id}}
            )
            return Taken(queue, item.id, error=words(exc))
        fields = {"launch_key": taken.key, "item": item.id, "queue": queue.name, "left": taken.left}
        log.info("poll.item", extra={"fields": fields})
        return taken

    def _take(self, queue: Queue, item: QueueItem) -> Taken:
        launch = self._opened(queue, item)
        if launch.entry.scheduler and not _is_refused(launch) and not self.slots.admits(launch.key):
            self.slots.give_back()
            # W&B gives it again in a minute
            return Taken(queue, item.id, launch.key, left="max_schedulers are open")
        launch = self._written(queue, item, launch)
        if left := self._not_ours(queue, item, launch):
            self.slots.strike(queue)
            return Taken(queue, item.id, launch.key, left=left)
        if _is_refused(launch):
            self.slots.give_back()
            log.warning(
                "poll.refused", extra={"fields": {"launch_key": launch.key, "why": launch.reason}}
            )
        return Taken(queue, item.id, launch.key, refused=_is_refused(launch))

    def _opened(self, queue: Queue, item: QueueItem) -> Launch:
        """Return the launch of an item. A mistake of ours in reading it would come again with the item: refuse it."""
        try:
            return from_item(item.id, queue, item.run_spec, self.clock(), item.problem)
        except Exception as exc:
            log.exception(
                "poll.item_unreadable", extra={"fields": {"queue": queue.name, "item": item.id}}
            )
            return self._refusal(queue, item, f"cannot be read ({type(exc).__name__})")

    def _written(self, queue: Queue, item: QueueItem, launch: Launch) -> Launch:
        """Write the launch into the ledger, or its refusal if only a record without the run spec can be written."""
        for _ in range(2):
            try:
                return self._write(launch)
            except LaunchError:
                raise
            except Exception:
                log.exception(
                    "poll.not_written", extra={"fields": {"queue": queue.name, "item": item.id}}
                )
        return self._write(self._refusal(queue, item, "cannot be written into the ledger"))

    def _write(self, launch: Launch) -> Launch:
        self.budget.require("writing a launch")
        try:
            self.ledger.write(launch)
        except Conflict:
            log.info(
                "poll.again", extra={"fields": {"launch_key": launch.key}}
            )  # an earlier poll got as far as this
        return launch

    def _refusal(self, queue: Queue, item: QueueItem, problem: str) -> Launch:
        fix = "The log of poll has the details: tell the operator of this deployment."
        return from_item(item.id, queue, {}, self.clock(), f"run_spec: {problem}. {fix}")

    def _not_ours(self, queue: Queue, item: QueueItem, launch: Launch) -> str:
        """Ack an item; return why it is not ours, empty if it is.

        Raises:
            _Unsettled: nobody can tell. The launch stays in the ledger, and status asks W&B again.
            Retry, Denied, …: W&B has refused the ack.
        """
        run_id = launch.entry.run.run_id
        self.budget.require("acking an item")
        failure: Exception | None = None
        try:
            if self.run_queue.ack(item.id, run_id):
                return ""
        except Exception as exc:  # noqa: BLE001 - W&B answers errors in many shapes: the item itself shows whose it is
            failure = exc
        # the lease ended, or an ack of ours whose answer was lost came through, or another agent was quicker
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
    """Tell whether an ack that raised this may have its effect, now or later."""
    return isinstance(exc, OutcomeUnknown) or not isinstance(exc, LaunchError)


def words(exc: Exception) -> str:
    """Return what an exception says, or its name if it says nothing."""
    return (
        str(exc)
        if isinstance(exc, LaunchError) and str(exc)
        else f"{type(exc).__name__}: {exc}".removesuffix(": ")
    )


def _is_refused(launch: Launch) -> bool:
    return launch.entry.state is State.ENDED
