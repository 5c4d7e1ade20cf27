"""Poll's door for wake-ups: which body they have does not matter, and many of them cost little."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.adapters.gcs import GcsAgentBook
from shared.config.settings import PollSettings, load
from tests.entrypoints.conftest import Outside
from tests.unit.specs import run_spec

PUSHED = {
    "message": {"data": "d2FrZS11cA==", "messageId": "1"},
    "subscription": "projects/p/subscriptions/launch-wake-up",
}
BODIES: dict[str, dict[str, Any]] = {
    "of Pub/Sub": {"json": PUSHED},
    "of nobody": {},
    "of 20 MB": {"data": b"x" * 20_000_000},
    "that nests": {"data": b"[" * 1_000_000, "content_type": "application/json"},
    "that is no JSON": {"data": b"\xff\x00{", "content_type": "application/json"},
    "of a form": {"data": {"a": "b"}},
}
ROUND = 0.05  # seconds


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", ["/", "/wake-up"])
def test_a_call_with_any_body_takes_the_item(outside: Outside, path: str, body: dict[str, Any]) -> None:
    """Cloud Scheduler's call and a push; nothing of the body is parsed."""
    outside.wandb.push("team", "vertex", run_spec())
    answer = outside.client("poll").post(path, **body)
    assert (answer.status_code, answer.json["launched"]) == (200, {"vertex": 1}), answer.json


@pytest.mark.parametrize(("path", "woken"), [("/", False), ("/wake-up", True), ("/wake-up/", True)])
def test_the_path_says_which_call_it_is(outside: Outside, path: str, woken: bool) -> None:
    """Cloud Scheduler's call opens a window of rounds; a wake-up takes what is left of one."""
    assert outside.client("poll").post(path).status_code == 200
    settings = load(PollSettings)
    note = GcsAgentBook(settings.ledger_bucket, settings.launch_agent_name).read()
    assert note is not None
    assert (note.woken_at is not None, note.window_until is None) == (woken, woken)


def test_many_wake_ups_at_once_make_few_rounds(outside: Outside) -> None:
    """As many as a warm poll would make in that time; the item among them is launched once."""
    client = outside.client("poll", LAUNCH_CADENCE="adaptive", LAUNCH_ROUND_SECONDS=str(ROUND), POLL_WINDOW_SECONDS="0")
    outside.wandb.push("team", "vertex", run_spec())
    app, began = client.application, time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: app.test_client().post("/wake-up", json=PUSHED), range(60)))
    rounds = sum(answer.json["polled"] for answer in answers)
    assert {answer.status_code for answer in answers} == {200}
    assert sum(sum(answer.json["launched"].values()) for answer in answers) == 1
    assert rounds <= (time.monotonic() - began) / ROUND + 2
