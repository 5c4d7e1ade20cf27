"""Call poll and status round after round, and count in calm rounds who waited in vain.

A round is one call of each. It is calm where no stand-in has given a fault and nothing was killed or frozen shortly
before or in it, so nothing but another launch can be the reason of a wait. In a calm round somebody waits in vain if
- an item was PENDING before and after it, slots were free before it, and poll served fewer items than it could have;
- a launch was due before it (QUEUED, its retry time over; SUBMITTING, its lease over) and is as it was after it;
- a launch's CustomJob had ended some seconds before it, and the launch is open after it.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import requests

from tests.chaos.audit import Waits
from tests.chaos.outside import Outside

SETTLING = 9.0  # seconds after the last trouble until rounds are calm: longer than any lease or lateness
GRACE = timedelta(seconds=10)  # that a launch has, after it is due or its job has ended
CALL_SECONDS = 20.0


@dataclass(frozen=True)
class Snapshot:
    """What was there at a moment."""

    at: datetime
    pending: tuple[str, ...] = ()  # ids of items, oldest first
    served: frozenset[str] = frozenset()  # ids of items that are not PENDING any more
    launches: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # metadata by object name
    ended: Mapping[str, datetime] = field(default_factory=dict)  # when jobs have ended, by resource name

    @property
    def slots_taken(self) -> int:
        """Count the launches of items that hold a slot."""
        return sum(bool(_text(one, "item_id")) and _text(one, "state") != "ENDED" for one in self.launches.values())

    @property
    def short(self) -> bool:
        """Tell whether a launch waits for capacity, by which its queue is held rightly."""
        return any(_text(one, "short_of") and _text(one, "item_id") for one in self.launches.values())


def look(outside: Outside) -> Snapshot:
    """Take a snapshot."""
    items = outside.items()
    launches = {found["name"]: found.get("metadata") or {} for found in outside.launches("open/")}
    ended = {job["name"]: datetime.fromisoformat(job["end_time"]) for job in outside.jobs() if job["end_time"]}
    pending = tuple(item["id"] for item in items if item["state"] == "PENDING")
    return Snapshot(datetime.now(UTC), pending, frozenset(item["id"] for item in items) - set(pending), launches, ended)


def in_vain(before: Snapshot, after: Snapshot, max_jobs: int) -> Iterator[str]:
    """Yield who waited in vain in the calm round between two snapshots."""
    could = min(max_jobs - before.slots_taken, len(before.pending))
    left = [one for one in before.pending if one in after.pending]
    done = len(before.pending) - len(left)
    if not before.short:
        yield from (f"item {one}" for one in left[: max(could - done, 0)])
    for name, launch in before.launches.items():
        if after.launches.get(name) != launch:
            continue
        if _due(launch, before.at) or _over(launch, before):
            yield f"launch {name} ({_text(launch, 'state')})"


def _due(launch: Mapping[str, str], now: datetime) -> bool:
    """Tell whether somebody has to do something about a launch, and had time for it."""
    state = _text(launch, "state")
    times = ("retry_at", "opened_at") if state == "QUEUED" else ("lease_until",)
    moment = next((one for one in (_moment(launch, name) for name in times) if one), None)
    return state in ("QUEUED", "SUBMITTING") and moment is not None and moment + GRACE < now


def _over(launch: Mapping[str, str], before: Snapshot) -> bool:
    ended = before.ended.get(_text(launch, "job_name"))
    return ended is not None and ended + GRACE < before.at


def _text(launch: Mapping[str, str], name: str) -> str:
    """Return a value of a launch's metadata, which may be written as JSON."""
    value = launch.get(name, "")
    return str(json.loads(value.removeprefix("json:"))) if value.startswith(('"', "json:")) else value


def _moment(launch: Mapping[str, str], name: str) -> datetime | None:
    text = _text(launch, name)
    return datetime.fromisoformat(text) if text else None


class Rounds(threading.Thread):
    """Calls from start to stop. Trouble is announced by `disturb`; `allow` begins a calm time."""

    def __init__(self, urls: Mapping[str, str], outside: Outside, max_jobs: int, every: float) -> None:
        super().__init__(name="rounds", daemon=True)
        self._urls, self._outside, self._max_jobs, self._every = urls, outside, max_jobs, every
        self._stopped = threading.Event()
        self._calm_from = float("inf")
        self._waited: Counter[str] = Counter()
        self._calm_rounds = 0
        self.problem: Exception | None = None

    def disturb(self) -> None:
        """Begin a time in which no round is calm."""
        self._calm_from = float("inf")

    def allow(self) -> None:
        """End that time: the trouble is over, and rounds are calm as soon as its effects are."""
        self._calm_from = time.monotonic() + SETTLING

    @property
    def waits(self) -> Waits:
        """Return who has waited in vain, and for how many rounds."""
        return Waits(self._calm_rounds, dict(self._waited))

    def stop(self) -> None:
        """Make no further call."""
        self._stopped.set()
        self.join(CALL_SECONDS + 5)

    def run(self) -> None:
        """Make rounds."""
        due = time.monotonic()
        before: Snapshot | None = None
        with ThreadPoolExecutor(len(self._urls)) as callers:
            while not self._stopped.wait(max(0.0, due - time.monotonic())):
                due = time.monotonic() + self._every
                try:
                    if self._calm and before is None:
                        before = look(self._outside)
                    answered = all([*callers.map(_call, self._urls.values())])
                    before = self._count(before) if self._calm and answered else None
                except Exception as exc:  # noqa: BLE001 - the storm raises it in its own thread
                    self.problem = exc
                    return

    @property
    def _calm(self) -> bool:
        return time.monotonic() > self._calm_from

    def _count(self, before: Snapshot | None) -> Snapshot:
        after = look(self._outside)
        if before is not None and self._calm:
            self._calm_rounds += 1
            self._waited.update(in_vain(before, after, self._max_jobs))
        return after


def _call(url: str) -> bool:
    """Call a function as the scheduler does; tell whether it has answered that it worked."""
    try:
        answer = requests.post(url, timeout=CALL_SECONDS, headers={"Connection": "close"})
        return answer.status_code < 500 or "error" not in answer.json()
    except (requests.RequestException, ValueError):
        return False
