"""Observe launches outside the ledger: their jobs, builds, and hundreds of runs a query.

Nothing here raises. A failed look-up goes into the report and leaves only its own launches
undecided.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypeVar

from functions.status.decisions import Observed
from functions.status.listing import Listing
from functions.status.report import Report
from shared.core.budget import Budget
from shared.core.building import Build
from shared.core.errors import LaunchError, Retry, described
from shared.core.launch import Entry, RunPath, State
from shared.core.message import Queue
from shared.core.ports import Answers, Builds, RunTracker
from shared.core.threads import threads

K = TypeVar("K")
T = TypeVar("T")
V = TypeVar("V")
_NAMED = 20  # launches that one error names
_GROUP = 1000  # runs or items that one connection asks for


def get_builds(
    builds: Builds, entries: Sequence[Entry], report: Report, budget: Budget
) -> Mapping[str, Build]:
    """Return the builds that launches wait for, by name; one call for each build."""
    found, reserve = {}, budget.left / 2
    waiting = [entry for entry in entries if entry.state is State.QUEUED and entry.build]
    for name in sorted({entry.build for entry in waiting}):
        try:
            budget.require("getting a build", reserve)
            found[name] = builds.get_build(name)
        except Exception as exc:  # noqa: BLE001 - a build's failure affects that build only
            report.failed(name, exc)
    return found


def observe(
    tracker: RunTracker,
    listing: Listing,
    builds: Mapping[str, Build],
    entries: Sequence[Entry],
    now: datetime,
    overdue_after: timedelta,
    report: Report,
    connections: int,
) -> Mapping[str, Observed]:
    """Return the observations of each launch, by key."""
    living = [entry for entry in entries if entry.state in (State.QUEUED, State.SUBMITTED)]
    asked = [entry for entry in entries if entry.from_queue and _asks(entry, now, overdue_after)]
    with threads(connections) as pool:
        runs = _answers(pool, tracker.run_statuses, [entry.run for entry in living], _itself)
        pairs = [(entry.queue, entry.item_id) for entry in asked]
        items = _answers(pool, tracker.item_statuses, pairs, _item_id)
    _report_failures([(entry, runs.failed.get(entry.run)) for entry in living], report)
    _report_failures([(entry, items.failed.get(entry.item_id)) for entry in asked], report)
    return {
        entry.key: Observed(
            job=listing.job_of(entry),
            listed=entry.parent not in listing.unlisted,
            run=runs.found.get(entry.run),
            run_failure=runs.failed.get(entry.run),
            hidden=entry.run in runs.hidden,
            item=items.found.get(entry.item_id),
            item_failure=items.failed.get(entry.item_id),
            build=builds.get(entry.build),
        )
        for entry in entries
    }


def _asks(entry: Entry, now: datetime, overdue_after: timedelta) -> bool:
    """Tell whether a decision needs the item: is it ours, and still there?"""
    cancelled = entry.wish is not None and entry.state is State.QUEUED
    doubtful = entry.waits_for_room or entry.refused_at_intake or cancelled
    return doubtful or entry.overdue(now, overdue_after)


def _itself(run: RunPath) -> RunPath:
    return run


def _item_id(item: tuple[Queue, str]) -> str:
    return item[1]


def _answers(
    pool: ThreadPoolExecutor,
    ask: Callable[[Sequence[T]], Answers[K, V]],
    things: Sequence[T],
    key: Callable[[T], K],
) -> Answers[K, V]:
    """Ask W&B about things, many side by side.

    After an unforeseen error, the look-up of each thing has failed.
    """

    def ask_some(some: Sequence[T]) -> Answers[K, V]:
        try:
            return ask(some)
        except Exception as exc:  # noqa: BLE001 - decisions that do not need W&B go on
            failure = exc if isinstance(exc, LaunchError) else Retry(described(exc))
            return Answers(failed={key(thing): failure for thing in some})

    groups = [things[at : at + _GROUP] for at in range(0, len(things), _GROUP)]
    answers = list(pool.map(ask_some, groups))
    return Answers(
        {name: found for each in answers for name, found in each.found.items()},
        {name: failure for each in answers for name, failure in each.failed.items()},
        frozenset(name for each in answers for name in each.hidden),
    )


def _report_failures(looked_up: Sequence[tuple[Entry, LaunchError | None]], report: Report) -> None:
    """Report the launches whose look-up failed: one error for all with the same reason."""
    reasons: dict[tuple[type, str], dict[str, LaunchError]] = defaultdict(dict)
    for entry, failure in looked_up:
        if failure:
            reasons[type(failure), str(failure)][entry.key] = failure
    for failures in reasons.values():
        keys = list(failures)
        more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
        report.failed(f"W&B: {', '.join(keys[:_NAMED])}{more}", failures[keys[0]])
