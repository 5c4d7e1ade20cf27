"""The board in memory: what it shows of each launch, who may open it, and what hostile texts become."""

import html
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.operate.board import alerts, command, listings
from deploy.operate.board.app import HEADERS, create_app
from deploy.operate.board.history import BINS, history, window_for
from deploy.operate.board.listings import Listings
from deploy.operate.board.page import Pages
from deploy.operate.board.rows import rows_of
from deploy.operate.board.spans import Span, bar_of, spans_of
from deploy.operate.board.text import lines, ordinal, relative
from deploy.operate.board.view import Choice, board_of
from deploy.operate.fleet.fleet import Fleet
from shared.core.errors import Denied, Retry, UnreadableRecord
from shared.core.launch import Entry, EventType, Outcome, RunPath, State, Wish
from shared.core.pause import Pause
from shared.core.ports import AgentNote
from shared.core.shortage import Shortage
from tests.unit import boards
from tests.unit.boards import NOW, Answers, Client, ended, entry, note, running, target_of

REFUSED = "gs://my-project-launch-ledger: list open/: permission denied"
ROLE = f"{REFUSED}. The function's account needs the role Storage Object User on this bucket"
TAGS = (
    "a abbr bdi body button caption code dd defs desc details div dl dt footer form h1 h2 head header html input label "
    "li link main meta nav p path pattern rect script section span strong style summary svg table tbody td th thead "
    "time title tr ul"
)
LIMITS = {"max_jobs": 8, "max_schedulers": 1, "max_queued": 5}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def client(answers: Answers, *, local: bool = False) -> Client:
    """Return a browser without JavaScript."""
    return Client(create_app(target_of(answers, local=local)))


def words(page: str) -> str:
    """Return what a person reads: the text without tags, each run of spaces as one."""
    body = re.sub(r"(?s)<(style|svg|title)\b.*?</\1>", " ", page)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


# what it shows


@pytest.mark.parametrize(
    ("one", "shown"),
    [
        (entry(1), ["queued", "1st of 1", "3m"]),
        (entry(1, short_of=Shortage.STOCKOUT, reason=boards.STOCKOUT), ["waiting", boards.STOCKOUT]),
        (entry(1, retry_at=NOW + timedelta(seconds=95), reason="W&B does not answer"), ["next try in 1m35s", "W&B"]),
        (entry(1, build="projects/p/locations/l/builds/1"), ["building"]),
        (entry(1, State.SUBMITTING, attempt=1), ["submitting"]),
        (entry(1, wish=Wish("cancel", "ada@example.com", NOW)), ["cancelling"]),
        (running(1), ["running 1m00s", "us-central1", "job …00001", "1m00s + 1m00s", "1×a2-highgpu-1g SPOT", "ada"]),
        (running(1, started_at=None, reason="PENDING for 3 minutes"), ["pending", "PENDING for 3 minutes"]),
        (running(1, cancel_reason="stopped in W&B"), ["stopping"]),
        (ended(1), ["succeeded", "20s ago", "ran 40s"]),
        (ended(1, Outcome.FAILED, reason="exit status 1"), ["failed", "exit status 1"]),
        (ended(1, Outcome.REJECTED, reason="image: is missing", started_at=None), ["rejected", "never ran"]),
        (ended(1, Outcome.CANCELLED, reason="stopped"), ["cancelled", "stopped"]),
    ],
    ids=lambda value: f"{value.state}" if hasattr(value, "state") else None,
)
def test_a_launch_is_shown_with_its_state_and_reason(one: Entry, shown: list[str]) -> None:
    """Without a click, for each state that a launch can be in."""
    still, over = ([], [one]) if one.state is State.ENDED else ([one], [])
    text = words(client(Answers(still, over, note=note())).get("/").text)
    assert [part for part in ["train-1", one.key, *shown] if part not in text] == []


def test_a_launch_that_is_closing_is_shown_as_ended() -> None:
    """ENDED in the open folder, until W&B knows its end."""
    text = words(client(Answers([ended(1)], note=note())).get("/").text)
    assert "Ended 1" in text
    assert "Waiting for a job 0" in text


