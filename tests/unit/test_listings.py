"""`ls` and `top` on a fleet in memory: nothing is lost at any width, in a pipe, in JSON, and while it is watched."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest
from rich.cells import cell_len

from deploy.operate.fleet import fields, rows
from deploy.operate.fleet.fleet import Fleet, state_of
from deploy.operate.fleet.wanted import Since, Wanted
from deploy.operate.fleet.watching import Output
from deploy.operate.ls import Listing
from deploy.operate.plain import plain, plain_lines
from deploy.operate.show import Story
from deploy.operate.terminal import Terminal, show_any_text
from deploy.operate.top import Top
from shared.core.errors import Denied, Retry
from shared.core.intake import from_request
from shared.core.launch import Backoff, Launch, Outcome, State, Wish
from shared.core.message import Queue, Request
from shared.core.pause import Pause
from shared.core.ports import AgentNote
from shared.core.shortage import Shortage
from tests.fakes.fleet import NOW, PARENT, FakeTarget, changed, launch, running, submitted

HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202egnp.exe\u2066 two\nlines\r\x00 \u0085 e\u0301\u0301\u0301\u0301 日本語"
LACK = "Resources are insufficient in region: us-central1. Please try a different region."


def waiting(begun: Launch) -> Launch:
    """Return it without capacity."""
    return submitted(begun).wait_for_capacity(NOW, Shortage.STOCKOUT, LACK, Backoff())


STATES: dict[str, Launch] = {
    "queued": launch("queued"),
    "waiting": waiting(launch("waiting")),
    "building": changed(launch("building"), build=f"{PARENT}/builds/1"),
    "submitting": launch("submitting").move(State.SUBMITTING, attempt=1, parent=PARENT),
    "pending": submitted(launch("pending")),
    "running": running(launch("running")),
    "stopping": changed(running(launch("stopping")), cancel_reason="the run was stopped in W&B"),
    "cancelling": changed(launch("cancelling"), wish=Wish("cancel", "bob@example.com", NOW)),
    "succeeded": running(launch("succeeded")).end(Outcome.SUCCEEDED, "", NOW, report=False),
    "failed": running(launch("failed")).end(Outcome.FAILED, "exit code 1", NOW),
    "cancelled": running(launch("cancelled")).end(Outcome.CANCELLED, "stopped", NOW, report=False),
    "rejected": launch("rejected").end(Outcome.REJECTED, "docker: is missing.", NOW),
}
UNREADABLE = "kz" + "z" * 25


def fleet(*launches: Launch) -> FakeTarget:
    """Return a fleet of these launches; of one in each state, and an unreadable record, if there are none."""
    target = FakeTarget()
    target.put(*(launches or STATES.values()))
    if not launches:
        target.memory.unreadable[UNREADABLE] = "needs version 9 of the records; this is 2"
    return target


def words(lines: list[str]) -> str:
    """Return the text of lines without their breaks and colours."""
    return "".join(re.sub(r"\x1b\[\d+m", "", "".join(lines)).split())


def piped(listing: Listing | Top) -> list[str]:
    """Return what a pipe gets."""
    table = listing.table()
    return [table.head, *(row.text for row in table.rows.values())]


def test_each_state_has_a_word() -> None:
    """And a place in the order of states, for `--state` and colours."""
    assert {name: state_of(one.entry, NOW) for name, one in STATES.items()} == {name: name for name in STATES}
    assert {*rows.STATES} == {*STATES, rows.UNREADABLE}


def test_open_launches_are_listed_with_unreadable_records() -> None:
    """Ended ones that are still open too: W&B does not know their end yet."""
    listing = Listing.read(fleet(), Wanted())
    assert {each.item_id for each in listing.entries} == STATES.keys() - {"succeeded", "cancelled"}
    assert listing.unreadable == {UNREADABLE: "needs version 9 of the records; this is 2"}
    assert "not yet reported to W&B" in "\n".join(piped(listing))


WANTED: dict[str, tuple[Wanted, set[str]]] = {
    "state": (Wanted(states=("running", "pending")), {"running", "pending"}),
    "a state of closed launches": (Wanted(states=("succeeded",)), {"succeeded"}),
    "queue": (Wanted(queues=("vertex",), states=("queued",)), {"queued"}),
    "queue with its entity": (Wanted(queues=("team/vertex",), states=("queued",)), {"queued"}),
    "another queue": (Wanted(queues=("others/vertex", "other")), set()),
    "author": (Wanted(authors=("Anna",), states=("queued",)), {"queued"}),
    "another author": (Wanted(authors=("bob",)), set()),
    "since": (Wanted(since=timedelta(hours=1)), set(STATES)),
    "since a time": (Wanted(since=NOW + timedelta(seconds=1)), STATES.keys() - {"succeeded", "cancelled"}),
    "unreadable": (Wanted(states=("unreadable",)), set()),
}


@pytest.mark.parametrize(("wanted", "items"), WANTED.values(), ids=WANTED)
def test_filters(wanted: Wanted, items: set[str]) -> None:
    """Each of them, and how many open launches they leave out."""
    listing = Listing.read(fleet(), wanted)
    assert {each.item_id for each in listing.entries} == items
    shown = len([item for item in items if item not in ("succeeded", "cancelled")]) + len(listing.unreadable)
    assert listing.left_out == 11 - shown


def test_records_of_unknown_queue_are_listed_unless_others_are_named() -> None:
    """Nobody knows the queue, the author or the state of an unreadable record."""
    assert [bool(Listing.read(fleet(), wanted).unreadable) for wanted, _ in WANTED.values()] == [
        *[False] * 7, True, True, True,
    ]  # fmt: skip


def test_an_author_with_a_long_name_is_found() -> None:
    """The index has the name shortened."""
    name = "ä" * 200
    assert Listing.read(fleet(launch("a", author=name)), Wanted(authors=(name,))).entries


@pytest.mark.parametrize("text", ["90s", "30m", "12h", "7d", "2w"])
def test_a_duration(text: str) -> None:
    """A number and a unit."""
    seconds = {"90s": 90, "30m": 1800, "12h": 43_200, "7d": 604_800, "2w": 1_209_600}
    assert Since().convert(text, None, None) == timedelta(seconds=seconds[text])


@pytest.mark.parametrize("text", ["2026-11-26T02:00", "2026-11-26T03:00+01:00", "2026-11-26T02:00:00Z"])
def test_a_time(text: str) -> None:
    """UTC unless it says otherwise."""
    assert Since().convert(text, None, None) == datetime(2026, 11, 26, 2, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "1", "-1h", "1.5h", "99999999999d", "9999999999999999", "\x1b[2J"])
def test_no_time(text: str) -> None:
    """The refusal shows the forms."""
    with pytest.raises(click.BadParameter, match="write 30m") as error:
        Since().convert(text, None, None)
    assert "\x1b" not in error.value.message


@pytest.mark.parametrize("width", [40, 60, 80, 132])
def test_nothing_is_lost_at_any_width(width: int) -> None:
    """Each cell of the pipe's line stands on the screen, in lines that fit."""
    long = Queue(entity="team", name="q" * 90)
    one = launch("one", queue=long, name="名" * 40, author="a" * 60)
    target = fleet(waiting(one), launch("two", name=HOSTILE), running(launch("three")))
    listing = Listing.read(target, Wanted())
    screen = listing.screen(Terminal(live=True, width=width))
    assert max(map(cell_len, screen)) <= width
    shown = words(screen)
    for cell in ("q" * 90, "名" * 40, "a" * 60, LACK, "next try in 15s", "holds its queue", "1×a2-highgpu-1g", "SPOT"):
        assert words([cell]) in shown
    assert [each.key[:8] in shown for each in listing.entries] == [True] * 3
    assert shown.endswith(words(["3 launches: 1 queued, 1 waiting, 1 running."]))


