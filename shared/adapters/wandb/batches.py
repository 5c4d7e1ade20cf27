"""Ask W&B about many things at once; what it refuses is split until the thing that fails stands alone.

A missing answer is not a fact: a thing that is not in an answer with errors may exist all the same.
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
    """What one query brought.

    `failed` are single things, each with its own error; `doubts` are groups that were not answered, with the reason.
    """

    found: dict[K, V] = field(default_factory=dict)
    failed: dict[K, LaunchError] = field(default_factory=dict)
    hidden: set[K] = field(default_factory=set)
    absent: set[K] = field(default_factory=set)
    doubts: list[tuple[list[K], LaunchError]] = field(default_factory=list)

    @property
    def answered(self) -> bool:
        """Tell whether W&B answered anything at all."""
        return bool(self.found or self.hidden or self.absent)


def ask_all(
    things: Sequence[K], ask: Callable[[Sequence[K], Budget], Part[K, V]], budget: Budget
) -> Answers[K, V]:
    """Ask about all of these things, a page at a time; never raises a LaunchError.

    An error splits its group in halves. While W&B has answered nothing yet, the errors are counted: if all fails
    alike, the service fails, and nothing more is asked. Pages begin at a random place, so that none is always the last.
    """
    start = random.randrange(len(things)) if things else 0  # noqa: S311 - no secret
    turned = [*things[start:], *things[:start]]
    pending = deque(turned[at : at + PAGE] for at in range(0, len(turned), PAGE))
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
            if (not answered and errors >= _patience(why)) or _patience(why) == 0:
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
    """Return after how many errors, with no answer among them, the whole service counts as failing.

    A refusal is about what was asked for. A lost answer can be: one project may be too slow, or break the server.
    Anything else (no connection, 401, 429, no time left) is about the service.
    """
    if hides(why):
        return 1000
    return 16 if isinstance(why, Refusal) else 3 if isinstance(why, Lost) else 0
