"""What the adapters note about the answers of W&B and Vertex AI, from which the cadence follows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.ports import free_port
from deploy.local.serving import serving
from shared.adapters.vertex.jobs import VertexJobs
from shared.adapters.wandb import Graphql
from shared.core.errors import LaunchError
from shared.core.traffic import Seen

PARENT = "projects/p/locations/us-central1"
LIMITS = {"RateLimit-Limit": "1000", "RateLimit-Remaining": "0", "RateLimit-Reset": "17"}


@contextmanager
def answering(status: int, body: Any, headers: dict[str, str] | None = None) -> Iterator[str]:
    """Serve one answer for every call."""

    async def answer(_: Request) -> Response:
        return JSONResponse(body, status, headers)

    with serving(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])) as url:
        yield url


@pytest.mark.parametrize(
    ("status", "headers", "seen"),
    [
        (200, {}, Seen(1)),
        (200, LIMITS, Seen(1, reset=17)),
        (429, LIMITS, Seen(1, refused=True, reset=17)),
        (503, {}, Seen(2, refused=True)),
        (400, {}, Seen(1)),
        (401, {}, Seen(1)),
    ],
)
def test_wandb(status: int, headers: dict[str, str], seen: Seen) -> None:
    """429 and 503 ask for fewer calls, a refusal does not; a query without an answer is made twice."""
    with answering(status, {"data": {}}, headers) as url:
        graphql = Graphql(url, "k" * 40)
        try:
            graphql.query("query { viewer { id } }", {})
        except LaunchError:
            assert status != 200
        assert graphql.traffic.seen() == seen


def test_without_an_answer_wandb_and_vertex_count_as_busy() -> None:
    """Nobody listens there."""
    graphql = Graphql(f"http://127.0.0.1:{free_port()}", "k" * 40)
    jobs = VertexJobs("ours", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(LaunchError):
        graphql.query("query { viewer { id } }", {})
    with pytest.raises(LaunchError):
        list(jobs.list_jobs(PARENT))
    assert graphql.traffic.seen().refused
    assert jobs.traffic.seen().refused


@pytest.mark.parametrize("status", [429, 503, 403])
def test_vertex_that_refuses(status: int) -> None:
    """A missing permission is no reason to ask more slowly."""
    with answering(status, {"error": {"message": "no"}}) as url:
        jobs = VertexJobs("ours", url)
        with pytest.raises(LaunchError):
            list(jobs.list_jobs(PARENT))
        assert jobs.traffic.seen() == Seen(1, refused=status != 403)


@pytest.mark.parametrize("size", [10, 100])
def test_each_page_counts_whatever_its_size_and_its_fields(size: int) -> None:
    """A Vertex AI that ignores `fields` and `pageSize` is asked more slowly, not more often."""
    pages = 200 // size

    async def answer(request: Request) -> Response:
        page = int(request.query_params.get("pageToken", "0"))
        labels = {"launch_agent": "ours", "launch_key": "k", "launch_attempt": "1"}
        made = [
            {
                "name": f"{PARENT}/customJobs/{page * size + number}",
                "state": "JOB_STATE_RUNNING",
                "createTime": "2026-01-01T00:00:00Z",
                "labels": labels,
                "jobSpec": {"workerPoolSpecs": [{"containerSpec": {"env": [{"name": "A", "value": "B" * 100}]}}]},
            }
            for number in range(size)
        ]
        return JSONResponse({"customJobs": made, **({"nextPageToken": str(page + 1)} if page + 1 < pages else {})})

    with serving(Starlette(routes=[Route("/{path:path}", answer)])) as url:
        jobs = VertexJobs("ours", url)
        assert len(list(jobs.list_jobs(PARENT))) == 200
        assert jobs.traffic.seen() == Seen(pages)