def test_queues_show_who_holds_them_and_the_room() -> None:
    """A held or paused queue has none; a queue that W&B lacks, and requests, have a row too."""
    holder = entry(1, short_of=Shortage.AMOUNT, attempt=1, name="the holder")
    request = entry(3, item_id="", queue_name="", queue_entity="", source="nightly")
    pause = Pause("quiet", "ana@example.com", NOW)
    known = note(queues=("vertex", "other", "gone", "quiet"), missing=("gone",), paused=(pause,), limits=LIMITS)
    text = words(client(Answers([holder, running(2), request], note=known)).get("/").text)
    assert "2 of 8 max_jobs ; 1 of 5 max_queued ; poll looked 40s ago" in text
    assert "vertex 1 1 0 ◌ held by the holder" in text
    assert "other 0 0 4 ● open" in text
    assert "gone 0 0 4 ✕ not in W&B" in text
    assert "quiet 0 0 0 ‖ paused by ana@example.com" in text
    assert "(nightly) 1 0 \u2013 not polled" in text


def test_a_limit_that_is_not_known_is_not_invented() -> None:
    """A note of an older poll has none; -1 is no limit."""
    for limits in ({}, {"max_jobs": -1, "max_queued": -1, "max_schedulers": -1}):
        text = words(client(Answers([running(2)], note=note(limits=limits))).get("/").text)
        assert f"1 (no limit{'' if limits else ' known'}) max_jobs" in text
        assert "vertex 0 1 \u2013 ● open" in text


def test_a_launch_without_a_name_has_one_on_the_page() -> None:
    """Its link needs a text: the run, else the key."""
    some = [running(1, name=""), running(2, name=" \u2003"), running(3, name="", run=RunPath("", "", ""))]
    assert [row.name for row in rows_of(some, NOW, {})] == ["run1", "run2", running(3).key]


def test_a_position_counts_the_launches_of_its_queue() -> None:
    """The oldest is the first."""
    old = entry(1, opened_at=NOW - timedelta(hours=1))
    made = Fleet(NOW, [entry(2), old, entry(3, queue_name="other")])
    rows = board_of(target_of(Answers()), made, note(), Choice()).waiting.rows
    assert [(row.entry.key, row.position) for row in rows] == [
        (old.key, "1st of 2"),
        (entry(2).key, "2nd of 2"),
        (entry(3).key, "1st of 1"),
    ]


@pytest.mark.parametrize(
    ("changes", "level", "text"),
    [
        ({"note": note(stopped=True)}, "bad", "The agent is stopped"),
        ({"note": None}, "bad", "poll has never run"),
        ({"note": note(polled_at=NOW - timedelta(minutes=6))}, "bad", "poll has not run for 6m00s"),
        ({"note": note(why_not="W&B refuses the key")}, "bad", "W&B refuses the key"),
        (
            {"note": note(paused=(Pause("", "ana@example.com", NOW),))},
            "warn",
            "All queues are paused by ana@example.com",
        ),
        ({"note": note(missing=("gone",))}, "bad", "no queue named gone"),
        ({"unreadable": {"kx": "state: is missing"}}, "bad", "The record of kx cannot be read: state: is missing"),
        ({"open": [entry(1, opened_at=NOW - timedelta(minutes=11))]}, "bad", "no job after more than 10m00s"),
        ({"open": [entry(1, short_of=Shortage.STOCKOUT)]}, "warn", "Queue vertex is held"),
        ({"closed": [ended(1, Outcome.FAILED)]}, "warn", "1 launch failed or was rejected in the last hour"),
    ],
)
def test_each_cause_is_named(changes: dict[str, Any], level: str, text: str) -> None:
    """With a command that tells more; a page without a cause says that all is well."""
    answers = Answers(**{"note": note(), **changes})
    found = alerts.alerts_of(Fleet.read(target_of(answers), closed=True), answers.note or AgentNote(""))
    [alert] = [one for one in found if text in one.text]
    assert alert.level == level
    page = words(client(answers).get("/").text)
    assert text in page
    assert " ".join(["vertex-launch", *alert.command, "--project=my-project"]) in page
    assert ("All is well" in page) == (level == "warn")


