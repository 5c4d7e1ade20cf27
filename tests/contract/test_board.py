"""The board in a real browser, Debian's Chromium: what it draws, asks for, refuses and lets a keyboard reach."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from deploy.local.serving import serving
from deploy.operate.board.app import create_app
from deploy.operate.board.listings import Listings
from deploy.operate.board.page import Pages
from deploy.operate.board.view import Choice
from deploy.operate.fleet.target import Target
from shared.adapters.gcs import GcsLedger
from shared.core.errors import Denied
from shared.core.intake import from_item
from shared.core.launch import EventType, Outcome
from shared.core.message import Queue
from tests.browser import Browser, chromium, needs_chromium
from tests.contract.gcs import fresh_bucket, gcs_server
from tests.unit import boards
from tests.unit.boards import Answers, ended, entry, note, running, target_of

pytestmark = [needs_chromium, pytest.mark.slow]

DESKTOP, PHONE = (1360, 900), (390, 844)
REFRESH = "document.dispatchEvent(new Event('visibilitychange'))"
# resolves once the page shows a text; a minute is for a busy machine
UNTIL = """new Promise((found, never) => {
  const text = %s, seen = () => document.body.textContent.includes(text);
  if (seen()) return found(true);
  const watch = new MutationObserver(() => { if (seen()) { watch.disconnect(); found(true); } });
  watch.observe(document.documentElement, { subtree: true, childList: true, attributes: true, characterData: true });
  setTimeout(() => never(new Error(document.body.textContent)), 60000);
})"""


@dataclass
class Shown:
    """A board, its ledger, and the browser that looks at it."""

    url: str
    answers: Answers
    browser: Browser

    def show(self, answers: Answers) -> None:
        """Let the ledger hold other launches."""
        self.answers.__dict__.update(answers.__dict__)

    def until(self, text: str) -> None:
        """Wait until the page shows a text."""
        assert self.browser.run(UNTIL % json.dumps(text))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Serve one board whose every page lists the ledger anew: its clock stands still, so no listing takes time."""
    answers = Answers()
    target = target_of(answers)
    folder = tmp_path_factory.mktemp("chromium")
    with (
        serving(create_app(target, Listings(target, lambda: 0.0, least_seconds=0))) as url,
        chromium(folder) as browser,
    ):
        yield Shown(url, answers, browser)


@pytest.fixture
def shown(stage: Shown) -> Shown:
    """Give a desktop's screen, and forget what was before."""
    stage.show(Answers(note=note()))
    stage.browser.call("Emulation.setScriptExecutionDisabled", value=False)
    stage.browser.call(
        "Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1
    )
    stage.browser.media(prefers_color_scheme="light")
    stage.browser.size(*DESKTOP)
    stage.browser.open("about:blank")
    stage.browser.events.clear()
    return stage


@pytest.mark.parametrize(("screen", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_pages_fit_the_screen_and_ask_for_nothing_elsewhere(shown: Shown, screen: tuple[int, int], scheme: str) -> None:
    """No sideways scroll, no complaint of the browser, no request but for the page, its style and its script."""
    shown.show(boards.fleet(60))
    one = next(one for one in shown.answers.open if one.job_name)
    shown.answers.records[one.key] = boards.record(one, [(EventType.QUEUED, 0, "", ""), (EventType.RUNNING, 9, "", "")])
    shown.browser.media(prefers_color_scheme=scheme)
    shown.browser.size(*screen)
    for path in ("/", f"/launches/{one.key}", "/launches/none", "/?q=nothing"):
        shown.browser.open(shown.url + path)
        width = shown.browser.run("document.scrollingElement.scrollWidth")
        assert width <= screen[0], path
    asked = {url.removeprefix(shown.url) for url in shown.browser.requests()}
    assert {url for url in asked if not url.startswith(("/launches/", "/?q=", "about:"))} == {
        "/",
        "/board.css",
        "/board.js",
    }
    assert [text for text in shown.browser.complaints() if "404" not in text] == []
    ground = shown.browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) > 384) == (scheme == "light")


