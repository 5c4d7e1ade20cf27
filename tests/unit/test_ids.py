"""Find a launch by whatever somebody has copied; an ID of none or several says so."""

from dataclasses import replace
from datetime import timedelta

import click
import pytest

from deploy.operate.fleet.fleet import Fleet, find_one
from shared.core.console import console_link
from shared.core.errors import Denied, UnreadableRecord
from shared.core.intake import from_request
from shared.core.launch import EventType, Outcome
from shared.core.message import Request
from tests.fakes.fleet import NOW, PARENT, FakeTarget, changed, launch, running, submitted

ITEM = "UnVuUXVldWVJdGVtOjE="
KEY = launch(ITEM).key
SPEC = {"entity": "team", "project": "cats", "docker": {"docker_image": "i"}}
REQUEST = Request(source="air/flow", idempotency_key="dag/2026-11-26T00:00:00+00:00/run 1", run_spec=SPEC)


@pytest.fixture(scope="module")
def target() -> FakeTarget:
    """Return a fleet: a running launch, a closed one, one of a request, and two with similar names."""
    target = FakeTarget()
    target.put(
        running(launch(ITEM, run_id="abc123"), "4711"),
        launch("closed", run_id="xyz789").end(Outcome.SUCCEEDED, "", NOW, report=False),
        from_request(REQUEST, NOW),
        launch("twin-1", run_id="same-1"),
        launch("twin-2", run_id="same-2"),
        submitted(changed(launch("other")), "4712"),
    )
    target.memory.unreadable["kz" + "z" * 25] = "needs version 9 of the records; this is 2"
    return target


IDS = {
    "launch key": KEY,
    "beginning of a launch key": KEY[:8],
    "run id": "abc123",
    "beginning of a run id": "abc",
    "item id": ITEM,
    "job number": "4711",
    "resource name of a job": f"{PARENT}/customJobs/4711",
    "resource name with the project's number": "projects/123/locations/us-central1/customJobs/4711",
    "console": console_link(f"{PARENT}/customJobs/4711"),
    "an older address of the console": "https://console.cloud.google.com/vertex-ai/locations/us-central1/training/4711/cpu",
    "address of a job's log": "https://console.cloud.google.com/logs/query;query=resource.labels.job_id%3D%224711%22",
    "page of the run": "https://wandb.ai/team/cats/runs/abc123",
    "another page of the run": "https://wandb.ai/team/cats/runs/abc123/overview",
    "page with a view": "https://wandb.ai/team/cats/runs/abc123?nw=nwuser#chart",
    "page below a base path": "https://tools.example.com/wandb/Team/Cats/runs/abc123/logs/",
    "path of the run": "team/cats/abc123",
    "path of the run, as pages have it": "/team/cats/runs/abc123",
    "with blanks around": f"  {KEY[:8]}\n",
}


@pytest.mark.parametrize("text", IDS.values(), ids=IDS)
def test_an_id_names_one_launch(target: FakeTarget, text: str) -> None:
    """Each form that a page, a log or a label shows."""
    assert find_one(target, text).key == KEY


def test_a_request_is_named_by_source_and_key(target: FakeTarget) -> None:
    """Both can contain slashes; the key of the launch is their hash."""
    text = f"{REQUEST.source}/{REQUEST.idempotency_key}"
    assert find_one(target, text).key == REQUEST.launch_key


@pytest.mark.parametrize("key", ["https://ci.example.com/team/jobs/runs/7", " a ", "a", "x:y"])
def test_a_key_of_any_form_names_its_request(key: str) -> None:
    """An address as idempotency key is no page of W&B."""
    target, request = FakeTarget(), REQUEST.model_copy(update={"idempotency_key": key, "source": "ci"})
    target.put(from_request(request, NOW))
    assert find_one(target, f"ci/{key}").key == request.launch_key


def test_a_closed_launch_is_found(target: FakeTarget) -> None:
    """By its run, by the beginning of its key, and by its key without a listing."""
    key = launch("closed").key
    assert find_one(target, "xyz789").key == find_one(target, key[:9]).key == key
    before = target.memory.listings
    assert find_one(target, key).key == key
    assert target.memory.listings == before


