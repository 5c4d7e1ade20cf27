"""What leaves for Vertex AI from status, and what comes back, without a network: hosts, filters, pages, errors."""

from datetime import datetime
from typing import Any

import pytest
import requests

from shared.adapters.vertex.jobs import VertexJobs
from shared.core.errors import LaunchError, Retry
from shared.core.jobstate import ENDED_STATES
from shared.core.ports import Span
from shared.core.traffic import Seen
from tests.contract.test_production_clients import PARENT
from tests.contract.wires import Given, Wire, answer, connected, refusal

JOBS = f"https://europe-west4-aiplatform.googleapis.com/v1/{PARENT}/customJobs"
JOB = f"{PARENT}/customJobs/7"
LABELS = {"launch_key": "k1", "launch_attempt": "2", "launch_agent": "a"}


def job(number: int = 7, **changes: Any) -> dict[str, Any]:
    """Return a job as REST writes it."""
    made = {"name": f"{PARENT}/customJobs/{number}", "labels": LABELS, "state": "JOB_STATE_RUNNING"}
    return {**made, "createTime": f"2026-01-01T00:00:{number:02}Z", **changes}


SINCE, BEFORE = (datetime.fromisoformat(f"2026-01-0{day}T02:00:00+02:00") for day in (1, 2))
LIVING = "".join(f' AND state!="{state}"' for state in ENDED_STATES)
ABOVE, BELOW = ' AND create_time>="2026-01-01T00:00:00Z"', ' AND create_time<"2026-01-02T00:00:00Z"'


@pytest.mark.parametrize(
    ("span", "filters"),
    [
        (None, LIVING),
        (Span(), LIVING),
        (Span(ended=True), ""),
        (Span(since=SINCE), f"{LIVING}{ABOVE}"),
        (Span(since=SINCE, before=BEFORE, ended=True), f"{ABOVE}{BELOW}"),
    ],
    ids=str,
)
def test_a_listing_filters_by_our_label_and_a_span(
    monkeypatch: pytest.MonkeyPatch, span: Span | None, filters: str
) -> None:
    """In UTC, by the second, page by page; it asks for the fields of decisions only."""
    pages = (answer({"customJobs": [job(1), {"name": "x"}], "nextPageToken": "two"}), answer({"customJobs": [job(2)]}))
    wire = connected(monkeypatch, Wire(*pages))
    adapter = VertexJobs("a")
    assert [each.name[-1] for each in adapter.list_jobs(PARENT, span)] == ["1", "2"]
    assert wire.lines == [f"GET {JOBS}"] * 2
    times = "createTime,startTime,endTime,updateTime"
    query = {
        "filter": f'labels.launch_agent="a"{filters}',
        "pageSize": "100",
        "fields": f"customJobs(name,labels,state,{times},error,jobSpec/scheduling),nextPageToken",
    }
    assert [each.query for each in wire.sent] == [query, {**query, "pageToken": "two"}]
    assert [each.request.body for each in wire.sent] == [None, None]
    assert adapter.traffic.seen() == Seen(2)


def test_a_listing_that_repeats_a_page_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the second one."""
    wire = connected(monkeypatch, Wire(answer({"customJobs": [job(1)], "nextPageToken": "two"})))
    with pytest.raises(Retry) as raised:
        list(VertexJobs("a").list_jobs(PARENT))
    assert str(raised.value) == f"customJobs.list on {PARENT}: the next page is the same page again"
    assert len(wire.sent) == 2


ODD = {"error": {"code": 400, "message": "no"}}
STATUS_CALLS: list[tuple[str, list[Given], object, int]] = [
    ("get", [refusal(404)], None, 1),
    ("get", [answer({"name": "x"})], None, 1),
    ("cancel", [answer({})], None, 1),
    ("cancel", [refusal(404)], None, 1),
    ("cancel", [refusal(400), answer(job(state="JOB_STATE_SUCCEEDED"))], None, 2),
    ("cancel", [refusal(400), refusal(404)], None, 2),
    ("cancel", [refusal(400), answer(job())], f"customJobs.cancel on {JOB}: no", 2),
    ("cancel", [refusal(409)], f"customJobs.cancel on {JOB}: no", 1),
    ("get", [refusal(403)], f"customJobs.get on {JOB}: no. The function's account needs the permission aip", 1),
    ("get", [answer([])], f"customJobs.get on {JOB}: the answer is not a JSON object", 1),
    ("get", [answer(b"x" * 32_000_001)], f"customJobs.get on {JOB}: it has more than 32,000,000 bytes", 1),
    ("get", [requests.Timeout("slow")], f"customJobs.get on {JOB}: slow", 1),
]


@pytest.mark.parametrize(("call", "answers", "expected", "calls"), STATUS_CALLS, ids=range(len(STATUS_CALLS)))
def test_one_job(monkeypatch: pytest.MonkeyPatch, call: str, answers: list[Given], expected: Any, calls: int) -> None:
    """A job that is gone is no error; a refused cancel is one only if the job goes on."""
    wire = connected(monkeypatch, Wire(*answers))
    adapter = VertexJobs("a")
    make = {"get": adapter.get_job, "cancel": adapter.cancel_job}[call]
    if expected is None:
        assert make(JOB) is None
    else:
        with pytest.raises(LaunchError) as raised:
            make(JOB)
        assert str(raised.value).startswith(expected)
    first = f"GET {JOBS}/7" if call == "get" else f"POST {JOBS}/7:cancel"
    assert wire.lines == [first, f"GET {JOBS}/7"][:calls]
    assert wire.sent[0].body == (None if call == "get" else {})
    unanswered = isinstance(answers[0], Exception) or len(answers[0].content) > 1_000
    counted = calls + (not isinstance(answers[0], Exception)) - 1 + unanswered
    assert adapter.traffic.seen() == Seen(counted, refused=unanswered)


@pytest.mark.parametrize("region", ["a.b", "evil.test#", "EU-west1", "europe", "a-1@evil.test", ""])
def test_a_name_without_a_region_reaches_nobody(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    """The function's token would follow it."""
    wire = connected(monkeypatch, Wire(answer()))
    with pytest.raises(Retry, match="is no region"):
        VertexJobs("a").get_job(f"projects/p/locations/{region}/customJobs/1")
    assert wire.sent == []