def test_hostile_names_are_texts(shown: Shown) -> None:
    """No dialog, no request, no other page, no element more than for plain names, no row out of its place."""
    plain = [replace(running(number), name="n", author="a", reason="r") for number in range(len(boards.HOSTILE))]
    hostile = [
        replace(one, name=text, author=text, reason=text)
        for one, text in zip(plain, boards.HOSTILE.values(), strict=True)
    ]
    counts = []
    for some in (plain, hostile):
        shown.show(Answers(some, [replace(one, reason="r") for one in map(ended, (30, 31))], note=note()))
        shown.browser.open(f"{shown.url}/")
        counts.append(shown.browser.nodes())
        assert shown.browser.run("document.scrollingElement.scrollWidth") <= DESKTOP[0]
    assert counts[0] == counts[1]
    pages = [f"/launches/{one.key}" for one in hostile]
    for path in (*pages, "/?q=%3Cscript%3Ealert(1)%3C/script%3E"):
        shown.browser.open(shown.url + path)
    assert [one for one in shown.browser.events if one["method"] == "Page.javascriptDialogOpening"] == []
    assert {url.split("/")[2] for url in shown.browser.requests() if "//" in url} == {shown.url.split("/")[2]}
    assert shown.browser.complaints() == []


def test_combining_marks_stay_in_their_row(shown: Shown) -> None:
    """A pile of accents would draw over the launches above it."""
    shown.show(Answers([replace(running(1), name=boards.HOSTILE["combining"])], note=note()))
    shown.browser.open(f"{shown.url}/")
    assert shown.browser.run("getComputedStyle(document.querySelector('th.name')).overflowY") in ("hidden", "clip")


def test_the_policy_stops_what_a_mistake_would_run(shown: Shown) -> None:
    """If a text ever became an element, it would run nothing, load nothing and send nothing."""
    shown.browser.open(f"{shown.url}/")
    shown.browser.events.clear()
    shown.browser.run(
        """(() => { window.ran = [];
        const put = (tag, set) => document.body.append(Object.assign(document.createElement(tag), set));
        put("img", { src: "http://evil.example/x.png", onerror: null });
        put("script", { textContent: "window.ran.push('inline')" });
        put("script", { src: "http://evil.example/x.js" });
        put("iframe", { src: "http://evil.example/" });
        put("style", { textContent: "body { display: none }" });
        const box = document.createElement("p"); box.innerHTML = "<b onclick='window.ran.push(1)'>b</b>";
        document.body.append(box); box.firstChild.click(); })()"""
    )
    shown.browser.run("fetch('http://evil.example/').then(() => 'sent', () => 'refused')")
    complaints = " ".join(shown.browser.complaints())
    for part in ("img-src", "script-src", "style-src", "connect-src", "default-src"):
        assert part in complaints
    assert shown.browser.run("window.ran.length") == 0
    assert shown.browser.run("getComputedStyle(document.body).display") == "block"


def test_it_works_without_javascript(shown: Shown) -> None:
    """All launches, the search and the pages are there; nothing that needs a script shows."""
    shown.show(boards.fleet(9))
    shown.browser.without_script()
    shown.browser.open(f"{shown.url}/?q=running")
    root = shown.browser.call("DOM.getDocument", depth=-1)["root"]["nodeId"]
    page = shown.browser.call("DOM.getOuterHTML", nodeId=root)["outerHTML"]
    assert page.count('scope="row" class="name"') == 2
    assert '<button type="button" id="pause" hidden' in page


def test_it_refreshes_itself_and_keeps_the_reader_s_place(shown: Shown) -> None:
    """New launches appear without a new page; focus, opened details and the search stay."""
    shown.show(Answers([running(1)], note=note()))
    shown.browser.open(f"{shown.url}/")
    shown.browser.run(
        f"window.same = true; document.getElementById('d-fleet').open = true;"
        f"document.getElementById('l-{running(1).key}').focus()"
    )
    shown.show(Answers([running(1), entry(2, name="the new one")], note=note(stopped=True)))
    shown.browser.run(REFRESH)
    shown.until("the new one")
    shown.until("The agent is stopped")
    assert shown.browser.run("window.same && document.getElementById('d-fleet').open")
    assert shown.browser.run("document.activeElement.id") == f"l-{running(1).key}"
    assert shown.browser.run("document.title").startswith("(1) 2 open")