@pytest.mark.parametrize(
    "text",
    [
        "https://wandb.ai/others/cats/runs/abc123",
        "https://wandb.ai/team/cats/runs/abc",
        "projects/p/locations/europe-west4/customJobs/4711",
        "others/cats/abc123",
        "abc1234",
        "",
        "/",
        "k" + "a" * 26,
    ],
)
def test_an_id_of_none_says_where_it_was_searched(target: FakeTarget, text: str) -> None:
    """Another entity's run of the same id is another run; a job's number counts in its region."""
    with pytest.raises(click.ClickException, match="gs://p-launch-ledger") as error:
        find_one(target, text)
    assert error.value.exit_code == 1
    if len(text) < 27:
        assert "5 open launches, and 1 that" in error.value.message


def test_an_id_of_several_lists_them(target: FakeTarget) -> None:
    """As a wrong usage; each line has a key, which is an ID of one."""
    with pytest.raises(click.UsageError) as error:
        find_one(target, "same")
    first, *lines = error.value.message.splitlines()
    assert (first, len(lines), error.value.exit_code) == ("'same' names 2 launches; use the key of one:", 2, 2)
    assert {line.split()[0] for line in lines} == {launch("twin-1").key, launch("twin-2").key}


def test_a_whole_name_wins_over_the_beginning_of_another(target: FakeTarget) -> None:
    """A run id may begin another one."""
    target.put(launch("short", run_id="same"))
    assert [entry.item_id for entry in Fleet.read(target).find("same")] == ["short"]


def test_hundreds_of_matches_are_counted() -> None:
    """Not printed."""
    target = FakeTarget()
    target.put(*(launch(f"item-{number}", run_id=f"r{number}", name="\x1b[2J") for number in range(50)))
    with pytest.raises(click.UsageError, match="50 launches") as error:
        find_one(target, "r")
    assert "and 30 more" in error.value.message
    assert "\x1b" not in error.value.message


@pytest.mark.parametrize("text", ["kzzz", "kz" + "z" * 25])
def test_an_unreadable_record_is_named_with_its_problem(target: FakeTarget, text: str) -> None:
    """By the beginning of its key, and by the whole."""
    with pytest.raises(click.ClickException, match="needs version 9"):
        find_one(target, text)


def test_the_job_of_an_earlier_attempt_is_found_in_the_records() -> None:
    """Its author reads its number in a warning; other IDs read no record."""
    target = FakeTarget()
    first = submitted(launch("one"), "81").happened(EventType.SUBMITTED, NOW)
    target.put(submitted(first.resume(NOW, 5), "82"), running(launch("two"), "83"))
    found = [find_one(target, text).item_id for text in ("81", f"{PARENT}/customJobs/81", "82")]
    assert found == ["one"] * 3
    reads = target.memory.reads
    with pytest.raises(click.ClickException, match="no launch has the ID 'x81'"):
        find_one(target, "x81")
    assert target.memory.reads == reads


def test_a_launch_that_is_closing_counts_once() -> None:
    """It is in both folders for a moment."""
    target = FakeTarget()
    ended = launch("one").end(Outcome.FAILED, "why", NOW, report=False)
    target.memory.closed[ended.key] = ended
    target.memory.open[ended.key] = launch("one")
    target.memory.unreadable[ended.key] = "being replaced"
    fleet = Fleet.read(target, closed=True)
    assert ([*fleet.all], fleet.unreadable) == ([ended.entry], {})


def test_errors_of_the_ledger_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The options of the command explain them."""
    target = FakeTarget()

    def refuse(_: object) -> None:
        raise Denied("gs://b: list open/: no. The function's account needs the role x")

    monkeypatch.setattr(target.memory, "list_closed", lambda: refuse(None))
    with pytest.raises(Denied):
        find_one(target, "abc")


def test_the_record_of_a_launch_is_read_open_or_closed(target: FakeTarget) -> None:
    """A closed one first, as a launch that is closing is in both folders."""
    found = find_one(target, "xyz789")
    record = target.launch(found)
    assert record is not None
    assert record.entry == found
    assert target.launch(replace(found, key="k" + "q" * 26)) is None
    with pytest.raises(UnreadableRecord):
        target.launch(replace(found, key="kz" + "z" * 25))


def test_times_do_not_decide(target: FakeTarget) -> None:
    """An old launch is found like a new one."""
    target.put(launch("ancient", timedelta(days=400), run_id="ancient-run"))
    assert find_one(target, "ancient-run").item_id == "ancient"
