"""Every shape in which W&B may refuse something: our adapter, and W&B's own client, against the stand-in."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from starlette.responses import JSONResponse, Response

from deploy.local.servers.wandb.shapes import SHAPES
from deploy.local.servers.wandb.state import State
from shared.adapters.wandb import Graphql, WandbRunQueue
from shared.core.errors import Denied, KeyRefused, LaunchError, Reject, Retry
from shared.core.launch import RunPath
from shared.core.message import Queue
from tests.contract.test_wandb_adapter import QUEUE, answering, data
from tests.contract.test_wandb_server import KEY, SPEC, client_env, clock, finished, state, url

__all__ = ["client_env", "clock", "state", "url"]  # fixtures

GPUS = Queue(entity="team", name="gpus")
STATUSES = [shape for shape in SHAPES if shape.isdecimal()]


@pytest.fixture
def wandb(url: str) -> WandbRunQueue:
    """Return our adapter of the stand-in."""
    return WandbRunQueue(Graphql(url, KEY))


@pytest.fixture(params=SHAPES)
def shaped(request: pytest.FixtureRequest, state: State, url: str) -> str:
    """Let the stand-in answer errors in one shape; each in turn."""
    answer = requests.post(f"{url}/standin/errors", json={"shape": request.param}, timeout=10)
    assert answer.json()["shape"] == request.param
    return str(request.param)


def gone(state: State) -> str:
    """Push an item, and take it off its queue."""
    item = state.push("team", "gpus", SPEC)
    assert state.queues.remove(item.queue.id, item.id)
    return item.id


def test_a_report_of_an_item_that_is_gone_counts_as_delivered(state: State, wandb: WandbRunQueue, shaped: str) -> None:
    """Whatever W&B answers: it is looked up, and then nothing is owed."""
    item = gone(state)
    wandb.fail_item(GPUS, item, "no quota", "run")
    wandb.warn_item(GPUS, item, "it waits", "agent")


def test_an_item_whose_queue_was_deleted_is_gone(state: State, wandb: WandbRunQueue, shaped: str) -> None:
    """The queues of its entity can be seen, and it is none of them any more: it blocks no slot for ever."""
    item = state.push("team", "gpus", SPEC)
    state.make_queue("team", "other")
    state.queues.delete(item.queue.id)
    wandb.fail_item(GPUS, item.id, "no quota", "run")
    answers = wandb.item_statuses([(GPUS, item.id)])
    assert (answers.found, answers.failed) == ({}, {})


def test_an_item_of_a_hidden_queue_is_not_gone(state: State, wandb: WandbRunQueue, shaped: str) -> None:
    """The key does not see where it is: nobody knows, and its report stays owed."""
    item = state.push("team", "gpus", SPEC)
    state.errors.projects = {"team/model-registry"}
    answers = wandb.item_statuses([(GPUS, item.id)])
    assert (answers.found, list(answers.failed)) == ({}, [item.id])


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in ("null", "mixed")])
@pytest.mark.parametrize("stands", ["FAILED", "CLAIMED"])
def test_a_refused_report_is_looked_up(state: State, wandb: WandbRunQueue, shape: str, stands: str) -> None:
    """An item that is FAILED has its report. One that W&B has, and keeps refusing, ends in an error, not in silence."""
    item = state.push("team", "gpus", SPEC)
    item.state = stands
    state.errors.change({"shape": shape, "operations": ["failRunQueueItem", "updateRunQueueItemWarning"]})
    for report in (wandb.fail_item, wandb.warn_item):
        if stands == "FAILED":
            report(GPUS, item.id, "no quota", "run")
            continue
        expected = {"errors": Retry, "403": Denied}.get(shape, Reject)
        with pytest.raises(expected):
            report(GPUS, item.id, "no quota", "run")


def test_a_refused_ack_is_no_error(state: State, wandb: WandbRunQueue, shaped: str) -> None:
    """Acked before, or gone: False, and who asked looks the item up. Only a lack of permission is an error."""
    item = state.push("team", "gpus", SPEC)
    state.queues.pop(item.queue, "agent")
    assert wandb.ack(item.id, "r1")
    for item_id in (item.id, gone(state)):
        if shaped == "403":
            with pytest.raises(Denied):
                wandb.ack(item_id, "r1")
        elif shaped != "mixed":
            assert wandb.ack(item_id, "r1") is False


def test_an_agent_that_wandb_does_not_know_is_none(state: State, wandb: WandbRunQueue, url: str, shaped: str) -> None:
    """In any form, also if it vanishes between the two calls of a heartbeat."""
    agent = wandb.register("team", ["gpus"], {})
    assert wandb.heartbeat(agent, running=True) is False
    state.errors.operations = {"updateLaunchAgent"}
    assert wandb.heartbeat(agent, running=True) is None
    state.errors.operations = set()
    assert requests.delete(f"{url}/standin/agents/{agent}", timeout=10).json()["success"]
    assert wandb.heartbeat(agent, running=True) is None


def test_one_refused_project_hides_its_own_runs_only(state: State, wandb: WandbRunQueue, shaped: str) -> None:
    """Among a hundred runs of many projects; an absent run stays absent."""
    paths = [RunPath("team", f"p{number}", name) for number in range(30) for name in ("r", "gone")]
    for path in paths[::2]:
        state.upsert_run(path.entity, path.project, path.run_id, {})
    state.errors.projects = {"team/p7"}
    answers = wandb.run_statuses(paths)
    assert set(answers.found) == {path for path in paths[::2] if path.project != "p7"}
    assert answers.hidden | set(answers.failed) == {path for path in paths if path.project == "p7"}
    if shaped not in ("400", "409", "mixed"):
        assert not answers.failed


def test_one_item_does_not_spoil_the_look_at_others(state: State, wandb: WandbRunQueue, shaped: str) -> None:
    """One is gone, one is in a queue that never was: both are absent, all others are found."""
    there = [state.push("team", "gpus", SPEC).id for _ in range(20)]
    lost = gone(state)
    asked = [*((GPUS, item) for item in there), (GPUS, lost), (Queue(entity="team", name="nowhere"), "x")]
    answers = wandb.item_statuses(asked)
    assert (set(answers.found), answers.failed) == (set(there), {})


CLIENT = """
import json
from wandb.sdk.launch.api import LaunchApi
api = LaunchApi()
def said(call, *given):
    try:
        return str(call(*given))
    except Exception as exc:
        return type(exc).__name__
