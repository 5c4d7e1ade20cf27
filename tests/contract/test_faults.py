"""The failures that a stand-in gives on purpose, as a client meets them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deploy.local.servers.faults import FAULTLESS, FAULTS, Fault, Faulty
from deploy.local.serving import serving
from tests.waiting import eventually


@contextmanager
def counting(rate: float, *faults: Fault, seed: int = 1) -> Iterator[tuple[str, list[bytes]]]:
    """Serve an application that counts what was done; yields its URL and the bodies of the calls that had an effect."""
    done: list[bytes] = []

    async def act(request: Request) -> JSONResponse:
        done.append(await request.body())
        return JSONResponse({"done": len(done)})

    routes = [Route(path, act, methods=["POST"]) for path in ("/v1/act", "/other")]
    with serving(Faulty(Starlette(routes=routes), "/v1/", rate, seed, faults or FAULTS)) as url:
        yield url, done


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.name))
def test_a_failure_is_what_it_is_called(fault: Fault) -> None:
    """The status, or no answer at all; and the effect is there or not."""
    with counting(1.0, fault) as (url, done):
        if fault.status:
            answer = requests.post(f"{url}/v1/act", data=b"x", timeout=10)
            assert answer.status_code == fault.status
        else:
            with pytest.raises(requests.ConnectionError):
                requests.post(f"{url}/v1/act", data=b"x", timeout=10)
        assert done == [b"x"] * fault.worked
        assert requests.get(f"{url}/standin/faults", timeout=5).json()["given"] == {fault.name: 1}


def test_a_late_answer_is_whole() -> None:
    """Nothing else is wrong with it."""
    [late] = [fault for fault in FAULTS if fault.late]
    with counting(1.0, late) as (url, _):
        assert requests.post(f"{url}/v1/act", data=b"x", timeout=10).json() == {"done": 1}


def test_only_the_functions_calls_fail() -> None:
    """Not those of another path, nor of who says so."""
    with counting(1.0, FAULTS[0]) as (url, done):
        assert requests.post(f"{url}/other", timeout=5).status_code == 200
        assert requests.post(f"{url}/v1/act", headers=FAULTLESS, timeout=5).status_code == 200
        assert len(done) == 2


def test_the_rate_can_be_changed_and_the_share_is_about_right() -> None:
    """Set to 0, nothing fails any more."""
    with counting(0.3, *FAULTS[:2]) as (url, done), requests.Session() as http:
        for _ in range(200):
            http.post(f"{url}/v1/act", timeout=5)
        failed = 200 - len(done)
        assert 30 < failed < 90
        assert http.post(f"{url}/standin/faults", json={"rate": 0}, timeout=5).json()["rate"] == 0
        for _ in range(50):
            http.post(f"{url}/v1/act", timeout=5)
        assert len(done) == 250 - failed


def test_a_seed_gives_one_sequence() -> None:
    """Another seed gives another sequence."""
    statuses = []
    for seed in (1, 1, 2):
        with counting(0.5, *FAULTS[:4], seed=seed) as (url, _):
            statuses.append([requests.post(f"{url}/v1/act", timeout=5).status_code for _ in range(30)])
    assert statuses[0] == statuses[1] != statuses[2]


@pytest.mark.parametrize("worked", [True, False])
def test_a_held_call_whose_caller_is_gone_has_worked_or_has_not(worked: bool) -> None:
    """As if it had died before the effect, or before the answer; only the first such call is held."""
    with counting(0.0) as (url, done):
        hold = {"pattern": r"^POST /v1/act\n.*wanted", "worked": worked}
        assert requests.post(f"{url}/standin/faults", json={"hold": hold}, timeout=5).json()["held"] is False
        assert requests.post(f"{url}/v1/act", data=b"other", timeout=5).status_code == 200
        with pytest.raises(requests.ReadTimeout):
            requests.post(f"{url}/v1/act", data=b"wanted", timeout=0.5)
        eventually(lambda: not requests.get(f"{url}/standin/faults", timeout=5).json()["held"], "it is let go", 10)
        assert requests.post(f"{url}/v1/act", data=b"wanted too", timeout=5).status_code == 200
        assert done == [b"other", *[b"wanted"] * worked, b"wanted too"]


def test_a_held_call_whose_caller_waits_is_answered() -> None:
    """After a while, with its effect."""
    with counting(0.0) as (url, done):
        requests.post(f"{url}/standin/faults", json={"hold": {"pattern": "act", "worked": False}}, timeout=5)
        assert requests.post(f"{url}/v1/act", data=b"x", timeout=30).json() == {"done": 1}
        assert done == [b"x"]
