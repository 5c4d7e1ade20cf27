"""One invocation of a function: a thread that works only while the simulation waits for it.

At every call that crosses a port it stops and hands over the baton; what becomes of the call is not its to say. So any
number of invocations take turns in an order that is chosen, and the same choices give the same history.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.simulation.world import Delivery, World


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the outside. `effect` is what it does there when it arrives, and returns or raises the answer."""

    system: str  # wandb, vertex, ledger, topic, build, logging or platform
    name: str
    about: str
    effect: Callable[[World], Any] = field(repr=False)
    changes: bool = False  # it has an effect that can come late
    once: bool = False  # the client never repeats it, so a lost answer leaves its outcome unknown
    takes: timedelta = timedelta(0)  # on purpose


STUCK = 300  # seconds of real time in which an invocation does nothing: a mistake, not a slow machine
Cross = Callable[[Call], Any]


def nothing(_: World) -> None:
    """Have no effect."""


class Death(BaseException):
    """The invocation is dead: no code of its own may catch this, and none of its calls has an effect any more."""


class Process:
    """An invocation. `call` is what it stands before; None once it is over."""

    def __init__(self, name: str, verb: str, begun: int, deadline: datetime, delivery: Delivery | None) -> None:
        self.name, self.verb, self.begun, self.deadline, self.delivery = name, verb, begun, deadline, delivery
        self.call: Call | None = None
        self.woken = 0  # which delivery of a wake-up it answers
        self.rounds = 0  # of a poll: how often it has counted the open launches
        self.dead = False
        self.timed_out = False  # its caller was answered 504 and has turned to others; the invocation goes on
        self.overslept = False  # it froze for longer than any lease
        self.disturbed = False  # something has gone wrong with one of its calls
        self.checked = False  # its budget was checked immediately before the call that it stands before
        self.result: Any = None
        self.error: BaseException | None = None
        self.held_for: Process | None = None  # it goes on when that one is over
        self.wakes: datetime | None = None  # it goes on at that time
        self.waited_for: Call | None = None  # the call that took its time
        self._mine, self._theirs = threading.Lock(), threading.Lock()  # each side waits for the other's lock
        self._mine.acquire()
        self._theirs.acquire()
        self._answer: Callable[[], Any] = lambda: None

    @property
    def over(self) -> bool:
        """Tell whether nothing more will come of it."""
        return self.call is None

    @property
    def ready(self) -> bool:
        """Tell whether it may make its next call now."""
        return not self.over and self.wakes is None and (self.held_for is None or self.held_for.over)

    def begin(self, work: Callable[[], Any]) -> None:
        """Let it work up to its first call."""
        threading.Thread(target=self._work, args=(work,), name=self.name, daemon=True).start()
        self._wait()

    def cross(self, call: Call) -> Any:
        """Stand before a call until the simulation says what becomes of it; runs in a thread of the invocation."""
        if self.dead:
            raise Death(self.name)
        self.checked = self.call is not None and self.call.name == "budget"
        self.call = call
        self._theirs.release()
        self._mine.acquire()
        if self.dead:
            raise Death(self.name)
        return self._answer()

    def answer(self, answer: Callable[[], Any]) -> None:
        """Give it an answer, which may raise, and let it work up to its next call."""
        self._answer = answer
        self._mine.release()
        self._wait()

    def die(self) -> None:
        """Let it die before its call."""
        self.dead = True
        self._mine.release()
        self._wait()

    def _wait(self) -> None:
        """Wait until it stands before its next call, or is over."""
        if not self._theirs.acquire(timeout=STUCK):
            raise RuntimeError(f"{self.name} makes no call and does not end: does it wait for a thread of its own?")

    def _work(self, work: Callable[[], Any]) -> None:
        try:
            self.result = work()
            self.cross(Call("platform", "answer", self.delivery.key if self.delivery else "", nothing))
        except Death:
            pass
        except BaseException as exc:  # noqa: BLE001 - the simulation looks at it
            self.error = exc
        self.call = None
        self._theirs.release()
