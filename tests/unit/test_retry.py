"""A retry: what the new launch keeps of the old one, and which limits it meets."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.operate.steering.person import person
from functions.poll.slots import Limits, Slots
from functions.submit.room import Room
from shared.config.requests import RequestLimits
from shared.core.errors import Reject
from shared.core.intake import from_item, from_request
from shared.core.launch import EventType, Launch, Outcome, State
from shared.core.message import Queue, Request
from shared.core.pause import Pause, pause_of
from shared.core.retry import retry_key, retry_of
from shared.runspec.model import Draft
from shared.runspec.requests import admit_request
from tests.fakes import InMemoryLedger

NOW = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
QUEUE = Queue(entity="team", name="vertex")
SPEC: Mapping[str, Any] = {
    "entity": "team", "project": "Cats", "run_id": "run1", "name": "one", "author": "ana", "_resume_count": 2,
    "sweep_id": "sw", "docker": {"docker_image": "x"}, "resource_args": {"vertex": {"spec": {"a": "${WANDB_NAME}"}}},
}  # fmt: skip


def ended(launch: Launch, outcome: Outcome = Outcome.FAILED, **claimed: Any) -> Launch:
    """Return it ended after one attempt; `parent` tells that it was prepared."""
    claim = launch.move(State.SUBMITTING, attempt=1, **claimed)
    return claim.end(outcome, "exit code 1", NOW)


def of_item(**changes: Any) -> Launch:
    """Return the ended launch of an item."""
    return ended(from_item("item", QUEUE, {**SPEC, **changes}, NOW), parent="projects/p/locations/l")


def of_request(source: str = "ci", parent: str = "projects/p/locations/l") -> Launch:
    """Return the ended launch of a request, whose record has the queue's own configuration."""
    spec = {name: value for name, value in SPEC.items() if name not in ("run_id", "sweep_id", "_resume_count")}
    return ended(from_request(Request(source=source, idempotency_key="1", run_spec=spec), NOW), parent=parent)


def test_a_retry_is_the_old_launch_with_a_run_of_its_own() -> None:
    """It has no item, leaves its sweep, names the old one and who asked; the entity and the project stay."""
    old = of_item()
    new = retry_of(old, 1, "ana", NOW)
    entry = new.entry
    assert (entry.key, entry.retries, entry.item_id, entry.state) == (retry_key(old.key, 1), old.key, "", State.QUEUED)
    assert (entry.queue, entry.name, entry.author, entry.source) == (QUEUE, "one", "ana", "wandb")
    assert (entry.run.entity, entry.run.project) == (old.entry.run.entity, old.entry.run.project)
    assert entry.run.run_id == entry.key[1:13]
    assert {"run_id", "sweep_id", "_resume_count"}.isdisjoint(new.run_spec)
    assert new.run_spec["resource_args"] == SPEC["resource_args"]
    assert [(each.type, each.reason) for each in new.events] == [(EventType.QUEUED, f"Retry of {old.key} by ana")]
    assert (entry.attempt, entry.resumes, entry.short_of, new.climb.tried) == (0, 0, None, ())
    assert retry_of(new.end(Outcome.FAILED, "", NOW), 1, "ana", NOW).key != entry.key


@pytest.mark.parametrize(
    ("old", "words"),
    [
        (from_item("item", QUEUE, {"entity": 1}, NOW, "docker: is wrong."), "was refused when it arrived"),
        (ended(from_item("item", QUEUE, {"uri": "placeholder-uri-scheduler"}, NOW)), "`wandb launch-sweep`"),
    ],
)
def test_what_cannot_be_launched_again(old: Launch, words: str) -> None:
    """The message names the way out."""
    with pytest.raises(Reject, match=words):
        retry_of(old, 1, "ana", NOW)


def admitted(launch: Launch, **limits: Any) -> bool:
    """Tell whether the limits for requests admit the first attempt of a launch."""
    claim = launch.move(State.SUBMITTING, attempt=1)
    try:
        admit_request(Draft.of(claim), RequestLimits(**limits).within("team", ["vertex"]), {"WANDB_NAME"})
    except Reject:
        return False
    return True


@pytest.mark.parametrize(
    ("old", "limits", "admits"),
    [
        (of_item(), {"sources": (), "queues": ()}, True),
        (of_request(), {}, True),
        (of_request(), {"sources": ("other",)}, False),
        (of_request("wandb"), {"sources": ("other",)}, False),  # a publisher that calls itself W&B
        (of_request(parent=""), {}, False),  # never prepared: its macro may be the publisher's own
    ],
)
def test_the_limits_of_requests(old: Launch, limits: dict[str, Any], admits: bool) -> None:
    """They apply to retries of requests only; a macro passes if a queue's configuration brought it."""
    new = retry_of(old, 1, "ana", NOW)
    assert admitted(new, **limits) is admits
    again = retry_of(ended(new, parent=new.entry.parent), 1, "ana", NOW)
    assert admitted(again, **limits) is admits


