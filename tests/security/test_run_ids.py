"""Items and requests that choose the id of a run that is not theirs: its folder, artifacts and history are safe."""

import os
from typing import Any

import pytest

from shared.adapters.gcs import GcsLedger
from shared.core.errors import OutcomeUnknown
from shared.core.launch import Outcome, State
from shared.core.message import Request, Ticket, encode, launch_key
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import ITEM, REQUEST, eventarc
from tests.unit.polling import A, B, Scene


def launch_all(outside: Outside, *items: Any) -> None:
    """Poll once, and deliver the ticket of each item, as if poll had published it."""
    outside.client("poll").post("/")
    submit = outside.client("submit")
    for item in items:
        ticket = Ticket(launch_key=launch_key("wandb", item.id))
        assert submit.post(**eventarc(encode(ticket))).status_code == 200


def variables(job: Any) -> dict[str, str]:
    """Return the variables of a job's container."""
    env = job.message.job_spec.worker_pool_specs[0].container_spec.env
    return {variable.name: variable.value for variable in env}


def error_of(item: Any) -> str:
    """Return the message that an item's author reads."""
    return str(dict(item.error or {}).get("message", ""))


SAME_RUN: dict[str, dict[str, Any]] = {
    "the same names": {},
    "the project in another case": {"project": "CATS"},
    "as a requeue of another agent": {"_resume_count": 1},
    "with its own key": {"_wandb_api_key": "k" * 40},
}


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
@pytest.mark.parametrize("case", SAME_RUN)
def test_two_items_cannot_share_a_run(outside: Outside, case: str, at_once: bool) -> None:
    """One is launched; the other's author reads why not, and its ack does not touch the run."""
    first = outside.wandb.push("team", "vertex", {**ITEM, "run_id": "shared", "name": "first"})
    if not at_once:
        launch_all(outside, first)
    second = outside.wandb.push("team", "vertex", {**ITEM, **SAME_RUN[case], "run_id": "shared", "name": "second"})
    launch_all(outside, *([first, second] if at_once else [second]))
    [job] = outside.vertex.jobs()
    if at_once and job.display_name == "second":  # several connections pop at once
        first, second = second, first
    assert variables(job)["WANDB_RUN_ID"] == "shared"
    assert job.display_name == first.run_spec["name"]
    outside.client("status").post("/")
    assert (first.state, second.state) == ("CLAIMED", "FAILED")
    key = launch_key("wandb", first.id)
    assert f"run_id: is 'shared', the run of launch {key}, which is still open. Leave run_id out" in error_of(second)
    assert (first.associated_run_id, second.associated_run_id) == ("shared", launch_key("wandb", second.id)[1:13])


def test_a_run_that_is_over_can_be_continued(outside: Outside) -> None:
    """W&B's own way: an item with the id of a run that no launch has any more."""
    first = outside.wandb.push("team", "vertex", {**ITEM, "run_id": "shared"})
    launch_all(outside, first)
    outside.vertex.force(outside.vertex.jobs()[0].name, "JOB_STATE_FAILED", "exit code 1")
    for _ in range(2):
        outside.client("status", ERROR_GRACE_SECONDS="0").post("/")
    assert GcsLedger(os.environ["LEDGER_BUCKET"]).is_closed(launch_key("wandb", first.id))
    second = outside.wandb.push("team", "vertex", {**ITEM, "run_id": "shared"})
    launch_all(outside, second)
    assert second.state == "CLAIMED"
    assert {variables(job)["WANDB_RUN_ID"] for job in outside.vertex.jobs()} == {"shared"}
    assert len(outside.vertex.jobs()) == 2


def test_other_runs_share_nothing(outside: Outside) -> None:
    """The same id in another project, and items without an id."""
    items = [
        outside.wandb.push("team", "vertex", {**ITEM, **changes})
        for changes in ({"run_id": "r"}, {"run_id": "r", "project": "dogs"}, {}, {}, {"run_id": "R"})
    ]
    launch_all(outside, *items)
    folders = {job.message.job_spec.base_output_directory.output_uri_prefix for job in outside.vertex.jobs()}
    assert len(folders) == len(outside.vertex.jobs()) == len(items)


