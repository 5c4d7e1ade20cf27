"""Fleets for the board's tests: launches in every state, a ledger that answers with them, hostile texts."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.types import ASGIApp

from deploy.operate.fleet.target import Target
from shared.core.errors import LaunchError
from shared.core.launch import Attempt, Entry, Event, EventType, Launch, Outcome, RunPath, State
from shared.core.ports import AgentNote, OpenLaunches
from shared.core.shortage import Shortage

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
QUEUES = ("vertex", "overnight")
MACHINES = ("1×a2-highgpu-1g SPOT", "4×g2-standard-8 (1×NVIDIA_L4)", "1×n1-standard-8 (1×NVIDIA_TESLA_T4)", "")
STOCKOUT = "Resources are insufficient in region us-central1 for a2-highgpu-1g"
HOSTILE = {
    "tags": "<script>alert(1)</script><img src=x onerror=alert(2)></title></style>",
    "quotes": "\"' onmouseover='alert(3)' x=\"`${7*7}{{7*7}}{% raw %}",
    "bidi": "safe\u202egpj.exe\u2066\u2069\u200f\u061c",
    "controls": "a\x1b[31mred\x00\x07\x9b2J\r\n\tb\u2028\u2029\ufeff",
    "four bytes": "\U0001f9ea" * 256,
    "combining": "z" + "\u0335\u0489\u0300" * 60,
    "long": "x" * 5000,
    "entities": "&lt;script&gt;&amp;&#60;b&#62;",
    "links": "javascript:alert(4) http://evil.example/x.png @import url(//evil.example)",
    "right to left": "\u05e9\u05dc\u05d5\u05dd model \u0645\u0631\u062d\u0628\u0627",
    "empty": "",
    "spaces": "   ",
}


@dataclass
class Answers:
    """A ledger and an agent's record that answer with what a test sets, and count their calls."""

    open: Sequence[Entry] = ()
    closed: Sequence[Entry] = ()
    unreadable: dict[str, str] = field(default_factory=dict)
    records: dict[str, Launch] = field(default_factory=dict)
    note: AgentNote | None = None
    problem: Exception | None = None
    listings: int = 0

    def now(self) -> datetime:
        """Return the time."""
        return NOW

    def list_open(self) -> OpenLaunches:
        """List the open launches."""
        self.listings += 1
        self._raise()
        return OpenLaunches(self.open, self.unreadable)

    def list_closed(self) -> OpenLaunches:
        """List the closed launches."""
        return OpenLaunches(self.closed)

    def read_record(self, key: str) -> Launch | None:
        """Return a record, or None."""
        self._raise()
        return self.records.get(key)

    def read_note(self) -> AgentNote | None:
        """Return the note of poll's agent."""
        return self.note

    def _raise(self) -> None:
        if self.problem:
            raise self.problem


@dataclass(frozen=True)
class Page:
    """An answer of the board."""

    status: int
    headers: Headers
    text: str


@dataclass
class Client:
    """Asks the board without a socket."""

    app: ASGIApp

    def get(self, path: str, host: bytes = b"127.0.0.1:7020", method: str = "GET", **query: str) -> Page:
        """Return the answer to one request."""
        return asyncio.run(self._ask(path, host, method, urlencode(query, errors="replace").encode()))

    async def _ask(self, path: str, host: bytes, method: str, query: bytes) -> Page:
        path, _, more = path.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "query_string": query or more.encode(),
            "headers": [(b"host", host)],
            "root_path": "",
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        with suppress(RuntimeError):  # a server logs it, and goes on
            await self.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent)
        return Page(sent[0]["status"], Headers(raw=sent[0]["headers"]), body.decode())


def target_of(answers: Answers, *, local: bool = False, name: str = "launch") -> Target:
    """Return a deployment whose ledger gives these answers."""
    made = Target("my-project", "us-central1", name, "my-project-launch-ledger", "launch", local)
    ledger = SimpleNamespace(
        now=answers.now,
        list_open=answers.list_open,
        list_closed=answers.list_closed,
        read=answers.read_record,
        read_closed=answers.read_record,
    )
    made.__dict__["ledger"] = cast("Any", ledger)
    made.__dict__["book"] = cast("Any", SimpleNamespace(read=answers.read_note))
    return made


def note(**changes: Any) -> AgentNote:
    """Return the note of a poll that works."""
    known = AgentNote(
        "holder",
        agent_id="agent",
        base_url="https://api.wandb.ai",
        entity="team",
        queues=QUEUES,
        polled_at=NOW - timedelta(seconds=40),
        limits={"max_jobs": 50, "max_schedulers": 1, "max_queued": 100},
    )
    return replace(known, **changes)


