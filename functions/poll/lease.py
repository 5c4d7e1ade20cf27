"""Let one poll launch at a time, with few writes: the lease is taken when there is something to do.

A call that finds its queues empty writes the agent's note once, at its end. Before a call opens its
first launch, registers an agent or stays for another round, it takes the lease by compare-and-swap.
That fails if another poll has held the lease since this call read the note: what this call has
counted may be wrong by then. Status and turned-away calls write the note too, and change no holder.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.core.errors import Conflict, LaunchError, Retry
from shared.core.ports import AgentBook, AgentNote, Clock

log = logging.getLogger(__name__)

ANOTHER = "another poll is working"
TRIES = 5  # of a write: status writes the note once a round, a turned-away call once a lease


class LeaseLost(LaunchError):
    """Another poll has worked since this call began: it must not open a launch."""


@dataclass(slots=True)
class Lease:
    """The lease of one call. It lasts longer than the call's budget with its last calls."""

    agents: AgentBook
    holder: str
    clock: Clock
    lasts: timedelta
    note: AgentNote = field(default_factory=lambda: AgentNote(""))
    held: bool = False
    tried: bool = False  # a write without an answer may have taken it
    _before: str = ""  # the last holder when this call began
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> bool:
        """Read the note; return whether no other poll holds the lease."""
        self.note = self.agents.read() or AgentNote("")
        self._before = self.note.holder
        return not self._leased()

    def look(self) -> None:
        """Read the note again, before another round of the call that holds the lease.

        Raises:
            LeaseLost: this call has outlived its lease, and another poll has taken it.
        """
        note = self.agents.read() or AgentNote("")
        if note.holder != self.holder:
            self.held = self.tried = False
            raise LeaseLost(ANOTHER)
        self.note = note

    def hold(self) -> None:
        """Take the lease; does nothing if this call has it.

        Raises:
            LeaseLost: another poll has held it since `open`.
        """
        with self._lock:
            if self.held:
                return
            self.tried = True
            self._change(
                lambda note: replace(
                    note, holder=self.holder, lease_until=self._until(), woken=False
                )
            )
            self.held = True

    def close(self, changes: Mapping[str, Any], *, stay: bool = False) -> bool:
        """Store the result of this call and end the lease.

        Returns True, and keeps the lease, if a wake-up has come meanwhile and the call can `stay`.
        """

        def change(note: AgentNote) -> AgentNote:
            if stay and self.held and note.woken:
                return replace(note, lease_until=self._until(), woken=False)
            return replace(note, **{**changes, "lease_until": None, "woken": False})

        with self._lock:
            had = self.held or self.tried
            try:
                self._change(change)
            except LeaseLost:
                if had:  # else it has lost nothing: a call that found nothing to do never takes it
                    log.warning("agent.lease_lost", extra={"fields": {"holder": self.holder}})
            else:
                self.held = self.note.lease_until is not None
            self.tried = self.held
            return self.held

    def mark(self) -> bool:
        """Ask the holder of the lease for another round; return whether it will see that."""
        for _ in range(TRIES):
            if self.note.woken:
                return True
            try:
                self.agents.write(replace(self.note, woken=True))
            except Conflict:
                if self.open():
                    return False  # the holder has ended meanwhile
            else:
                return True
        return False

    def _change(self, change: Callable[[AgentNote], AgentNote]) -> None:
        """Write a change of the note, again if status or a turned-away call was quicker."""
        for _ in range(TRIES):
            if not self._ours():
                self.held = self.tried = False
                raise LeaseLost(ANOTHER)
            try:
                self.note = self.agents.write(change(self.note))
            except Conflict:
                self.note = self.agents.read() or AgentNote("")
            else:
                return
        raise Retry("the agent's note is written all the time")

    def _ours(self) -> bool:
        """Tell whether no other poll has held the lease since `open`."""
        if self.note.holder == self.holder:
            return True
        return not self.held and self.note.holder == self._before and not self._leased()

    def _leased(self) -> bool:
        return self.note.leased(self.clock(), self._until(), self.holder)

    def _until(self) -> datetime:
        return self.clock() + self.lasts