def test_a_terminal_shows_two_lines_for_a_launch() -> None:
    """A reason is below them; a line that is too long goes on below its beginning."""
    screen = Listing.read(fleet(running(launch("a")), waiting(launch("b"))), Wanted()).screen(Terminal(live=True))
    key = launch("a").key[:8]
    place = screen.index(f"{key}  running      5m00s    vertex  anna")
    assert screen[place + 1] == "          job a · 1×a2-highgpu-1g (1×NVIDIA_TESLA_A100) SPOT · us-central1"
    assert len(screen) == 1 + 2 + 5 + 1
    assert all(line.startswith(" " * 10) for line in screen[place + 4 : -1])


def test_a_pipe_gets_one_line_for_a_launch() -> None:
    """With the whole key first, aligned with its head; a missing value is a dash."""
    lines = piped(Listing.read(fleet(), Wanted(since=timedelta(1))))
    assert len(lines) == 1 + len(STATES) + 1
    assert " ".join(lines[0].split()) == "LAUNCH STATE FOR QUEUE AUTHOR NAME MACHINE REGION PROGRESS REASON"
    assert {line.split()[0] for line in lines[1:]} == {*(one.key for one in STATES.values()), UNREADABLE}
    assert all(line[lines[0].index("STATE") - 2 :].startswith("  ") for line in lines[1:])
    assert all("\x1b" not in line and line.isprintable() for line in lines)