def test_a_launch_that_waits_for_something_known_is_not_late() -> None:
    """Capacity and builds take as long as they take."""
    old: dict[str, Any] = {"opened_at": NOW - timedelta(hours=5)}
    known = [entry(1, short_of=Shortage.RATE, **old), entry(2, build="b", **old), entry(3, queue_name="quiet", **old)]
    paused = note(paused=(Pause("quiet", "ana@example.com", NOW),))
    assert [alert.level for alert in alerts.alerts_of(Fleet(NOW, known), paused)] == ["warn"]


def test_a_command_can_be_copied() -> None:
    """It names the deployment, and no name in it is read by the shell; `make up` needs no option."""
    odd = Answers(note=note(paused=(Pause("a; reboot", "ana@example.com", NOW),)))
    target = replace(target_of(odd), name="second")
    target.__dict__.update(target_of(odd).__dict__ | {"name": "second"})
    assert "vertex-launch resume '--queue=a; reboot' --project=my-project --region=us-central1 --name=second" in words(
        Client(create_app(target)).get("/").text
    )
    assert "vertex-launch resume '--queue=a; reboot' Open now" in words(client(odd, local=True).get("/").text)


def test_a_search_finds_names_states_and_ids() -> None:
    """All words must match, in any order; an id of any kind finds its launch."""
    answers = Answers([entry(1, name="Big Model"), running(2, author="grace")], [ended(3)], note=note())
    browser = client(answers)
    for text, keys in (
        ("model BIG", [1]),
        ("running grace", [2]),
        ("succeeded", [3]),
        (running(2).job_name, [2]),
        ("item3", [3]),
        ("nothing like it", []),
        ("", [1, 2, 3]),
    ):
        page = browser.get("/", q=text).text
        assert [number for number in (1, 2, 3) if f'id="l-{entry(number).key}"' in page] == keys, text


@given(st.text(max_size=80))
@settings(max_examples=60)
def test_any_search_has_a_page(text: str) -> None:
    """Whatever somebody types or links to."""
    assert client(Answers([running(1)], [ended(2)], note=note())).get("/", q=text, window=text, rows=text).status == 200


def test_tables_are_short_until_more_is_asked_for() -> None:
    """The page says how many are missing; a wrong number is the default."""
    answers = Answers([entry(number) for number in range(150)], note=note())
    browser = client(answers)
    assert browser.get("/").text.count('scope="row" class="name"') == 100
    assert "50 more. Show up to 1000 rows" in words(browser.get("/").text)
    assert browser.get("/?rows=1000").text.count('scope="row" class="name"') == 150
    for odd in ("-1", "x", "9" * 30, "0", "", "\uff11"):
        assert browser.get("/", rows=odd, window=odd).status == 200


# time