def test_a_refresh_waits_while_somebody_types(shown: Shown) -> None:
    """What was typed would be lost; after that it goes on."""
    shown.show(Answers([running(1)], note=note()))
    shown.browser.open(f"{shown.url}/")
    shown.browser.run("document.getElementById('q').focus(); document.getElementById('q').value = 'half a wo'")
    shown.show(Answers([running(1), entry(2, name="the new one")], note=note()))
    shown.browser.events.clear()
    shown.browser.run(REFRESH)
    assert shown.browser.requests() == []
    shown.browser.run(f"document.activeElement.blur(); {REFRESH}")
    shown.until("the new one")
    assert shown.browser.run("document.getElementById('q').value") == "half a wo"


def test_a_reader_can_pause_it(shown: Shown) -> None:
    """As WCAG asks of what moves by itself; the button says what it does next."""
    shown.browser.open(f"{shown.url}/")
    shown.browser.run("document.getElementById('pause').click()")
    shown.browser.events.clear()
    shown.browser.run(REFRESH)
    assert shown.browser.requests() == []
    assert shown.browser.run("document.getElementById('pause').textContent") == "Refresh again"
    shown.show(Answers([entry(2, name="the new one")], note=note()))
    shown.browser.run("document.getElementById('pause').click()")
    shown.until("the new one")


def test_it_says_that_the_board_is_gone(shown: Shown) -> None:
    """The last numbers stay, with their time; a later answer takes the words away."""
    shown.show(Answers([running(1)], note=note()))
    shown.browser.open(f"{shown.url}/")
    shown.browser.call(
        "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1
    )
    shown.browser.run(REFRESH)
    shown.until("The board does not answer")
    assert shown.browser.run("document.body.textContent.includes('train-1')")
    shown.browser.call(
        "Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1
    )
    shown.show(Answers([entry(2, name="the new one")], note=note()))
    shown.browser.run(REFRESH)
    shown.until("the new one")
    assert shown.browser.run("document.getElementById('offline').hidden")


def test_a_page_of_a_problem_becomes_the_board_again(shown: Shown) -> None:
    """As soon as the ledger can be read; the tab stays open all night."""
    shown.show(Answers(problem=Denied("gs://b: permission denied"), note=note()))
    target = target_of(shown.answers)
    with serving(create_app(target, Listings(target, lambda: 0.0, least_seconds=0))) as url:
        shown.browser.open(f"{url}/")
        shown.until("The ledger cannot be read")
        shown.show(Answers([entry(2, name="the new one")], note=note()))
        shown.browser.run(REFRESH)
        shown.until("the new one")


def test_a_keyboard_reaches_everything(shown: Shown) -> None:
    """The first stop skips to the content; each stop can be seen; Enter opens a launch."""
    shown.show(Answers([running(1)], [ended(2)], note=note()))
    shown.browser.open(f"{shown.url}/")
    stops: list[tuple[str, str, float]] = []
    for _ in range(40):
        shown.browser.press("Tab", 9)
        here = shown.browser.run(
            "(() => { const e = document.activeElement; return [e.id || e.className || e.tagName,"
            " getComputedStyle(e).outlineStyle, e.getBoundingClientRect().width]; })()"
        )
        if stops and here[0] in ("BODY", stops[0][0]):
            break
        stops.append(here)
    names = [name for name, _, _ in stops]
    assert names[0] == "skip"
    wanted = ["pause", "w-6h", "SUMMARY", "q", f"l-{running(1).key}", f"j-{running(1).key}", f"l-{ended(2).key}"]
    assert [name for name in names if name in wanted] == wanted
    assert all(outline != "none" and width > 8 for _, outline, width in stops)
    shown.browser.run(f"document.getElementById('l-{running(1).key}').focus()")
    shown.browser.press("Enter", 13)
    shown.browser.wait_for("Page.loadEventFired")
    assert shown.browser.run("location.pathname") == f"/launches/{running(1).key}"