def entry(number: int, state: State = State.QUEUED, **changes: Any) -> Entry:
    """Return a launch of a queue; its number makes its key, run and item."""
    key = "k" + "".join(chr(97 + (number // 26**place) % 26) for place in range(26))
    made = Entry(
        key,
        state,
        NOW - timedelta(minutes=3),
        RunPath("team", "cats", f"run{number}"),
        "team",
        "vertex",
        f"item{number}",
        name=f"train-{number}",
        author="ada",
        source="wandb",
    )
    return replace(made, **changes)


def running(number: int, **changes: Any) -> Entry:
    """Return a launch whose job runs."""
    known: dict[str, Any] = {
        "job_name": f"projects/my-project/locations/us-central1/customJobs/{10**18 + number}",
        "attempt": 1,
        "submitted_at": NOW - timedelta(minutes=2),
        "started_at": NOW - timedelta(minutes=1),
        "machine": MACHINES[0],
    }
    return entry(number, State.SUBMITTED, **known | changes)


def ended(number: int, outcome: Outcome = Outcome.SUCCEEDED, **changes: Any) -> Entry:
    """Return a launch that is over."""
    known: dict[str, Any] = {"outcome": outcome, "ended_at": NOW - timedelta(seconds=20), "reason": "exit code 0"}
    return replace(running(number), state=State.ENDED, **known | changes)


def fleet(number: int, seed: int = 7) -> Answers:
    """Return launches in all states: a third of them ended, a third waits."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    still: list[Entry] = []
    over: list[Entry] = []
    for each in range(number):
        opened = NOW - timedelta(seconds=dice.expovariate(1 / 7000) + 20)
        queued, pending = dice.expovariate(1 / 60) + 8, dice.expovariate(1 / 90) + 20
        submitted = min(opened + timedelta(seconds=queued), NOW)
        started = min(submitted + timedelta(seconds=pending), NOW)
        many: dict[str, Any] = {
            "opened_at": opened,
            "queue_name": dice.choice(QUEUES),
            "machine": dice.choice(MACHINES),
            "author": dice.choice(("ada", "grace", "linus", "margaret")),
            "name": dice.choice(("resnet-50 lr=3e-4", "llama-finetune", "sweep cats/9f2k", "ablation-heads"))
            + f" {each}",
        }
        kind = each % 9
        if kind < 3:
            end = min(started + timedelta(seconds=dice.expovariate(1 / 1500)), NOW)
            failed = dice.random() < 0.2
            outcome = Outcome.FAILED if failed else Outcome.SUCCEEDED
            why = "The replica workerpool0-0 exited with a non-zero status of 1." if failed else "exit code 0"
            times = {"submitted_at": submitted, "started_at": started, "ended_at": end}
            over.append(ended(each, outcome, **many | times, reason=why))
        elif kind < 6:
            began = started if started < NOW and kind < 5 else None
            still.append(running(each, **many | {"submitted_at": submitted, "started_at": began}))
        elif kind == 6:
            next_try = NOW + timedelta(seconds=dice.randint(5, 600))
            waits = {"short_of": Shortage.STOCKOUT, "retry_at": next_try, "waits": 4, "attempt": 5, "reason": STOCKOUT}
            still.append(entry(each, **many | waits))
        elif kind == 7:
            build = "projects/my-project/locations/us-central1/builds/77"
            still.append(entry(each, **many | {"build": build, "attempt": 1, "reason": "The image is built."}))
        else:
            still.append(entry(each, **many))
    return Answers(still, over, note=note())


def record(one: Entry, events: Sequence[tuple[EventType, float, str, str]] = ()) -> Launch:
    """Return the record of a launch; an event has its type, seconds since enqueue, cause and reason."""
    listed = [
        Event(number, kind, one.opened_at + timedelta(seconds=after), 1, why, one.job_name, reason)
        for number, (kind, after, why, reason) in enumerate(events, 1)
    ]
    history = (Attempt(1, one.opened_at, f"{one.outcome or one.state}: {one.reason or 'none'}"),)
    one = replace(one, events=len(listed))
    return Launch(one, {"name": one.name}, reason=one.reason, history=history, events=tuple(listed))


def refused(problem: LaunchError) -> Answers:
    """Return a ledger that cannot be read."""
    return Answers(problem=problem, note=note())
