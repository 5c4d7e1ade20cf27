"""The table of errors: what each means for a launch, and what its author sees."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

from deploy.reference.markdown import code, table
from shared.core import errors
from shared.core.errors import (
    Capacity,
    Conflict,
    Denied,
    KeyRefused,
    KeyReused,
    LaunchError,
    NewerRecord,
    NotAMessage,
    OutcomeUnknown,
    OutOfTime,
    Reject,
    Retry,
    SettingsError,
    UnreadableRecord,
)


@dataclass(frozen=True)
class Row:
    """A situation: its error class if it has one, an example, and what follows."""

    error: type[LaunchError] | None
    situation: str
    example: str
    launch: str
    author: str

    @property
    def cells(self) -> tuple[str, ...]:
        """Return its cells."""
        names = [code(self.error.__name__)] if self.error else []
        names += [self.situation] if self.situation else []
        return ": ".join(names), self.example, self.launch, self.author


ROWS = (
    Row(
        Reject,
        "",
        "a wrong spec, an unknown argument",
        "ENDED as REJECTED",
        "item FAILED: the field, the value, the fix",
    ),
    Row(
        Capacity,
        "calls",
        "a quota of calls a minute",
        "waits in the ledger, up to a minute each time",
        "a warning: why it waits",
    ),
    Row(
        Capacity,
        "machines",
        "a quota of machines is used up; a stockout, also of a job that had been accepted",
        "waits in the ledger, with a growing `retry_at`, without a limit; its queue is not popped "
        "meanwhile",
        "a warning: why it waits",
    ),
    Row(
        Capacity,
        "none ever",
        "a quota of zero",
        "ENDED as REJECTED",
        "item FAILED: the quota, and the fix",
    ),
    Row(
        None,
        "preemption",
        "W&B shows the run as preempted, or Vertex AI reports that it took the machines away",
        "another job continues the same run, at most five times",
        "a warning each time, and one if it is not launched again",
    ),
    Row(
        None,
        "Google's internal error",
        "a job fails with it before a container runs",
        "launched again, three times by default, then ENDED as FAILED",
        "a warning each time, then FAILED with the error",
    ),
    Row(
        None,
        "a run that Vertex AI ended",
        "its timeout, its machine",
        "ENDED as FAILED",
        "a warning: Vertex AI's error and a link",
    ),
    Row(
        None,
        "a failed build",
        "a package that does not exist",
        "ENDED as FAILED",
        "item FAILED at the stage `build`: Cloud Build's reason, and the end of its log",
    ),
    Row(
        Retry,
        "",
        "Google's token service is down",
        "tried again, a bounded number of times",
        "a warning, then FAILED with the last reason",
    ),
    Row(
        OutOfTime,
        "",
        "the budget of an invocation is spent before the create",
        "nothing was sent; a later invocation continues",
        "nothing",
    ),
    Row(
        OutcomeUnknown,
        "",
        "the create timed out, or answered 503",
        "stays claimed until the create has arrived or never will; then looked up by its labels, "
        "never created blindly",
        "nothing",
    ),
    Row(
        Denied,
        "",
        "401, 403",
        "as Retry; logged as an error",
        "a warning, then FAILED with the permission",
    ),
    Row(
        KeyRefused,
        "",
        "W&B does not accept this deployment's key (401)",
        "waits for a new key without a limit; logged as an error",
        "a warning, with the new key",
    ),
    Row(
        Conflict,
        "",
        "another invocation wrote the record first",
        "the loser of the compare-and-swap stops; a later invocation reads the new record",
        "nothing",
    ),
    Row(
        UnreadableRecord,
        "",
        "a record in the ledger is damaged",
        "stays open and keeps its slot; each response names it",
        "nothing",
    ),
    Row(
        NewerRecord,
        "",
        "a function runs an older revision than the one that wrote the record",
        "stays open and keeps its slot, until a newer revision serves",
        "nothing",
    ),
    Row(
        None,
        "a job without a run",
        "it failed before `wandb.init`, or ended without it",
        "ENDED as FAILED",
        "item FAILED: Vertex AI's error, a link, the end of the job's log",
    ),
    Row(
        None,
        "a run that our key cannot see",
        "another entity, a restricted project, an item with its own key; its job succeeded",
        "ENDED as SUCCEEDED",
        "a warning: the run is not visible",
    ),
    Row(
        NotAMessage,
        "",
        "garbage bytes on the topic",
        "none; the message goes to the dead-letter topic",
        "nothing: `vertex-launch dead-letters` shows the message to operators",
    ),
    Row(
        KeyReused,
        "",
        "a request with the source and idempotency key of another, and different content",
        "the first request's launch continues; the message goes to the dead-letter topic",
        "nothing: `vertex-launch dead-letters` shows the message to operators",
    ),
    Row(
        SettingsError,
        "",
        "a setting is missing or wrong; W&B's certificate is not trusted",
        "waits; the function answers 500 and logs every problem",
        "nothing",
    ),
    Row(
        None,
        "no ledger",
        "its bucket cannot be read or written, in all 20 deliveries",
        "its message goes to the dead-letter topic until it is replayed; a launch that is in the "
        "ledger continues by itself",
        "nothing",
    ),
)


def classes() -> set[type[LaunchError]]:
    """Return the classes of shared/core/errors.py."""
    found = {
        value
        for _, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, LaunchError)
    }
    return found - {LaunchError}


def errors_table(rows: Sequence[Row] = ROWS) -> str:
    """Return the table of docs/reference/errors.md.

    Raises:
        ValueError: a class has no row.
    """
    described = {row.error for row in rows}
    if missing := sorted(each.__name__ for each in classes() - described):
        raise ValueError(f"deploy/reference/errors.py has no row for {', '.join(missing)}")
    titles = ("what goes wrong", "example", "the launch", "its author sees")
    return table(titles, [row.cells for row in rows])