def test_relative_times() -> None:
    """Past, future and now."""
    assert relative(NOW - timedelta(seconds=61), NOW) == "1m01s ago"
    assert relative(NOW + timedelta(seconds=61), NOW) == "in 1m01s"
    assert relative(NOW, NOW) == "now"
    assert [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == (
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th"]
    )


def test_every_relative_time_has_the_exact_one() -> None:
    """In `datetime`, for machines, and on hover."""
    page = client(Answers([running(1)], note=note())).get("/").text
    assert 'datetime="2026-01-01T11:59:00Z" title="since 2026-01-01 11:59:00 UTC"' in page


def test_phases_follow_one_another_with_any_clocks() -> None:
    """Times that differ between machines never make a phase negative."""
    odd = running(1, submitted_at=NOW - timedelta(hours=1), started_at=NOW - timedelta(hours=2))
    for one in (odd, ended(2, ended_at=NOW - timedelta(days=1)), running(3, opened_at=NOW + timedelta(days=1))):
        spans = spans_of(one, NOW)
        assert all(span.length >= timedelta(0) for span in spans)
        assert all(left.end == right.start for left, right in pairwise(spans))


def test_a_bar_has_the_phases_before_the_start() -> None:
    """Side by side, in words too; what runs for hours would hide them."""
    lengths = [("queued", timedelta(seconds=5)), ("capacity", timedelta(seconds=15)), ("running", timedelta(days=1))]
    bar = bar_of(lengths, timedelta(seconds=40))
    assert [(part.phase, part.x, part.width) for part in bar.parts] == [("queued", 0, 12.5), ("capacity", 12.5, 37.5)]
    assert (bar.words, bar.cut) == ("queued 5s, capacity 15s", False)


def test_one_long_wait_does_not_hide_the_others() -> None:
    """Its bar is cut and says so; each phase is wide enough to see."""
    some = [running(number) for number in range(9)]
    long = running(9, opened_at=NOW - timedelta(days=9))
    rows = rows_of([*some, long], NOW, {})
    assert [row.bar.cut for row in rows] == [False] * 9 + [True]
    assert all(part.width >= 1 for row in rows for part in row.bar.parts)
    assert all(sum(part.width for part in row.bar.parts) <= 100 for row in rows)
    assert rows[0].bar.words == "queued 1m00s, pending 1m00s"


def test_the_chart_counts_launch_time() -> None:
    """The area of a band is the time that launches spent in its phase, whatever the width of a bin."""
    start = NOW - timedelta(hours=1)
    spans = [
        Span("queued", start - timedelta(hours=9), start + timedelta(seconds=45)),
        Span("running", start + timedelta(seconds=45), NOW),
        Span("queued", start + timedelta(minutes=10), start + timedelta(minutes=10, seconds=7)),
    ]
    made = history(spans, NOW, "1h")
    seconds = {band.phase: sum(band.values) * 3600 / BINS for band in made.bands}
    assert seconds == pytest.approx({"queued": 45 + 7, "running": 3600 - 45, "pending": 0})
    assert made.top == 2
    assert [band.path == "" for band in made.bands] == [False, True, False]


def test_the_chart_begins_where_the_launches_do() -> None:
    """A stack of a minute fills its width; a reader may ask for another window."""
    assert window_for(NOW - timedelta(seconds=50), NOW) == "2m"
    assert window_for(NOW - timedelta(minutes=50), NOW) == "1h"
    assert window_for(NOW - timedelta(days=5), NOW) == window_for(None, NOW) == "6h"
    assert window_for(None, NOW, "7d") == "7d"
    assert window_for(None, NOW, "<script>") == "6h"


# one launch


def test_the_page_of_a_launch_reads_its_record() -> None:
    """Each step with the time since the one before, phases, links, and the launch that repeats it."""
    one = running(1, retries=entry(5).key, short_of=None)
    again = entry(6, retries=one.key)
    events = [
        (EventType.QUEUED, 0, "", ""),
        (EventType.WAITING, 30, "AMOUNT", "no quota"),
        (EventType.RUNNING, 90, "", ""),
    ]
    answers = Answers([one, again], records={one.key: boards.record(one, events)}, note=note())
    page = client(answers).get(f"/launches/{one.key}").text
    text = words(page)
    for part in ("waiting attempt 1 AMOUNT no quota", "30s", "quota 1m00s", "start: 1m30s", "team / vertex", "item1"):
        assert part in text
    assert 'href="https://wandb.ai/team/cats/runs/run1"' in page
    assert 'href="https://console.cloud.google.com/' in page
    assert f'href="/launches/{entry(5).key}"' in page
    assert f'href="/launches/{again.key}"' in page


@pytest.mark.parametrize("problem", [UnreadableRecord("open/k: state: is missing"), Denied(ROLE)])
def test_an_unreadable_record_shows_its_index(problem: Exception) -> None:
    """And why nothing else is there."""
    answers = Answers([entry(1)], note=note())
    browser = client(answers)
    browser.get("/")  # the listing is kept
    answers.problem = problem
    text = words(browser.get(f"/launches/{entry(1).key}").text)
    assert "train-1" in text
    assert str(problem) in text


def test_an_unknown_key_says_where_it_was_searched() -> None:
    """With the status that browsers and scripts know."""
    answer = client(Answers(note=note())).get("/launches/<b>none")
    assert answer.status == 404
    assert "gs://my-project-launch-ledger" in words(answer.text)
    assert "<b>none" not in answer.text


def test_links_lead_only_to_web_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged note or record makes no link; names in an address are encoded."""
    odd = running(1, run=RunPath("a/b", '"><b>', "r?x#y"), job_name="javascript:alert(1)")
    for base_url, found in (("javascript:alert(1)", False), ("https://api.wandb.example", True)):
        page = client(Answers([odd], note=note(base_url=base_url))).get(f"/launches/{odd.key}").text
        assert 'href="javascript' not in page
        assert ('href="https://wandb.example/a%2Fb/%22%3E%3Cb%3E/runs/r%3Fx%23y"' in page) == found
    monkeypatch.setenv("VERTEX_ENDPOINT", "http://127.0.0.1:7003")
    page = client(Answers([running(1)], note=note()), local=True).get("/").text
    assert 'href="http://127.0.0.1:7003/standin/jobs/1' in page


# the ledger


def test_ten_tabs_cost_one_listing() -> None:
    """Within the seconds for which a listing is kept; then one more."""
    answers, clock = Answers([entry(1)], note=note()), [0.0]
    shared = Listings(target_of(answers), lambda: clock[0])
    for _ in range(10):
        shared.look()
    assert answers.listings == 1
    clock[0] += listings.LEAST_SECONDS
    shared.look()
    assert answers.listings == 2


def test_a_slow_listing_is_kept_for_longer() -> None:
    """It has many pages, and each costs."""
    answers, clock = Answers(note=note()), [0.0]

    def slow() -> float:
        clock[0] += 1.5
        return clock[0]

    shared = Listings(target_of(answers), slow)
    shared.look()
    assert shared.seconds == listings.SHARE * 1.5


@pytest.mark.parametrize("problem", [Denied(ROLE), Retry("gs://b: no answer"), RuntimeError("odd")])
def test_an_unreadable_ledger_is_named_and_the_board_lives(problem: Exception) -> None:
    """The page names the role and its command; the last launches stay until the next listing succeeds."""
    answers = Answers([entry(1)], note=note(), problem=problem)
    made = create_app(target_of(answers))
    browser = Client(made)
    answer = browser.get("/")
    assert answer.status == browser.get(f"/launches/{entry(1).key}").status == 503
    text = words(answer.text)
    assert (REFUSED if isinstance(problem, Denied) else str(problem)) in text
    assert ("--role=roles/storage.objectViewer" in text) == isinstance(problem, Denied)


def test_what_was_known_stays_when_a_listing_fails() -> None:
    """Numbers of a minute ago help more than an error; the page says that they are old."""
    answers, clock = Answers([entry(1)], note=note()), [0.0]
    target = target_of(answers)
    shared = Listings(target, lambda: clock[0])
    shared.look()
    answers.problem = Denied(ROLE)
    clock[0] += 100
    text = words(Pages(target).board(shared.look(), Choice(), 4))
    assert "The ledger cannot be read now." in text
    assert REFUSED in text
    assert "train-1" in text
    answers.problem = None
    clock[0] += 100
    assert shared.look().problem == ""


def test_secrets_in_errors_and_names_are_removed() -> None:
    """A key in a name would be shown to everybody at the screen."""
    key = "AIza" + "Sy0123456789abcdefghijklmnopqrstuvw"
    answers = Answers([entry(1, name=f"train {key}", author=key, reason=key)], note=note(why_not=f"no {key}"))
    browser = client(answers)
    for path in ("/", f"/launches/{entry(1).key}"):
        assert key not in browser.get(path).text
    assert key not in client(Answers(problem=Retry(f"bad {key}"))).get("/").text


# who may open it


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:7020", "localhost:1", "[::1]:7020", "LOCALHOST:7020"])
def test_loopback_names_are_answered(host: str) -> None:
    """With any port: a tunnel may use another."""
    assert client(Answers(note=note())).get("/", host=host.encode()).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:7020", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1:7020@evil",
     "127.0.0.1:x", "", "2130706433", "0x7f.1", "127.0.0.1,evil.example", "localhost\u212a", "127.0.0.1\n"],
)  # fmt: skip
def test_other_hosts_are_refused(host: str) -> None:
    """A page elsewhere whose name resolves to this machine reads nothing: no launch, no listing."""
    answers = Answers([entry(1)], note=note())
    for path in ("/", "/board.js", f"/launches/{entry(1).key}", "/none"):
        answer = client(answers).get(path, host=host.encode())
        assert answer.status == 421
        assert "train-1" not in answer.text
    assert answers.listings == 0


@pytest.mark.parametrize("path", ["/", "/board.css", "/board.js", "/launches/none", "/none"])
def test_every_answer_has_the_headers(path: str) -> None:
    """Also those for what is not there, and for hosts that are refused."""
    for host in ("127.0.0.1", "evil.example"):
        answer = client(Answers(note=note())).get(path, host=host.encode())
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_an_unforeseen_error_shows_no_detail() -> None:
    """A bug in a page: the answer has the headers and no traceback, and the next page works."""
    answers = Answers([entry(1)], note=note())
    browser = client(answers)
    browser.get("/")
    answers.problem = RuntimeError("s3cret")
    answer = browser.get(f"/launches/{entry(1).key}")
    assert (answer.status, answer.text) == (500, "Internal Server Error")
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    answers.problem = None
    assert browser.get("/").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_it_is_read_only(method: str) -> None:
    """No request changes anything."""
    assert client(Answers(note=note())).get("/", method=method).status == 405


# hostile texts


class Elements(HTMLParser):
    """The elements of a page as a browser reads them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.scripts: list[dict[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one."""
        named = dict(attrs)
        self.tags.add(tag)
        self.attributes |= named.keys()
        self.links += [value for name in ("href", "src", "action") if (value := named.get(name))]
        self.scripts += [named] * (tag == "script")


@pytest.mark.parametrize("text", boards.HOSTILE.values(), ids=boards.HOSTILE)
def test_hostile_texts_are_texts(text: str) -> None:
    """In every field that somebody else writes, on every page: no tag, no attribute, no hidden character."""
    short = text[:200]
    one = running(
        1, name=text, author=text, source=text, machine=text, queue_name=short or "q", reason=text, notice=text,
        item_id=short, run=RunPath(short, short, "r"), wish=Wish("cancel", short, NOW), short_of=Shortage.AMOUNT,
    )  # fmt: skip
    launch = boards.record(one, [(EventType.WAITING, 1, text[:100], text)])
    waiting, over = replace(entry(2), name=text, reason=text), replace(ended(3), name=text, reason=text)
    answers = Answers(
        [one, waiting],
        [over],
        {"k2": text},
        {one.key: replace(launch, idempotency_key=text)},
        note(queues=(short,), missing=(short,), why_not=text),
    )
    browser = client(answers)
    pages = [browser.get(path, q=q).text for path in ("/", f"/launches/{one.key}") for q in ("", text[:90])]
    pages.append(Pages(target_of(answers), alone=True).board(Listings(target_of(answers)).look(), Choice(), 0))
    for page in pages:
        assert not CONTROL.search(page)
        found = Elements(page)
        assert found.tags <= set(TAGS.split())
        assert not {name for name in found.attributes if name.startswith("on") or name == "style"}
        assert found.scripts == [{"src": "/board.js", "defer": None}] * ("board.js" in page)
        assert all(link.startswith(("/", "#", "https://", "data:,", "?")) for link in found.links)


def test_what_hides_or_reorders_is_removed() -> None:
    """As on a terminal; lines stay lines, letters of any script stay."""
    assert lines("a\u202eb\x1b\u2028\U000e0041") == "a·b·\n·"
    for kept in ("\u05e9\u05dc\u05d5\u05dd é 日本 \U0001f469", "one\ntwo"):
        assert lines(kept) == kept
    assert lines("z" + "\u0335" * 60) == "z" + "\u0335" * 2


# the command


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, Answers]]:
    """Give the command, on a ledger that gives these answers."""

    def run(answers: Answers, *options: str) -> tuple[int, str, Answers]:
        ledger = target_of(answers)
        monkeypatch.setattr("deploy.operate.fleet.target.GcsLedger", lambda _: ledger.ledger)
        monkeypatch.setattr("deploy.operate.fleet.target.GcsAgentBook", lambda *_: ledger.book)
        done = CliRunner().invoke(command.board, ["--project=my-project", *options])
        return done.exit_code, done.output, answers

    return run


def test_an_exported_page_is_one_file(shell: Callable[..., tuple[int, str, Answers]], tmp_path: Path) -> None:
    """No script, no link to this machine, its style inside with a policy that admits only that."""
    path = tmp_path / "board.html"
    code, output, _ = shell(boards.fleet(30), f"--export={path}")
    assert (code, output) == (0, f"Written to {path}.\n")
    page = path.read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.search(r'(?:href|src|action)="/', page)
    assert "default-src 'none'; style-src" in html.unescape(page)
    assert page.count('scope="row" class="name"') == 30


@pytest.mark.parametrize(("problem", "code"), [(Denied(ROLE), 1), (Retry("gs://b: no answer"), 4)])
def test_an_export_without_a_ledger_says_why(
    shell: Callable[..., tuple[int, str, Answers]], tmp_path: Path, problem: Exception, code: int
) -> None:
    """No file is written."""
    done, output, _ = shell(Answers(problem=problem), f"--export={tmp_path / 'board.html'}")
    assert done == code
    assert str(problem).partition(". The function")[0] in output
    assert list(tmp_path.iterdir()) == []


def test_an_export_into_a_pipe(shell: Callable[..., tuple[int, str, Answers]]) -> None:
    """`-` is standard output, and nothing else is printed."""
    code, output, _ = shell(boards.fleet(3), "--export=-")
    assert code == 0
    assert output.startswith("<!doctype html>")
    assert output.rstrip().endswith("</html>")


# size and style


@pytest.mark.parametrize(("number", "path"), [(1_000, "/?rows=1000"), (3_300, "/?rows=1000"), (10_000, "/")])
def test_the_page_has_a_bounded_size(number: int, path: str) -> None:
    """Chromium draws it within a second of receiving it: `make bench` measures that, this bounds its work."""
    page = client(boards.fleet(number)).get(path).text
    rows = page.count('scope="row" class="name"')
    tags = len(re.findall(r"<[a-z]", page))
    assert rows <= 3 * 1_000
    assert len(page) <= 60_000 + 1_600 * rows
    assert tags <= 900 + 24 * rows


def luminance(color: str) -> float:
    """Return the relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_have_contrast(theme: int) -> None:
    """Texts 4.5:1, and the fills of bars and bands 3:1, on the page and on its sections (WCAG 2.2, AA)."""
    style = (Path(command.__file__).parent / "static/board.css").read_text(encoding="utf-8")
    block = style.split(":root {")[theme + 1].partition("}")[0]
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", block))
    for name, least in (
        *((name, 4.5) for name in ("ink", "dim", "link", "good", "warn", "bad", "grey")),
        *((f"f-{name}", 3.0) for name in ("queued", "capacity", "quota", "build", "pending", "running")),
    ):
        for ground in ("surface", "page") if least > 4 else ("surface",):
            light, dark = sorted((luminance(colors[name]), luminance(colors[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= least, (name, ground)
