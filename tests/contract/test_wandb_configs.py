"""A queue's configuration, read from the W&B stand-in over HTTP as wandb's own client does, and what can go wrong."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.processes import free_port
from deploy.local.servers.wandb.app import create_app
from deploy.local.servers.wandb.state import State
from deploy.local.serving import serving
from shared.adapters.wandb import Graphql, WandbQueueConfigs
from shared.core.errors import KeyRefused, LaunchError, Reject, Retry
from shared.core.message import Queue

KEY = "planted-key-" * 4
QUEUE = Queue(entity="team", name="vertex")
ARGUMENTS = {"resource_args": {"gcp-vertex": {"spec": {"labels": {"size": "{{size}}"}}}}}


@contextmanager
def answering(*answers: Response) -> Iterator[WandbQueueConfigs]:
    """Serve these answers, one after the other and the last for ever."""
    waiting = list(answers)

    async def graphql(request: Request) -> Response:
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    with serving(Starlette(routes=[Route("/graphql", graphql, methods=["POST"])])) as url:
        yield WandbQueueConfigs(Graphql(url, KEY))


def test_a_queue_is_read_with_its_template_variables() -> None:
    """A queue that does not exist, or whose entity does not exist, has the configuration None."""
    wandb, schemas = State(api_keys=[KEY]), {"size": {"type": "string", "enum": ["s", "l"]}}
    wandb.make_queue("team", "vertex", config=ARGUMENTS, template_variables=schemas)
    with serving(create_app(wandb)) as url:
        configs = WandbQueueConfigs(Graphql(url, KEY))
        found = configs.config_of(QUEUE)
        assert found
        assert (found.resource, found.config, found.template_variables) == ("gcp-vertex", ARGUMENTS, schemas)
        assert configs.config_of(Queue(entity="team", name="other")) is None
        assert configs.config_of(Queue(entity="nobody", name="vertex")) is None
        with pytest.raises(KeyRefused, match="check the API key"):
            WandbQueueConfigs(Graphql(url, "wrong-key-" * 4)).config_of(QUEUE)


def queue(config_id: str | None) -> Response:
    """Answer with a queue."""
    return data(project={"runQueue": {"id": "q1", "access": "PROJECT", "defaultResourceConfigID": config_id}})


def data(**fields: Any) -> Response:
    """Answer with data."""
    return JSONResponse({"data": fields})


def test_a_queue_without_a_configuration_gives_nothing() -> None:
    """Whether it has none, or it is gone when asked for."""
    for answers in (
        [queue(None)],
        [queue("c1"), data(entity=None)],
        [queue("c1"), data(entity={"defaultResourceConfig": None})],
    ):
        with answering(*answers) as configs:
            found = configs.config_of(QUEUE)
            assert found
            assert (found.id, found.resource, found.config, found.template_variables) == ("q1", "", {}, {})


def test_objects_may_come_as_text() -> None:
    """W&B writes JSON in either way; what is no object is an empty one."""
    variables = [{"name": "size", "schema": json.dumps({"type": "string"})}, {"name": "odd", "schema": "{"}]
    given = {"config": json.dumps(ARGUMENTS), "resource": "gcp-vertex", "templateVariables": variables}
    with answering(queue("c1"), data(entity={"defaultResourceConfig": given})) as configs:
        found = configs.config_of(QUEUE)
        assert found
        assert (found.config, found.template_variables) == (ARGUMENTS, {"size": {"type": "string"}, "odd": {}})


def test_a_key_that_appears_twice_is_refused() -> None:
    """Otherwise the first value is lost."""
    given = {"config": '{"resource_args": {"gcp-vertex": {"run": {"timeout": 1, "timeout": 2}}}}'}
    problem = r"^resource_args\.gcp-vertex\.run\.timeout: appears twice in its object\."
    answers = (queue("c1"), data(entity={"defaultResourceConfig": given}))
    with answering(*answers) as configs, pytest.raises(Reject, match=problem):
        configs.config_of(QUEUE)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (JSONResponse({}, 401), KeyRefused),
        (JSONResponse({}, 403), Reject),
        (JSONResponse({"errors": [{"message": "permission denied"}]}), Reject),
        (JSONResponse({"errors": [{"message": "try later"}]}), Retry),
        (JSONResponse({}, 429), Retry),
        (JSONResponse({}, 500), Retry),
        (Response("<html>"), Retry),
    ],
    ids=range(7),
)
def test_each_failure_has_its_class(answer: Response, kind: type[LaunchError]) -> None:
    """A queue that may not be read is its author's affair, a key that is not accepted the operator's."""
    with answering(answer) as configs, pytest.raises(LaunchError) as wrong:
        configs.config_of(QUEUE)
    assert isinstance(wrong.value, kind)
    assert KEY not in str(wrong.value)


def test_a_wandb_that_is_down_is_asked_again_later() -> None:
    """Nothing was changed, so nothing is lost."""
    with pytest.raises(Retry):
        WandbQueueConfigs(Graphql(f"http://127.0.0.1:{free_port()}", KEY)).config_of(QUEUE)