def test_a_request_without_a_queue_shows_its_source() -> None:
    """In brackets; it is in no queue."""
    request = Request(source="airflow", idempotency_key="1", run_spec={"entity": "team", "project": "p"})
    [line] = piped(Listing.read(fleet(from_request(request, NOW)), Wanted()))[1:]
    assert "(airflow)" in line


@pytest.mark.parametrize("colours", [False, True])
def test_hostile_texts_are_plain(colours: bool) -> None:
    """No escape sequence of theirs, no line break, no character that reorders a line; JSON stays valid."""
    queue = Queue(entity="team", name=HOSTILE)
    evil = waiting(launch("a", queue=queue, name=HOSTILE, author=HOSTILE)).because(HOSTILE)
    target = fleet(replace(evil, entry=replace(evil.entry, machine=HOSTILE, wish=Wish("cancel", HOSTILE, NOW))))
    target.memory.unreadable["k" * 27] = HOSTILE
    listing = Listing.read(target, Wanted())
    top = Top(target, Fleet.read(target), AgentNote("", queues=(HOSTILE,), why_not=HOSTILE))
    for view in (listing, top):
        ours = re.sub(r"\x1b\[\d+m", "", "".join(view.screen(Terminal(live=True, colours=colours))))
        assert ours.isprintable()
        assert all(line.isprintable() for line in piped(view))
        assert json.loads(json.dumps(view.document()))


def test_one_function_makes_texts_plain() -> None:
    """What a terminal would obey becomes a dot; letters stay as they are, with two marks at most."""
    assert plain(HOSTILE) == "·[31mred·]0;title· ·gnp.exe· two lines · e\u0301\u0301 日本語"
    assert plain("token=glpat-abcdefghij0123456789") == "token=[redacted]"
    assert plain_lines("  a\tb\n\x1b[2Jc\r\n") == ["  a     b", "·[2Jc"]


def test_the_document_of_a_launch() -> None:
    """Times in ISO 8601 and UTC, null for what is not known."""
    document = Listing.read(fleet(waiting(launch("a"))), Wanted()).document()
    assert document["now"] == "2026-11-26T03:00:00.000Z"
    [found] = document["launches"]
    wanted = {
        "state": "waiting", "state_seconds": 600, "queue": "vertex", "lacks": "STOCKOUT", "holds_queue": True,
        "next_try_at": "2026-11-26T03:00:15.000Z", "opened_at": "2026-11-26T02:50:00.000Z", "job": None,
        "tries": 1, "machine": "1×a2-highgpu-1g (1×NVIDIA_TESLA_A100) SPOT", "region": "us-central1", "wish": None,
    }  # fmt: skip
    assert found.items() >= wanted.items()