@pytest.mark.parametrize("old", [of_item(), of_request()], ids=["item", "request"])
def test_an_older_revision_leaves_a_retry_alone(old: Launch) -> None:
    """It does not know that the launch repeats an item, and would apply the limits of requests."""
    new = retry_of(old, 1, "ana", NOW)
    claimed = new.move(State.SUBMITTING, attempt=1)
    assert old.needs < 2
    assert [launch.needs for launch in (new, claimed)] == [2, 2]


def test_a_retry_counts_where_the_old_launch_did() -> None:
    """The retry of an item takes a slot, and never waits for room; that of a request has room of its own."""
    item, request = (retry_of(old, 1, "ana", NOW) for old in (of_item(), of_request()))
    slots = Slots([QUEUE], [item.entry, request.entry], 0, Limits(max_jobs=1))
    assert slots.full == "1 of 1 max_jobs"
    ledger = InMemoryLedger()
    claims = [each.move(State.SUBMITTING, attempt=1, lease_until=NOW) for each in (item, request)]
    for claim in claims:
        ledger.write(claim)
    assert [Room(ledger, 0, lambda _: None).has(claim) for claim in claims] == [True, False]


def test_a_pause_applies_to_its_queue_or_to_all() -> None:
    """The queue's own one is shown first; poll holds the queue."""
    everywhere, own = Pause("", "ana", NOW), Pause("vertex", "bob", NOW + timedelta(hours=1))
    assert pause_of("vertex", [everywhere, own]) is own
    assert pause_of("other", [everywhere, own]) is everywhere
    assert pause_of("other", [own]) is None
    slots = Slots([QUEUE, replace_name("other")], [], 0, Limits(), paused=[own])
    assert slots.held == {QUEUE: "paused by bob since 2026-11-26 04:00 UTC"}
    assert slots.next() == replace_name("other")


def replace_name(name: str) -> Queue:
    """Return another queue of the entity."""
    return Queue(entity="team", name=name)


ACTIVE = "[core]\naccount = ana@example.com\nproject = p\n"


@pytest.mark.parametrize(
    ("environ", "files", "account"),
    [
        ({"CLOUDSDK_CORE_ACCOUNT": "bob@example.com"}, {"configurations/config_default": ACTIVE}, "bob@example.com"),
        ({}, {"configurations/config_default": ACTIVE}, "ana@example.com"),
        ({}, {"active_config": "work", "configurations/config_work": ACTIVE}, "ana@example.com"),
        ({"CLOUDSDK_ACTIVE_CONFIG_NAME": "work"}, {"configurations/config_work": ACTIVE}, "ana@example.com"),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "key"}, {"key": '{"client_email": "sa@p"}'}, "sa@p"),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "key"}, {"key": '["x"]', "configurations/config_default": ACTIVE},
         "ana@example.com"),
        ({}, {"configurations/config_default": "not = a\n[file"}, ""),
        ({}, {}, ""),
    ],
)  # fmt: skip
def test_who_asks(
    environ: dict[str, str], files: dict[str, str], account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Google's account from files, without a call; else the login on this machine."""
    for name in ("CLOUDSDK_CORE_ACCOUNT", "CLOUDSDK_ACTIVE_CONFIG_NAME", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    for name, value in environ.items():
        path = name == "GOOGLE_APPLICATION_CREDENTIALS"
        monkeypatch.setenv(name, str(tmp_path / value) if path else value)
    assert person() == account if account else "@" in person()


def test_a_wish_is_kept_through_everything_submit_writes() -> None:
    """The first one stays; a launch with a wish is not claimable, and older versions leave it alone."""
    from shared.core.launch import Wish

    first, second = Wish("cancel", "ana", NOW), Wish("cancel", "bob", NOW)
    launch = from_item("item", QUEUE, dict(SPEC), NOW).asked(first).asked(second)
    assert launch.entry.wish is first
    assert (launch.needs, launch.entry.claimable(NOW)) == (2, False)
    claim = replace(launch, entry=replace(launch.entry, state=State.SUBMITTING, lease_until=NOW))
    assert claim.entry.claimable(NOW)  # its job must be looked up
    assert claim.again(NOW, timedelta(0), "", "").entry.wish is first
    assert claim.move(State.SUBMITTED).resume(NOW, 5).entry.wish is first
