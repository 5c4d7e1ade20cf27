"""Query many things at once; a group that W&B refuses is split until the culprit stands alone.

A missing answer is not a fact: a thing that an answer with errors lacks may still exist.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.adapters.wandb.answers import Lost, Refusal, hides
from shared.core.budget import Budget
from shared.core.errors import LaunchError
from shared.core.ports import Answers

PAGE = 100  # runs or items per query
K = TypeVar("K")
V = TypeVar("V")


@dataclass
class Part(Generic[K, V]):
    """The result of one query.

    `failed` are single things with their errors; `doubts` are groups without an answer, and why.
    """

    found: dict[K, V] = field(default_factory=dict)
    failed: dict[K, LaunchError] = field(default_factory=dict)
    hidden: set[K] = field(default_factory=set)
    absent: set[K] = field(default_factory=set)
    doubts: list[tuple[list[K], LaunchError]] = field(default_factory=list)

    @property
    def answered(self) -> bool:
        """Tell whether W&B answered anything."""
        return bool(self.found or self.hidden or self.absent)


def ask_all(
    things: Sequence[K], ask: Callable[[Sequence[K], Budget], Part[K, V]], budget: Budget
) -> Answers[K, V]:
    """Query all of these things, page by page; never raises a LaunchError.

    An error splits its group in halves. Errors without any answer in between are counted: after
    enough of them the service fails, and the rest is not asked. The first page is random: none is
    always the last.
    """
    start = random.randrange(len(things)) if things else 0  # noqa: S311 - no secret
    rotated = [*things[start:], *things[:start]]
    pending = deque(rotated[at : at + PAGE] for at in range(0, len(rotated), PAGE))
    found: dict[K, V] = {}
    failed: dict[K, LaunchError] = {}
    hidden: set[K] = set()
    answered, errors = False, 0
    while pending:
        group = pending.popleft()
        part = _asked(group, ask, budget)
        answered = answered or part.answered
        found |= part.found
        failed |= part.failed
        hidden |= part.hidden
        for doubtful, why in part.doubts:
            errors += 1
            patience = _patience(why)
            if patience == 0 or (not answered and errors >= patience):
                rest = [thing for waiting in (doubtful, *pending) for thing in waiting]
                failed |= dict.fromkeys(rest, why)
                pending.clear()
            elif len(doubtful) == 1:
                failed[doubtful[0]] = why
            else:
                half = len(doubtful) // 2
                pending.extend((doubtful[:half], doubtful[half:]))
    return Answers(found, failed, frozenset(hidden))


def _asked(
    group: Sequence[K], ask: Callable[[Sequence[K], Budget], Part[K, V]], budget: Budget
) -> Part[K, V]:
    try:
        budget.require("asking W&B for more")
        return ask(group, budget)
    except LaunchError as exc:
        return Part(doubts=[(list(group), exc)])


def _patience(why: LaunchError) -> int:
    """Return after how many errors, without any answer, the whole service counts as failing.

    A refusal concerns one request. A lost answer can: one project may be slow, or break the server.
    All else (no connection, 401, 429, no time left) concerns the service.
    """
    if hides(why):
        return 1000
    if isinstance(why, Refusal):
        return 16
    return 3 if isinstance(why, Lost) else 0
