"""Each call of both adapters of Vertex AI × each way to fail: what it raises, and what it sent."""

from collections.abc import Callable, Mapping

import pytest

from shared.adapters.vertex.jobs import VertexJobs
from shared.adapters.vertex.submit import VertexCompute
from shared.core.errors import Denied, LaunchError, OutcomeUnknown, Retry
from tests.contract.broken import SHAPES, Broken, answer, bound, broken
from tests.contract.test_vertex_adapters import CALL, HERE, LABELS
from tests.fakes.clock import PLENTY

JOB = f"{HERE}/customJobs/1"


def compute(url: str, seconds: float) -> VertexCompute:
    """Return submit's adapter."""
    return VertexCompute("p", "us-central1", url, create_seconds=seconds, find_seconds=seconds)


def jobs(url: str, seconds: float) -> VertexJobs:
    """Return status's adapter."""
    return VertexJobs("ours", url, timeout=seconds)


Meaning = Mapping[str, type[LaunchError]]  # by shape
READ: Meaning = dict.fromkeys(SHAPES, Retry) | {"refused": Denied}
CALLS: dict[str, tuple[Callable[..., object], Meaning]] = {
    "list": (lambda *at: list(jobs(*at).list_jobs(HERE)), READ),
    "get": (lambda *at: jobs(*at).get_job(JOB), READ),
    "cancel": (lambda *at: jobs(*at).cancel_job(JOB), READ),
    "find": (lambda *at: compute(*at).find(HERE, LABELS), READ),
    # nothing tells whether the job exists, except a refusal
    "create": (
        lambda *at: compute(*at).create(CALL, PLENTY),
        dict.fromkeys(SHAPES, OutcomeUnknown) | {"refused": Denied},
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_fails_as_its_port_says(call: str, shape: str) -> None:
    """Within a bound of its own, however slowly an answer comes in; a create is sent once."""
    act, meanings = CALLS[call]
    with broken(shape) as server:
        with pytest.raises(LaunchError) as failed:
            act(server.url, bound(shape))
        assert type(failed.value) is meanings[shape], failed.value
        assert_bounded(server)
        if call == "create" and shape != "nobody there":
            assert server.count(b"POST ") == len(server.asked) == 1


def assert_bounded(server: Broken) -> None:
    """Check that nobody waited for the end of an answer that drips."""
    assert not server.read_to_its_end


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "nobody there"])
def test_a_listing_whose_second_page_fails_yields_no_end(shape: str) -> None:
    """Its jobs so far may be read; the error says that there are more."""
    page = {"customJobs": [{"name": JOB, "labels": LABELS, "state": "JOB_STATE_RUNNING"}], "nextPageToken": "two"}
    seen = []
    with broken(shape, b"pageToken=two", answer(200, page)) as server:
        with pytest.raises(READ[shape]):
            seen += [job.name for job in jobs(server.url, bound(shape, 1.0)).list_jobs(HERE)]
        assert_bounded(server)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "nobody there"])
def test_a_refused_cancel_whose_look_fails_is_an_error(shape: str) -> None:
    """400 may mean that the job has ended: only a look tells, and without it nothing is known."""
    refused = answer(400, {"error": {"code": 400, "message": "ended", "status": "FAILED_PRECONDITION"}})
    with broken(shape, b"GET ", refused) as server:
        with pytest.raises(READ[shape]):
            jobs(server.url, bound(shape, 1.0)).cancel_job(JOB)
        assert_bounded(server)
        assert (server.count(b"POST "), server.count(b"GET ") > 0) == (1, True)
