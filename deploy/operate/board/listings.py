"""One listing of the ledger for all tabs and readers of a board."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from deploy.operate.fleet.fleet import Fleet
from deploy.operate.fleet.permission import grant
from deploy.operate.fleet.target import Target
from shared.core.errors import Denied, LaunchError
from shared.core.ports import AgentNote
from shared.core.redaction import redacted

LEAST_SECONDS = 4.0  # between two listings
SHARE = 20  # a listing that takes a second is kept for this many: it has 1,000 launches a call


@dataclass(frozen=True, slots=True)
class Look:
    """What the ledger showed last. `problem`: why the newest listing failed, empty if it did not.

    `fleet` is None until a listing succeeds.
    """

    fleet: Fleet | None
    note: AgentNote
    problem: str = ""


class Listings:
    """Lists the ledger at most once in some seconds; a failed listing keeps the one before."""

    def __init__(
        self,
        target: Target,
        monotonic: Callable[[], float] = time.monotonic,
        least_seconds: float = LEAST_SECONDS,
    ) -> None:
        self.target = target
        self._monotonic = monotonic
        self._least_seconds = least_seconds
        self._lock = threading.Lock()  # the others wait for the listing that runs
        self._look = Look(None, AgentNote(""))
        self._until = float("-inf")
        self.seconds = least_seconds  # for which the last listing is kept

    def look(self) -> Look:
        """Return the last listing, or list again if it is old."""
        with self._lock:
            began = self._monotonic()
            if began >= self._until:
                self._look = self._read()
                took = self._monotonic() - began
                self.seconds = max(self._least_seconds, SHARE * took)
                self._until = self._monotonic() + self.seconds
            return self._look

    def _read(self) -> Look:
        try:
            note = self.target.book.read() or AgentNote("")
            return Look(Fleet.read(self.target, closed=True), note)
        except Denied as exc:
            problem = grant(exc, self.target.bucket_name, self.target.project)
        except LaunchError as exc:
            problem = str(exc)
        except Exception as exc:  # noqa: BLE001 - the page must show it, and stay up
            problem = f"{type(exc).__name__}: {exc}"
        return Look(self._look.fleet, self._look.note, redacted(problem))