@pytest.mark.parametrize("path", ["/", f"/launches/{running(1).key}"])
def test_a_screen_reader_finds_its_way(shown: Shown, path: str) -> None:
    """As Chromium tells it: landmarks, one first heading and no level left out, named tables, pictures and fields."""
    one = running(1)
    events = [(EventType.QUEUED, 0, "", ""), (EventType.RUNNING, 9, "", "")]
    shown.show(Answers([one, entry(4)], [ended(2)], records={one.key: boards.record(one, events)}, note=note()))
    shown.browser.open(shown.url + path)
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", ""), node)
        for node in shown.browser.call("Accessibility.getFullAXTree")["nodes"]
        if not node["ignored"]
    ]
    roles = {role for role, _, _ in nodes}
    assert roles >= {
        "banner",
        "main",
        "contentinfo",
        "navigation",
        "region",
        "heading",
        "table",
        "rowheader",
        "columnheader",
    }
    assert "image" in roles or "img" in roles
    unnamed = {
        "image",
        "img",
        "region",
        "link",
        "button",
        "searchbox",
        "heading",
        "navigation",
        "columnheader",
        "table",
    }
    assert [role for role, name, _ in nodes if role in unnamed and not name.strip()] == []
    levels = [
        prop["value"]["value"]
        for role, _, node in nodes
        if role == "heading"
        for prop in node["properties"]
        if prop["name"] == "level"
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert set(levels) == {1, 2}


def test_a_thousand_launches_stay_within_bounds(shown: Shown) -> None:
    """`make bench` measures that Chromium draws them within a second; here its work is counted."""
    shown.show(boards.fleet(1_000))
    shown.browser.open(f"{shown.url}/?rows=1000")
    assert shown.browser.run("document.querySelectorAll('th.name').length") == 1_000
    assert shown.browser.nodes() <= 26_000
    assert shown.browser.run("performance.getEntriesByType('navigation')[0].decodedBodySize") <= 1_700_000


def test_an_exported_file_stands_alone(shown: Shown, tmp_path: Path) -> None:
    """Opened from a disk: styled, complete, nothing asked for, nothing refused by its own policy."""
    target = target_of(boards.fleet(30))
    path = tmp_path / "board.html"
    path.write_text(Pages(target, alone=True).board(Listings(target).look(), Choice(rows=1_000), 0), encoding="utf-8")
    shown.browser.open(path.as_uri())
    assert shown.browser.run("document.querySelectorAll('th.name').length") == 30
    assert shown.browser.run("getComputedStyle(document.querySelector('section')).borderTopStyle") == "solid"
    assert shown.browser.run("document.links.length") == shown.browser.run(
        "document.querySelectorAll('a[href^=http], .skip').length"
    )
    assert shown.browser.requests() == [path.as_uri()]
    assert shown.browser.complaints() == []


def test_launches_of_a_real_bucket_are_shown(shown: Shown, tmp_path: Path) -> None:
    """Written by the functions' own ledger, listed through Google's client, drawn by Chromium."""
    with gcs_server(tmp_path) as server:
        bucket = fresh_bucket(server)
        ledger = GcsLedger(bucket)
        spec: dict[str, Any] = {"entity": "team", "project": "cats", "name": "blau 🐈 <b>bold</b>"}
        now = ledger.now()
        still = from_item("item-1", Queue(entity="team", name="spät"), spec, now)
        over = ledger.write(from_item("item-2", Queue(entity="team", name="spät"), {**spec, "name": "over"}, now))
        ledger.write(still)
        ledger.close(ledger.write(over.end(Outcome.REJECTED, "image: is missing. Write one", now)))
        target = Target("p", "us-central1", "launch", bucket, "launch")
        with serving(create_app(target)) as url:
            shown.browser.open(f"{url}/")
            shown.until("blau 🐈 <b>bold</b>")
            shown.until("image: is missing. Write one")
            shown.until("poll has never run")
            shown.browser.open(f"{url}/launches/{still.key}")
            shown.until("team / spät")
    assert os.environ.get("STORAGE_EMULATOR_HOST") is None
