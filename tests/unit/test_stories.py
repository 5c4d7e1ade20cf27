"""`show` and `logs` on a fleet in memory: every step, every attempt, every line, in order and in plain text."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from rich.cells import cell_len

from deploy.operate import logs
from deploy.operate.logs import Log, origins
from deploy.operate.show import Story
from deploy.operate.terminal import Terminal
from shared.adapters.logging import LogLine
from shared.core.intake import from_request
from shared.core.launch import Backoff, EventType, Launch, Outcome
from shared.core.message import Request
from shared.core.shortage import Shortage
from tests.fakes.fleet import NOW, PARENT, FakeTarget, changed, launch, running, submitted

EVIL = "\x1b[31mred\u202e\nmore"
SECRET = "planted-secret-4711"


def preempted() -> Launch:
    """Return a launch with a build, a wait for machines, a preempted job and a second one."""
    begun = launch("a", timedelta(minutes=60))
    build = f"{PARENT}/builds/b-1"
    queued = changed(begun.note(NOW - timedelta(minutes=59), f"{build} builds image"), build=build)
    built = changed(queued.happened(EventType.BUILDING, NOW - timedelta(minutes=59)), build="")
    first = submitted(built, "1").happened(EventType.SUBMITTED, NOW - timedelta(minutes=50))
    resumed = first.started(NOW - timedelta(minutes=45)).resume(NOW - timedelta(minutes=30), 5)
    short = submitted(resumed, "2").wait_for_capacity(
        NOW - timedelta(minutes=20), Shortage.STOCKOUT, f"no machines {EVIL}", Backoff()
    )
    again = submitted(short, "3").happened(EventType.SUBMITTED, NOW - timedelta(minutes=10))
    return again.note(NOW - timedelta(minutes=10), f"created {again.entry.job_name}").started(NOW)


def test_each_step_has_the_time_since_the_previous_one() -> None:
    """With its attempt, its job and its reason."""
    story = Story(FakeTarget(), preempted(), NOW)
    steps = [(step["step"], step["seconds_since_previous"], step["why"]) for step in story.document()["steps"]]
    assert steps == [
        ("queued", None, None),
        ("building", 60, None),
        ("submitted", 540, None),
        ("running", 300, None),
        ("preempted", 900, None),
        ("waiting", 600, "STOCKOUT"),
        ("submitted", 600, None),
        ("running", 600, None),
    ]
    shown = "\n".join(story.lines(Terminal(live=False)))
    assert "2026-11-26 02:30:00   +15m00s  preempted" in shown
    assert "2026-11-26 02:50:00   +10m00s  submitted, attempt 3, job 3" in shown
    assert "run       https://wandb.ai/team/cats/runs/run-a" in shown
    assert f"agent-platform/locations/us-central1/training/3?project=p\n          {PARENT}/customJobs/3" in shown
    assert "Preempted; launched again (1 of 5 times)" in shown


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_story_fits_a_terminal(width: int) -> None:
    """Only an address is never broken: somebody copies it."""
    story = Story(FakeTarget(), changed(preempted(), name=EVIL * 20), NOW)
    lines = story.lines(Terminal(live=True, width=width))
    assert max(cell_len(line) for line in lines if "://" not in line) <= width
    assert all(line.isprintable() for line in lines)
    assert json.loads(json.dumps(story.document()))["name"].startswith("\x1b[31mred")


def test_places_of_a_ladder_are_shown() -> None:
    """The current and next one, those without machines now, and those that are ruled out."""
    begun = preempted()
    climb = replace(
        begun.climb, place="r1 SPOT", next_place="r2 SPOT", tried=("r0 SPOT", "r0"), barred=("r9",), left_out="r8: no"
    )
    story = Story(FakeTarget(), replace(begun, climb=climb), NOW)
    assert story.document()["places"] == {
        "current": "r1 SPOT", "next": "r2 SPOT", "tried": ["r0 SPOT", "r0"], "barred": ["r9"], "left_out": "r8: no",
    }  # fmt: skip
    shown = "\n".join(story.lines(Terminal(live=False)))
    for line in ("place     r1 SPOT", "next      r2 SPOT", "tried     r0 SPOT, r0", "barred    r9", "left out  r8: no"):
        assert f"\n{line}\n" in shown


def test_an_ended_launch_shows_its_whole_reason() -> None:
    """All lines of it, such as the end of a log; the index has only a part."""
    reason = "exit code 1\nThe end of its log:\n" + "\n".join(f"  line {number}" for number in range(30))
    story = Story(FakeTarget(), running(launch("a")).end(Outcome.FAILED, reason, NOW, report=False), NOW)
    lines = story.lines(Terminal(live=False))
    assert "state     failed, 0s ago" in lines
    assert [line for line in lines if line.startswith("reason")][-1] == "reason      line 29"
    assert story.document()["reason"] == reason


def test_a_request_shows_its_source_and_key() -> None:
    """And no queue item."""
    request = Request(source="airflow", idempotency_key="dag/1", run_spec={"entity": "team", "project": "p"})
    lines = Story(FakeTarget(), from_request(request, NOW), NOW).lines(Terminal(live=False))
    assert {"source    airflow", "request   dag/1"} <= {*lines}
    assert not [line for line in lines if line.startswith(("item", "queue"))]


def test_a_record_of_an_older_revision_has_no_steps() -> None:
    """It has its attempts."""
    older = replace(preempted(), events=())
    lines = Story(FakeTarget(), older, NOW).lines(Terminal(live=False))
    assert "none: an older revision wrote this record" in lines
    assert any("created projects/p" in line for line in lines)


def test_a_local_job_is_linked_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's console does not know it."""
    monkeypatch.setenv("VERTEX_ENDPOINT", "http://127.0.0.1:7003")
    story = Story(FakeTarget(local=True), running(launch("a"), "7"), NOW)
    assert story.document()["job_url"] == "http://127.0.0.1:7003/standin/jobs/7/log"


