"""Explore every state of a small model, breadth first, so that the first violating history is also a shortest one."""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True)
class Result:
    """What exploring found; the history belongs to the violation or, without one, to a state that cannot finish."""

    states: int
    violation: str = ""
    unfinishable: int = 0
    history: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Say whether every state is allowed, and from each one an end can be reached."""
        return not self.violation and not self.unfinishable


def explore(
    start: S,
    steps: Callable[[S], Iterable[tuple[str, S]]],
    bad: Callable[[S], str],
    finished: Callable[[S], bool],
    mishap: Callable[[str], bool],
    alike: Callable[[S], S],
) -> Result:
    """Go through all states that steps lead to, and stop at the first that is bad.

    `steps` yields what can happen next, each with its name; `bad` names what is wrong with a state, or is empty.
    `mishap` says of a step's name that no end may depend on it. `alike` returns one state for all from which the same
    can happen: the first of them that is reached stands for the others, so that a history's names are its own.
    """
    first = alike(start)
    came_from: dict[S, tuple[S, str] | None] = {first: None}
    before: defaultdict[S, list[S]] = defaultdict(list)
    todo = deque([(first, start)])
    while todo:
        known, state = todo.popleft()
        if violation := bad(state):
            return Result(len(came_from), violation, history=_history(known, came_from))
        for name, following in steps(state):
            then = alike(following)
            if not mishap(name):
                before[then].append(known)
            if then not in came_from:
                came_from[then] = (known, name)
                todo.append((then, following))
    hopeful = _reaching([state for state in came_from if finished(state)], before)
    hopeless = [state for state in came_from if state not in hopeful]
    history = _history(hopeless[0], came_from) if hopeless else ()
    return Result(len(came_from), unfinishable=len(hopeless), history=history)


def _reaching(ends: list[S], before: dict[S, list[S]]) -> set[S]:
    reaching, todo = set(ends), deque(ends)
    while todo:
        for state in before.get(todo.popleft(), ()):
            if state not in reaching:
                reaching.add(state)
                todo.append(state)
    return reaching


def _history(state: S, came_from: dict[S, tuple[S, str] | None]) -> tuple[str, ...]:
    names: list[str] = []
    while came := came_from[state]:
        state, name = came
        names.append(name)
    return tuple(reversed(names))