print(json.dumps([
    said(api.fail_run_queue_item, "gone", "no quota", "run", None),
    said(api.update_run_queue_item_warning, "gone", "odd", "agent", None),
    said(api.ack_run_queue_item, "gone", "r1"),
    said(api.update_launch_agent_status, "gone", "RUNNING"),
    said(api.get_launch_agent, "gone"),
]))
"""


@pytest.mark.parametrize("shape", ["usual", "errors", "404", "409"])
def test_wandbs_own_client_reads_each_shape_as_a_refusal(
    state: State, client_env: dict[str, str], tmp_path: Path, shape: str
) -> None:
    """It answers False or raises; no shape looks to it as if the call had worked."""
    state.errors.shape = shape
    code, output = finished([sys.executable, "-c", CLIENT], client_env, tmp_path)
    assert code == 0, output
    answers = json.loads(output.splitlines()[-1])
    assert not [one for one in answers if one == "True" or "'success': True" in one], answers
    if shape != "usual":
        assert all("Error" in one or one in ("False", "None") for one in answers), answers


def runs(count: int) -> list[RunPath]:
    """Return runs of as many projects."""
    return [RunPath("e", f"p{number}", "r") for number in range(count)]


OUTAGES: list[tuple[Callable[[], Response], type[LaunchError]]] = [
    (lambda: Response("<html>bad gateway</html>", 502), Retry),
    (lambda: JSONResponse({"errors": [{"message": "boom"}]}, 500), Retry),
    (lambda: Response("slow down", 429), Retry),
    (lambda: JSONResponse({"errors": [{"message": "who are you?"}]}, 401), KeyRefused),
    (lambda: Response("<html>forbidden</html>", 403), Denied),
    (lambda: Response("<html>no such page</html>", 404), Retry),
    (lambda: JSONResponse({"errors": [{"message": "the database is read-only"}]}), Retry),
    (lambda: JSONResponse({"data": None}), Retry),
    (lambda: Response("not JSON"), Retry),
    (lambda: Response("[" * 100_000, media_type="application/json"), Retry),
]


@pytest.mark.parametrize(("answer", "kind"), OUTAGES, ids=range(len(OUTAGES)))
def test_an_outage_is_not_split_into_hundreds_of_queries(
    answer: Callable[[], Response], kind: type[LaunchError]
) -> None:
    """Of 1,000 launches all are undecided, none is hidden or gone, and W&B is left alone."""
    with answering(answer()) as (wandb, asked):
        answers = wandb.run_statuses(runs(1000))
        assert (answers.found, answers.hidden, len(answers.failed)) == ({}, frozenset(), 1000)
        assert {type(why) for why in answers.failed.values() if not isinstance(why, kind)} == set()
        items = [(QUEUE, f"i{number}") for number in range(1000)]
        assert len(wandb.item_statuses(items).failed) == 1000
    assert len(asked) <= 40


def listing(*names: str) -> dict[str, Any]:
    """Return what W&B answers for a project with these runs."""
    edges = [{"node": {"name": name, "state": "running", "stopped": False}} for name in names]
    return {"runs": {"edges": edges, "pageInfo": {"hasNextPage": False, "endCursor": None}}}


def test_partial_data_is_kept() -> None:
    """Errors with a path belong to their own project; the others are decided by one query."""
    errors = [
        {"message": "permission denied (<Response [403]>)", "path": ["a1"]},
        {"message": "it broke", "path": ["a2", "runs"]},
    ]
    partial = {"a0": listing("r"), "a1": None, "a2": None, "a3": listing()}
    with answering(JSONResponse({"data": partial, "errors": errors})) as (wandb, asked):
        answers = wandb.run_statuses(runs(4))
    assert (len(answers.found), len(answers.hidden), len(answers.failed)) == (1, 1, 1)
    assert "it broke" in str(next(iter(answers.failed.values())))
    assert len(asked) == 1


ODD: list[Any] = [
    {},
    {"project": {}},
    {"project": []},
    {"project": "x"},
    {"project": {"runs": None, "runQueue": "x"}},
    {"project": {"runs": {"edges": None}, "runQueue": {}}},
    {"project": {"runs": {"edges": [None]}, "runQueue": {"runQueueItem": "x"}}},
    {"project": {"runs": {"edges": [{"node": None}]}, "runQueue": {"runQueueItem": {}}}},
    {"project": {"runs": {"edges": [{"node": {"name": "r"}}]}, "runQueue": {"runQueueItem": {"state": None}}}},
    {"project": {"runs": {"edges": []}, "runQueue": {"runQueueItem": {"state": 5}}}},
    {"project": {"runs": {"edges": [], "pageInfo": {"hasNextPage": True, "endCursor": None}}, "runQueue": []}},
]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_an_answer_of_another_shape_is_no_fact(odd: Any) -> None:
    """Nulls, missing keys and wrong types leave a run and an item undecided; nothing else is raised."""
    with answering(data(**odd)) as (wandb, _):
        run = RunPath("e", "p", "r")
        assert list(wandb.run_statuses([run]).failed) == [run]
        assert list(wandb.item_statuses([(QUEUE, "i")]).failed) == ["i"]
        for call in (
            lambda: wandb.register("team", ["vertex"], {}),
            lambda: wandb.fail_item(QUEUE, "i", "no", "run"),
            lambda: wandb.warn_item(QUEUE, "i", "no", "run"),
        ):
            with pytest.raises(LaunchError):
                call()
        assert wandb.heartbeat("agent", running=True) is None
        assert wandb.ack("i", "r") is False
        assert wandb.pop(QUEUE, "agent") is None


def test_an_unknown_project_hides_its_runs() -> None:
    """W&B answers null for a project that it does not have, and for one that the key may not see."""
    with answering(data(project=None)) as (wandb, _):
        answers = wandb.run_statuses([RunPath("e", "p", "r")])
    assert (answers.found, answers.failed) == ({}, {})
    assert answers.hidden == frozenset({RunPath("e", "p", "r")})


@pytest.mark.parametrize("times", [1, 2])
def test_a_project_that_is_not_found_once_is_asked_for_again(times: int) -> None:
    """W&B answers 404 during an outage too; taken as a fact, an author would read that the run never began."""
    run, left = RunPath("e", "p", "r"), [times]

    def answer(_: Any) -> Response:
        left[0] -= 1
        if left[0] >= 0:
            return JSONResponse({"errors": [{"message": "project not found"}]}, 404)
        return data(project=listing("r"))

    with answering(answer) as (wandb, asked):
        answers = wandb.run_statuses([run])
    assert len(asked) == 2
    assert (set(answers.found), answers.hidden) == (({run}, frozenset()) if times == 1 else (set(), frozenset({run})))


def test_a_run_that_breaks_its_project_is_found_by_halving() -> None:
    """The error does not say which it is: the query is split until the run stands alone."""

    def answer(asked: Any) -> Response:
        names = json.loads(asked["variables"]["filters"])["name"]["$in"]
        if "r13" in names:
            return JSONResponse({"errors": [{"message": "it broke"}], "data": None})
        return data(project=listing(*names))

    with answering(answer) as (wandb, asked):
        answers = wandb.run_statuses([RunPath("e", "p", f"r{number}") for number in range(100)])
    assert list(answers.failed) == [RunPath("e", "p", "r13")]
    assert len(answers.found) == 99
    assert len(asked) <= 20