@pytest.mark.parametrize(
    ("api", "pages"),
    [
        ("https://api.wandb.ai", "https://wandb.ai"),
        ("https://api.wandb.example.com/", "https://wandb.example.com"),
        ("https://api.tools.example.com", "https://app.tools.example.com"),
        ("https://wandb.example.com/base/", "https://wandb.example.com/base"),
    ],
)
def test_pages_of_wandb(api: str, pages: str) -> None:
    """As W&B's client derives them from the address of its API."""
    target = FakeTarget()
    target = replace(target, agent=replace(target.agent, base_url=api))
    assert target.wandb_url == pages


class Lines:
    """Cloud Logging in memory: lines by resource."""

    def __init__(self, **lines: list[LogLine]) -> None:
        self.lines = lines
        self.asked: list[str] = []

    def __call__(self, project: str, name: str, since: datetime) -> Iterator[LogLine]:
        """Yield the lines from a time on."""
        number = name.rpartition("/")[2]
        self.asked.append(f"{project} {number}")
        lines = self.lines.get(f"_{number.replace('-', '_')}", [])
        yield from sorted((line for line in lines if line.at >= since), key=lambda line: line.at)


def line(minutes: int, text: str, id: str = "") -> LogLine:  # noqa: A002 - as LogLine has it
    """Return a line printed so many minutes ago."""
    return LogLine(NOW - timedelta(minutes=minutes), text, id or text, "workerpool0-0")


def test_lines_of_all_attempts_come_in_time_order() -> None:
    """Builds too, each with its origin; a worker of another pool is named."""
    begun = preempted()
    assert [(one.label, one.name.rpartition("/")[2]) for one in origins(begun)] == [
        ("build", "b-1"), ("try 1", "1"), ("try 3", "3"),
    ]  # fmt: skip
    late = replace(line(39, "worker"), task="workerpool1-2")
    read = Lines(_b_1=[line(58, "step"), line(57, "done")], _1=[line(40, "epoch 0"), late], _3=[line(1, "epoch 1")])
    log = Log(FakeTarget(), begun.entry, read, begun)
    log.origins = [*origins(begun)]
    texts = [printed.text() for printed in log.more()]
    assert texts == [
        "11-26 02:02:00 build  step",
        "11-26 02:03:00 build  done",
        "11-26 02:20:00 try 1  epoch 0",
        "11-26 02:21:00 try 1 workerpool1-2  worker",
        "11-26 02:59:00 try 3  epoch 1",
    ]


