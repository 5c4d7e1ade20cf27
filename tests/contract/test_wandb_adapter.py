"""Our adapter of W&B against servers that behave badly: what every answer, and no answer, means."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.processes import free_port
from deploy.local.serving import serving
from shared.adapters.wandb import Graphql, WandbJobs, WandbRunQueue
from shared.adapters.wandb.graphql import NotAllowed
from shared.core.errors import KeyRefused, LaunchError, OutcomeUnknown, Reject, Retry
from shared.core.launch import RunPath
from shared.core.message import Queue

KEY = "planted-key-" * 4
QUEUE = Queue(entity="team", name="vertex")


@contextmanager
def answering(*answers: Response | Callable[[Any], Response]) -> Iterator[tuple[WandbRunQueue, list[Any]]]:
    """Serve these answers, one after the other and the last for ever; yields our adapter and what it asked."""
    asked: list[Any] = []

    async def graphql(request: Request) -> Response:
        asked.append(await request.json())
        answer = answers[min(len(asked), len(answers)) - 1]
        return answer if isinstance(answer, Response) else answer(asked[-1])

    with serving(Starlette(routes=[Route("/graphql", graphql, methods=["POST"])])) as url:
        yield WandbRunQueue(Graphql(url, KEY)), asked


def data(**fields: Any) -> Response:
    """Answer with data."""
    return JSONResponse({"data": fields})


BROKEN = [
    (JSONResponse({"errors": [{"message": "who are you?"}]}, 401), KeyRefused, KeyRefused),
    (JSONResponse({"errors": [{"message": "not yours"}]}, 403), NotAllowed, NotAllowed),
    (JSONResponse({"errors": [{"message": "permission denied"}], "data": None}), NotAllowed, NotAllowed),
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
def test_an_answer_has_its_class(
    answer: Response, of_a_mutation: type[LaunchError], of_a_query: type[LaunchError]
) -> None:
    """A mutation that may have worked is not repeated; a query, a heartbeat or a report is, once, and then later."""
    with answering(answer) as (wandb, asked):
        with pytest.raises(LaunchError) as failed:
            wandb.pop(QUEUE, "agent")
        assert isinstance(failed.value, of_a_mutation)
        assert len(asked) == 1
        with pytest.raises(LaunchError) as failed:
            wandb.known_queues("e")
        assert isinstance(failed.value, of_a_query)
        assert KEY not in str(failed.value)


def test_an_unreachable_wandb_gives_no_answer() -> None:
    """W&B is down: nothing is taken for an answer."""
    wandb = WandbRunQueue(Graphql(f"http://127.0.0.1:{free_port()}", KEY))
    with pytest.raises(OutcomeUnknown):
        wandb.ack("item", "run")
    answers = wandb.item_statuses([(QUEUE, "item")])
    assert (answers.found, list(answers.failed)) == ({}, ["item"])


def test_a_full_page_is_followed_by_the_next() -> None:
    """If W&B returns fewer runs at a time than requested."""

    def page(name: str, cursor: str | None) -> Response:
        info = {"hasNextPage": cursor is not None, "endCursor": cursor}
        edges = [{"node": {"name": name, "state": "running", "stopped": False}}]
        return data(project={"runs": {"edges": edges, "pageInfo": info}})

    with answering(page("a", "c1"), page("b", None)) as (wandb, asked):
        found = wandb.run_statuses([RunPath("e", "p", name) for name in ("a", "b", "gone")]).found
    assert {run.run_id for run in found} == {"a", "b"}
    assert [each["variables"].get("cursor") for each in asked] == [None, "c1"]


@pytest.mark.parametrize(("state", "refused"), [("CLAIMED", True), ("FAILED", False), (None, False)])
def test_a_report_that_is_not_taken(state: str | None, refused: bool) -> None:
    """An item that was reported before, or is gone, is owed nothing. A claimed one is."""
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


@pytest.mark.parametrize("answer", [answer for answer, of_a_mutation, _ in BROKEN if of_a_mutation is NotAllowed])
def test_a_job_that_may_not_be_read_is_refused(answer: Response) -> None:
    """Its author named it; no repetition helps."""
    with answering(answer) as (wandb, _), pytest.raises(Reject, match="job: other/p/j:v1 may not be read"):
        WandbJobs(wandb._graphql).resolve("other/p/j:v1")  # noqa: SLF001 - the same connection


@pytest.mark.parametrize("own", [True, False])
def test_only_wandb_itself_is_shown_the_key(own: bool) -> None:
    """A file's address elsewhere has its permission in it, and no more of the file is read than was asked for."""
    shown: list[str] = []

    async def file(request: Request) -> Response:
        shown.append(request.headers.get("authorization", ""))
        return Response(b"0123456789")

    with serving(Starlette(routes=[Route("/file", file)])) as url:
        base = url if own else "http://127.0.0.1:1"
        assert Graphql(base, KEY).download("/file" if own else f"{url}/file", 4) == b"0123"
    assert [bool(one) for one in shown] == [own]


def test_a_file_that_is_not_to_be_had_is_asked_for_later() -> None:
    """Its address may have grown old; no part of it is shown, for it is a permission."""
    with serving(Starlette(routes=[])) as url, pytest.raises(Retry) as failed:
        Graphql("http://127.0.0.1:1", KEY).download(f"{url}/file?signature=s3cret", 4)
    assert "404" in str(failed.value)
    with pytest.raises(Retry) as failed:
        Graphql("http://127.0.0.1:1", KEY).download("http://127.0.0.1:1/file?signature=s3cret", 4)
    assert "s3cret" not in str(failed.value)
