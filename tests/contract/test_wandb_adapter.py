"""Our adapter of W&B against servers that behave badly: what every answer, and no answer, means."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.processes import free_port
from deploy.local.serving import serving
from shared.adapters.wandb import Graphql, WandbRunQueue
from shared.core.errors import Denied, LaunchError, OutcomeUnknown, Reject, Retry
from shared.core.launch import RunPath
from shared.core.message import Queue

KEY = "planted-key-" * 4
QUEUE = Queue(entity="team", name="vertex")


@contextmanager
def answering(*answers: Response) -> Iterator[tuple[WandbRunQueue, list[Any]]]:
    """Serve these answers, one after the other and the last for ever; yields our adapter and what it asked."""
    asked: list[Any] = []

    async def graphql(request: Request) -> Response:
        asked.append(await request.json())
        return answers[min(len(asked), len(answers)) - 1]

    with serving(Starlette(routes=[Route("/graphql", graphql, methods=["POST"])])) as url:
        yield WandbRunQueue(Graphql(url, KEY)), asked


def data(**fields: Any) -> Response:
    """Answer with data."""
    return JSONResponse({"data": fields})


BROKEN = [
    (JSONResponse({"errors": [{"message": "who are you?"}]}, 401), Denied, Denied),
    (JSONResponse({"errors": [{"message": "not yours"}]}, 403), Denied, Denied),
    (JSONResponse({"errors": [{"message": "permission denied"}], "data": None}), Denied, Denied),
    (Response("slow down", 429), Retry, Retry),
    (Response("<html>bad gateway</html>", 502), OutcomeUnknown, Retry),
    (JSONResponse({"errors": [{"message": "boom"}]}, 500), OutcomeUnknown, Retry),
    (JSONResponse({"errors": [{"message": "no such queue"}], "data": None}), Retry, Retry),
    (Response("not JSON"), OutcomeUnknown, Retry),
    (Response("[" * 100_000, media_type="application/json"), OutcomeUnknown, Retry),
    (JSONResponse([]), OutcomeUnknown, Retry),
    (JSONResponse({"data": None}), OutcomeUnknown, Retry),
]


@pytest.mark.parametrize(("answer", "of_a_mutation", "of_a_query"), BROKEN, ids=range(len(BROKEN)))
def test_what_an_answer_means(
    answer: Response, of_a_mutation: type[LaunchError], of_a_query: type[LaunchError]
) -> None:
    """A mutation that may have worked is not repeated; a query, a heartbeat or a report is, once, and then later."""
    with answering(answer) as (wandb, asked):
        with pytest.raises(LaunchError) as failed:
            wandb.pop(QUEUE, "agent")
        assert type(failed.value) is of_a_mutation
        assert len(asked) == 1
        with pytest.raises(LaunchError) as failed:
            wandb.run_statuses([RunPath("e", "p", "r")])
        assert type(failed.value) is of_a_query
        assert KEY not in str(failed.value)


def test_nobody_there_can_be_told() -> None:
    """W&B is down: nothing is taken for an answer."""
    wandb = WandbRunQueue(Graphql(f"http://127.0.0.1:{free_port()}", KEY))
    with pytest.raises(OutcomeUnknown):
        wandb.ack("item", "run")
    with pytest.raises(Retry):
        wandb.item_statuses([(QUEUE, "item")])


@pytest.mark.parametrize(
    ("answered", "spec"),
    [
        ({"a": 1}, {"a": 1}),
        ('{"a": 1}', {"a": 1}),
        ("[", {"run_spec": "["}),
        (None, {"run_spec": None}),
        ([], {"run_spec": []}),
    ],
)
def test_any_run_spec_is_handed_on(answered: Any, spec: Any) -> None:
    """An odd one is written down too, and refused in words for its author."""
    with answering(data(popFromRunQueue={"runQueueItemId": "i", "runSpec": answered})) as (wandb, _):
        item = wandb.pop(QUEUE, "agent")
        assert item
        assert (item.id, item.run_spec) == ("i", spec)


def test_a_full_page_is_followed_by_the_next() -> None:
    """Where W&B gives fewer runs at a time than were asked for."""

    def page(name: str, cursor: str | None) -> Response:
        info = {"hasNextPage": cursor is not None, "endCursor": cursor}
        edges = [{"node": {"name": name, "state": "running", "stopped": False}}]
        return data(project={"runs": {"edges": edges, "pageInfo": info}})

    with answering(page("a", "c1"), page("b", None)) as (wandb, asked):
        found = wandb.run_statuses([RunPath("e", "p", name) for name in ("a", "b", "gone")])
    assert {run.run_id for run in found} == {"a", "b"}
    assert [each["variables"].get("cursor") for each in asked] == [None, "c1"]


@pytest.mark.parametrize(("state", "refused"), [("CLAIMED", True), ("FAILED", False), (None, False)])
def test_a_report_that_is_not_taken(state: str | None, refused: bool) -> None:
    """Told before, or gone: nothing is owed. Otherwise it is not taken for told."""
    item = {"id": "i", "state": state, "associatedRunId": "r"} if state else None
    answers = (data(failRunQueueItem={"success": False}), data(project={"runQueue": {"runQueueItem": item}}))
    with answering(*answers) as (wandb, _):
        if refused:
            with pytest.raises(Reject):
                wandb.fail_item(QUEUE, "i", "no", "run")
        else:
            wandb.fail_item(QUEUE, "i", "no", "run")


def test_a_queue_that_does_not_exist_is_named_with_those_that_do() -> None:
    """For who configured it."""
    queues = data(project={"runQueues": [{"id": "1", "name": "vertex"}]})
    with answering(queues) as (wandb, _), pytest.raises(Reject, match=r"no queue named vertx\. Its queues: vertex"):
        wandb.register("team", ["vertx"], {})