def printed(log: Log, **how: Any) -> None:
    """Print as the command does."""
    logs._print(log, **{"follow": False, "tail": None, "as_json": False, **how})  # noqa: SLF001 - the command's body


def test_lines_are_plain_and_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    """The run spec's secrets are removed; each line of an entry is a line."""
    spec: dict[str, Any] = {"overrides": {"env": {"DB_PASSWORD": SECRET}}, "_wandb_api_key": SECRET}
    target = FakeTarget()
    target.put(running(launch("a", **spec), "1"))
    read = Lines(_1=[line(3, f"{EVIL} {SECRET}\n  indented\t|"), line(2, "50%\r100%")])
    printed(Log(target, launch("a", **spec).entry, read))
    assert capsys.readouterr().out.splitlines() == [
        "11-26 02:57:00 try 1  ·[31mred·",
        "11-26 02:57:00 try 1  more [redacted]",
        "11-26 02:57:00 try 1    indented      |",
        "11-26 02:58:00 try 1  50%",
        "11-26 02:58:00 try 1  100%",
    ]
    printed(Log(target, launch("a", **spec).entry, read), as_json=True)
    first, second = json.loads(capsys.readouterr().out)
    assert first["text"] == "·[31mred·\nmore [redacted]\n  indented      |"
    assert (second["at"], second["resource"]) == ("2026-11-26T02:58:00.000Z", f"{PARENT}/customJobs/1")


def test_the_last_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Of all attempts together."""
    target = FakeTarget()
    target.put(running(launch("a"), "1"))
    printed(Log(target, launch("a").entry, Lines(_1=[line(9 - n, f"line {n}") for n in range(5)])), tail=2)
    assert [text[-6:] for text in capsys.readouterr().out.splitlines()] == ["line 3", "line 4"]


def test_a_launch_without_output_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, so that a pipe gets nothing."""
    target = FakeTarget()
    target.put(launch("a"), submitted(launch("b")).wait_for_capacity(NOW, Shortage.STOCKOUT, EVIL, Backoff()))
    for item in "ab":
        printed(Log(target, launch(item).entry, Lines()))
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert (out, first) == ("", f"The launch {launch('a').key} has no job and no build. It is queued")
    assert second.endswith("It is waiting: STOCKOUT: ·[31mred· more")


def test_following_ends_with_the_launch(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line once, though refreshes overlap; late ones too; another attempt joins; an ended job is asked no more."""
    target = FakeTarget()
    begun = running(launch("a"), "1")
    target.put(begun)
    read = Lines(_1=[line(5, "one")])
    same = [replace(line(4, "same"), id="1"), replace(line(4, "same"), id="2")]

    def resumed() -> None:
        there = target.memory.open[begun.key]
        again = running(there.resume(NOW - timedelta(minutes=2), 5), "2").happened(EventType.SUBMITTED, NOW)
        target.put(replace(again, generation=there.generation))
        read.lines["_2"] = [line(1, "two")]

    def ended() -> None:
        there = target.memory.open[begun.key]
        target.memory.close(there.end(Outcome.SUCCEEDED, "", NOW, report=False))

    changes: list[Callable[[], Any]] = [
        lambda: read.lines["_1"].extend([*same, replace(line(5, "late"), at=NOW - timedelta(seconds=310))]),
        resumed,
        ended,
        lambda: read.lines["_2"].append(line(0, "last")),
    ]

    def wait(seconds: float) -> None:
        assert seconds == logs.EVERY
        if changes:
            changes.pop(0)()

    printed(Log(target, begun.entry, read), follow=True, wait=wait)
    texts = [text.split("  ", 1)[1] for text in capsys.readouterr().out.splitlines()]
    assert texts == ["one", "late", "same", "same", "two", "last"]


def test_a_followed_log_is_json_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    """One object each."""
    target = FakeTarget()
    target.put(running(launch("a"), "1").end(Outcome.FAILED, "why", NOW, report=False))
    printed(
        Log(target, launch("a").entry, Lines(_1=[line(2, "one"), line(1, "two")])),
        follow=True,
        as_json=True,
        wait=[].append,
    )
    assert [json.loads(text)["text"] for text in capsys.readouterr().out.splitlines()] == ["one", "two"]
