"""Sweeps: their state, asked of the W&B stand-in over HTTP as wandb's own client does."""

import sys
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.processes import free_port
from deploy.local.serving import serving
from deploy.local.wandb_server.state import State
from shared.adapters.wandb import Graphql, WandbSweeps
from shared.core.errors import Denied, LaunchError, Reject, Retry
from tests.contract.test_wandb_server import KEY, client_env, clock, finished, state, url

__all__ = ["client_env", "clock", "state", "url"]  # fixtures

THEIRS = """
import sys
from wandb.apis.public.sweeps import _get_sweep_state
from wandb.sdk.launch.api import LaunchApi
print(_get_sweep_state(LaunchApi(), sys.argv[1], entity="team", project="vision"))
"""


@pytest.mark.parametrize("as_it_is", ["RUNNING", "PAUSED", "FINISHED", "CANCELED"])
def test_a_sweeps_state_is_what_the_agent_reads(
    state: State, url: str, client_env: dict[str, str], tmp_path: Path, as_it_is: str
) -> None:
    """By the function of the installed wandb that the agent asks with."""
    with state.lock:
        state.project("team", "vision")
        state.runs.add_sweep("team", "vision", "sw1", as_it_is)
    code, said = finished([sys.executable, "-c", THEIRS, "sw1"], client_env, tmp_path)
    assert code == 0, said
    assert WandbSweeps(Graphql(url, KEY)).state_of("team", "vision", "sw1") == said.splitlines()[-1] == as_it_is


def test_a_sweep_that_is_not_there_has_no_state(state: State, url: str) -> None:
    """Be it the sweep that is missing, its project or its entity."""
    with state.lock:
        state.project("team", "vision")
    sweeps = WandbSweeps(Graphql(url, KEY))
    for entity, project in (("team", "vision"), ("team", "other"), ("nobody", "vision")):
        assert not sweeps.state_of(entity, project, "sw1")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (JSONResponse({}, 401), Denied),
        (JSONResponse({}, 403), Reject),
        (JSONResponse({}, 429), Retry),
        (JSONResponse({}, 502), Retry),
    ],
    ids=["wrong key", "not its project", "too many requests", "down"],
)
def test_what_goes_wrong_says_what_to_do(answer: Response, kind: type[LaunchError]) -> None:
    """A sweep that the key may not see is the author's affair, a key that is not accepted the operator's."""

    async def graphql(_: Request) -> Response:
        return answer

    app = Starlette(routes=[Route("/graphql", graphql, methods=["POST"])])
    with serving(app) as address, pytest.raises(kind):
        WandbSweeps(Graphql(address, KEY)).state_of("team", "vision", "sw1")


def test_wandb_out_of_reach_is_tried_again() -> None:
    """Nothing listens there."""
    with pytest.raises(Retry, match=r"cannot be reached|did not answer"):
        WandbSweeps(Graphql(f"http://127.0.0.1:{free_port()}", KEY)).state_of("team", "vision", "sw1")
