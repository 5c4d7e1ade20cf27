"""Follow launches in the ledger until they have ended."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from deploy.exit_codes import CouldNotSee
from deploy.operate.fleet.fleet import state_of
from deploy.operate.fleet.target import Target
from shared.core.errors import Retry
from shared.core.launch import Launch, State

Command = TypeVar("Command", bound=Callable[..., Any])

FIRST, EVERY = 0.5, 5.0  # seconds between the first two looks, and between two looks at most
PATIENCE = 12  # looks in a row that may fail


def wait_options(command: Command) -> Command:
    """Add the options of a command that can wait for its launch: `wait` and `timeout`."""
    timeout = click.option(
        "--timeout",
        default=0.0,
        show_default=True,
        type=click.FloatRange(0),
        help="Seconds to wait for the end; 0: without a bound.",
    )
    wait = click.option("--wait", is_flag=True, help="Wait until the launch has ended.")
    return wait(timeout(command))


@dataclass(frozen=True, slots=True)
class Follow:
    """Follows launches for at most `timeout` seconds; 0: without a bound."""

    target: Target
    timeout: float
    tell: Callable[[str], object]  # shows each change

    def until_ended(self, keys: Sequence[str]) -> dict[str, Launch]:
        """Return the launches when all have ended, by key; those that are not there yet count.

        Raises:
            CouldNotSee: the time is over, or the ledger does not answer for a minute.
            Denied: the ledger may not be read.
        """
        ended: dict[str, Launch] = {}
        states: dict[str, str] = {}
        deadline, failures, pause = time.monotonic() + self.timeout, 0, FIRST
        while True:
            left = [key for key in keys if key not in ended]
            try:
                ended |= self._look(left, states)
                failures = 0
            except Retry as exc:
                failures += 1
                if failures >= PATIENCE:
                    raise CouldNotSee(str(exc)) from exc
            left = [key for key in keys if key not in ended]
            if not left:
                return ended
            if self.timeout and time.monotonic() >= deadline:
                named = ", ".join(f"{key} ({states.get(key, 'not in the ledger')})" for key in left)
                raise CouldNotSee(f"not ended after {self.timeout:g} s: {named}")
            time.sleep(pause)
            pause = min(pause * 2, EVERY)

    def _look(self, keys: Iterable[str], states: dict[str, str]) -> dict[str, Launch]:
        """Read launches, tell what has changed, and return those that have ended."""
        ended = {}
        for key in keys:
            launch = self.target.ledger.read(key) or self.target.ledger.read_closed(key)
            if launch is None:
                continue
            state = state_of(launch.entry, self.target.now())
            if states.get(key) != state:
                self.tell(f"{key}  {state}")
                states[key] = state
            if launch.entry.state is State.ENDED:
                ended[key] = launch
        return ended