@pytest.mark.parametrize("entity", ["research", "Team", " team"])
@pytest.mark.parametrize("own_key", ["", "k" * 40])
def test_an_item_cannot_choose_the_run_of_another_entity(outside: Outside, entity: str, own_key: str) -> None:
    """Without an id it may land there, in a run of its own."""
    chosen = {**ITEM, "entity": entity, "run_id": "victim", **({"_wandb_api_key": own_key} if own_key else {})}
    thief = outside.wandb.push("team", "vertex", chosen)
    guest = outside.wandb.push("team", "vertex", {**ITEM, "entity": entity})
    launch_all(outside, thief, guest)
    outside.client("status").post("/")
    assert thief.state == "FAILED"
    assert f"run_id: is 'victim', a run of '{entity}', and the item's queue belongs to team." in error_of(thief)
    assert thief.associated_run_id != "victim"
    [job] = outside.vertex.jobs()
    assert variables(job)["WANDB_RUN_ID"] == launch_key("wandb", guest.id)[1:13]


def test_an_item_cannot_take_the_run_of_a_request(outside: Outside) -> None:
    """An author who knows the source and the key can compute its id."""
    assert outside.client("submit").post(**eventarc(encode(REQUEST))).status_code == 200
    thief = outside.wandb.push("team", "vertex", {**ITEM, "run_id": REQUEST.launch_key[1:13]})
    launch_all(outside, thief)
    outside.client("status").post("/")
    assert (thief.state, len(outside.vertex.jobs())) == ("FAILED", 1)
    assert "which is still open" in error_of(thief)


def test_requests_never_share_a_run(outside: Outside) -> None:
    """The same key of two sources, and the same texts divided in another way."""
    submit = outside.client("submit")
    for source, key in (("ci", "42"), ("cd", "42"), ("ci4", "2"), ("ci:4", "2"), ("wandb", "42")):
        request = Request(source=source, idempotency_key=key, run_spec=REQUEST.run_spec)
        assert submit.post(**eventarc(encode(request))).status_code == 200
    assert len({variables(job)["WANDB_RUN_ID"] for job in outside.vertex.jobs()}) == 5


def test_a_refused_item_is_reported_even_if_its_ack_was_lost() -> None:
    """When it is popped again, the first launch is over. The refusal stands under the id that W&B may have by now."""
    scene = Scene()
    scene.wandb.push("first", A, run_id="shared")
    second = scene.wandb.push("second", B, run_id="shared")
    scene.wandb.lose["ack"] = OutcomeUnknown("no answer")
    scene.poll(queues=(A,))
    first = scene.ledger.open[launch_key("wandb", "first")]
    scene.wandb.fail["ack"] = OutcomeUnknown("no answer")
    scene.poll()
    scene.wandb.fail.clear()
    refused = scene.ledger.open[launch_key("wandb", "second")]
    assert (refused.entry.state, refused.entry.outcome) == (State.ENDED, Outcome.REJECTED)
    scene.ledger.close(first.end(Outcome.SUCCEEDED, "", scene.clock()))
    second.state = "PENDING"
    report = scene.poll()
    assert (second.state, second.run_name) == ("CLAIMED", refused.entry.run.run_id)
    assert scene.ledger.open[refused.key].entry.report_owed
    assert report.refused == {"b": 1}
    assert scene.publisher.published == [first.key]


def test_many_connections_give_a_run_to_one_item() -> None:
    """Whichever pops first."""
    scene = Scene()
    for number in range(20):
        scene.wandb.push(f"i{number}", A, run_id="shared")
    scene.poll(connections=8)
    states = [launch.entry.state for launch in scene.ledger.open.values()]
    assert (states.count(State.QUEUED), states.count(State.ENDED)) == (1, 19)


def test_the_item_of_a_launch_that_waits_for_its_ack_keeps_its_run() -> None:
    """Another item with the same id is refused; the first is taken again after its lease."""
    scene = Scene()
    first = scene.wandb.push("first", A, run_id="shared")
    scene.wandb.fail["ack"] = OutcomeUnknown("no answer")
    scene.poll()
    scene.wandb.fail.clear()
    scene.clock.pass_(61)
    scene.wandb.push("second", B, run_id="shared")
    scene.wandb.end_leases()
    scene.poll()
    assert (first.state, first.run_name) == ("CLAIMED", "shared")
    assert scene.publisher.published == [launch_key("wandb", "first")]