def test_each_field_of_json_is_described() -> None:
    """In this order; a wish has a person and a time."""
    target = fleet(STATES["cancelling"])
    [found] = Listing.read(target, Wanted()).document()["launches"]
    assert [*found] == [*fields.OF_A_LAUNCH]
    assert found["wish"] == {"kind": "cancel", "by": "bob@example.com", "at": "2026-11-26T03:00:00.000Z"}
    story = Story(target, STATES["cancelling"], NOW).document()
    assert [*story] == [*fields.OF_A_LAUNCH, *fields.OF_A_STORY]


def test_short_keys_are_unique() -> None:
    """As long as they have to be, and eight characters at least."""
    keys = ["k" + "a" * 26, "k" + "a" * 10 + "b" * 16, "kb" + "a" * 25]
    assert rows.short_keys(keys) == {keys[0]: "k" + "a" * 11, keys[1]: "k" + "a" * 10 + "b", keys[2]: "kbaaaaaa"}
    assert rows.short_keys([]) == {}


def test_the_fleet_at_a_glance() -> None:
    """States by queue, the oldest, slots, the held queue and the running machines."""
    sweep = changed(launch("sweep"), scheduler=True)
    target = fleet(*STATES.values(), sweep, running(launch("b")))
    target.memory.unreadable[UNREADABLE] = "damaged"
    note = AgentNote(
        "",
        entity="team",
        queues=("vertex", "idle"),
        polled_at=NOW - timedelta(seconds=7),
        limits={"max_jobs": 8, "max_queued": -1},
        paused=(Pause("idle", "bob@example.com", NOW),),
    )
    top = Top(target, Fleet.read(target), note)
    document = top.document()
    vertex, idle = document["queues"]
    assert (vertex["queue"], vertex["open"], idle["open"]) == ("vertex", 12, 0)
    assert {name: vertex["states"][name] for name in ("running", "waiting", "failed")} == {
        "running": 2, "waiting": 1, "failed": 1,
    }  # fmt: skip
    assert vertex["held_by"] == [launch("waiting").key]
    assert document["slots"]["max_jobs"] == {"used": 10, "limit": 8}, "without the scheduler, with the unreadable one"
    assert document["slots"]["max_schedulers"]["used"] == 2
    assert document["machines"] == {"1×a2-highgpu-1g (1×NVIDIA_TESLA_A100) SPOT": 2}
    screen = top.screen(Terminal(live=True))
    shown = " ".join(" ".join(screen).split())
    assert "polls; last call 7s ago" in shown
    assert f"held by 1 launch, the first is {launch('waiting').key[:8]} (job waiting): STOCKOUT: {LACK}" in shown
    assert "SPOT: 2 launches" in shown
    assert "max_jobs 10 of 8; max_queued 6, no limit; max_schedulers 2 (limit unknown)" in shown
    paused = "paused by bob@example.com since 2026-11-26 03:00 UTC"
    assert f"idle {paused} no open launch" in shown
    assert (idle["paused"], vertex["paused"]) == (paused, None)
    assert f"the record {UNREADABLE} cannot be read: damaged" in shown
    assert max(map(cell_len, screen)) <= 80
    assert len(piped(top)) == 3


def test_an_empty_fleet() -> None:
    """Before the first call of poll, too."""
    target = FakeTarget()
    listing, top = Listing.read(target, Wanted()), Top(target, Fleet.read(target), AgentNote(""))
    assert listing.screen(Terminal(live=True)) == ["No launches."]
    assert len(piped(listing)) == len(piped(top)) == 1
    assert "agent     poll has made no call yet" in top.screen(Terminal(live=True))
    stopped = Top(target, Fleet.read(target), AgentNote("", stopped=True))
    assert "agent     stopped; `vertex-launch agent start`" in " ".join(stopped.screen(Terminal(live=True)))


