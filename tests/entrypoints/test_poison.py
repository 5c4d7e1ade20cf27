"""Items that nobody can launch, through all three doors with one slot: authors read why, what is behind is served."""

from typing import Any

import pytest

from shared.core.message import Ticket, encode, launch_key
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import ITEM, eventarc
from tests.unit.test_intake import CAT, nested

REFUSED_BY_POLL: dict[str, tuple[dict[str, Any], str]] = {
    "a name of 256 cats": ({"run_id": CAT * 256}, "run_id: has 1,024 bytes in UTF-8; the limit is 256."),
    "deep nesting": ({"overrides": {"run_config": nested(150)}}, "nests more than 100 levels. Flatten this value."),
}
REFUSED_BY_SUBMIT: dict[str, tuple[dict[str, Any], str]] = {
    "another resource": ({"resource": "kubernetes"}, "the item's resource is 'kubernetes'"),
    "an entity that is a number": ({"entity": 5}, "entity: should be a text, but is a number"),
    "a project that is a list": ({"project": ["cats"]}, "project: should be a text, but is a list"),
    "a run id that is an object": ({"run_id": {"a": 1}}, "run_id: should be a text, but is an object"),
}


@pytest.mark.parametrize("case", REFUSED_BY_POLL)
def test_an_item_that_poll_refuses_is_reported_and_blocks_nothing(outside: Outside, case: str) -> None:
    """The item behind it is served at the same call, and status shows the poison item as FAILED."""
    changes, reason = REFUSED_BY_POLL[case]
    poison = outside.wandb.push("team", "vertex", ITEM | changes)
    behind = outside.wandb.push("team", "vertex", ITEM)
    answer = outside.client("poll", LAUNCH_MAX_JOBS="1").post("/")
    assert (answer.status_code, answer.json["refused"]) == (200, {"vertex": 1})
    assert (answer.json["launched"], behind.state) == ({"vertex": 1}, "CLAIMED")
    assert outside.client("status").post("/").json["done"]["Finish"] == 1
    assert poison.state == "FAILED"
    assert reason in str(dict(poison.error or {})["message"])
    assert outside.client("status").post("/").json["open_launches"] == 1


@pytest.mark.parametrize("case", REFUSED_BY_SUBMIT)
def test_an_item_that_submit_refuses_is_reported_and_blocks_nothing(outside: Outside, case: str) -> None:
    """At the next call of poll the item behind it is served, before status has reported anything."""
    changes, reason = REFUSED_BY_SUBMIT[case]
    config = {"resource_args": {"kubernetes": {"kind": "Job"}}}
    outside.wandb.make_queue("team", "kubernetes", config=config, resource="kubernetes")
    outside.monkeypatch.setenv("LAUNCH_QUEUES", "vertex,kubernetes")
    poison = outside.wandb.push("team", changes.get("resource", "vertex"), ITEM | changes)
    poll, submit = outside.client("poll", LAUNCH_MAX_JOBS="1"), outside.client("submit")
    poll.post("/")
    assert poison.state == "CLAIMED"
    behind = outside.wandb.push("team", "vertex", ITEM)
    key = launch_key("wandb", poison.id)
    assert submit.post(**eventarc(encode(Ticket(launch_key=key)))).status_code == 200
    outside.monkeypatch.setenv("FUNCTION_TARGET", "poll")
    assert poll.post("/").json["launched"] == {"vertex": 1}
    assert behind.state == "CLAIMED"
    outside.client("status").post("/")
    assert poison.state == "FAILED"
    assert reason in str(dict(poison.error or {})["message"])