class Watched:
    """A look of a test: it changes the fleet between two refreshes, and ends by Ctrl-C."""

    def __init__(self, target: FakeTarget, *changes: Callable[[], Any]) -> None:
        self.target, self.changes, self.waits = target, list(changes), 0

    def wait(self, seconds: float) -> None:
        """Make the next change instead of a wait."""
        assert seconds == 5
        self.waits += 1
        if not self.changes:
            raise KeyboardInterrupt
        self.changes.pop(0)()

    def show(self, **how: bool) -> None:
        """Watch."""
        output = Output(watch=True, wait=self.wait, **how)
        output.show(lambda: Listing.read(self.target, Wanted()))


def test_a_pipe_gets_changes_only(capsys: pytest.CaptureFixture[str]) -> None:
    """A new state, a new launch, and the end of one; a refresh without news prints nothing."""
    target = fleet(launch("a"), launch("b"))
    first, second = target.memory.read(launch("a").key), target.memory.read(launch("b").key)
    assert first is not None
    assert second is not None
    later = timedelta(minutes=1)
    Watched(
        target,
        lambda: setattr(target.memory, "clock", lambda: NOW + later),
        lambda: target.put(running(first)),
        lambda: target.put(launch("c")),
        lambda: target.memory.close(second.end(Outcome.FAILED, "exit code 1", NOW)),
    ).show()
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("LAUNCH")
    seen = [(line.split()[0], line.split()[1]) for line in lines]
    a, b, c = (launch(item).key for item in "abc")
    assert sorted(seen[:2]) == sorted([(a, "queued"), (b, "queued")])
    assert seen[2:] == [(a, "running"), (c, "queued"), (b, "closed:")]
    assert lines[-1] == f"{b}  closed: failed  exit code 1"


def test_json_gets_one_document_for_each_refresh(capsys: pytest.CaptureFixture[str]) -> None:
    """One a line."""
    target = fleet(launch("a"))
    Watched(target, lambda: target.put(launch("b"))).show(as_json=True)
    assert [len(json.loads(line)["launches"]) for line in capsys.readouterr().out.splitlines()] == [1, 2]


def test_a_terminal_is_redrawn(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only as many lines as it has: more would scroll the first ones away."""
    monkeypatch.setattr(Terminal, "here", lambda: Terminal(live=True, height=10))
    monkeypatch.setattr(click, "clear", lambda: click.echo("CLEAR"))
    Watched(fleet(*(running(launch(f"i{number}")) for number in range(9))), lambda: None).show()
    _, *screens = capsys.readouterr().out.split("CLEAR\n")
    assert [len(screen.splitlines()) for screen in screens] == [9, 9]
    assert "12 more lines" in screens[0]


def test_a_refresh_that_fails_is_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    """A missing permission is not, and neither is a first look that fails."""
    target = fleet(launch("a"))
    listing = target.memory.list_open

    def failing(error: Exception) -> Callable[[], Any]:
        def fail() -> Any:
            raise error

        return fail

    def use(call: Callable[[], Any]) -> Callable[[], None]:
        return lambda: setattr(target.memory, "list_open", call)

    watched = Watched(target, use(failing(Retry("503"))), use(listing), use(failing(Denied("no"))))
    with pytest.raises(Denied):
        watched.show()
    assert "Not refreshed: 503" in capsys.readouterr().err
    target.memory.list_open = failing(Retry("503"))  # type: ignore[method-assign]
    with pytest.raises(Retry):
        Watched(target).show()


@pytest.mark.parametrize(
    ("variables", "live", "colours"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({}, False, False),
    ],
)
def test_colours_are_for_terminals(
    variables: dict[str, str], live: bool, colours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Https://no-color.org: any value but an empty one switches them off."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: live)
    terminal = Terminal.here()
    assert (terminal.live, terminal.colours) == (live, colours)
    assert terminal.paint("x", "red") == ("\x1b[31mx\x1b[0m" if colours else "x")


def test_a_terminal_of_another_encoding_shows_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of an error of Python's."""
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, "iso-8859-1"))
    show_any_text()
    click.echo("1×日本 · x")
    assert written.getvalue() == b"1\xd7\\u65e5\\u672c \xb7 x\n"
