"""What the log says about W&B's refusals, and the small questions: how many items wait, whether the key is valid."""

from typing import Any

import pytest

from shared.adapters.wandb import WandbKey, documents
from shared.adapters.wandb.answers import Refused
from shared.adapters.wandb.item_id import IdFinder
from shared.adapters.wandb.reports import report
from shared.core.budget import Budget
from shared.core.errors import Denied, KeyRefused, LaunchError, Reject, Retry
from shared.core.message import Queue
from shared.core.ports import Answers, ItemStatus
from tests.unit.test_wandb_requests import Answering, run_queue

QUEUE = Queue(entity="team", name="vertex")
NO = {"failRunQueueItem": {"success": False}}
WARN_NO = {"updateRunQueueItemWarning": {"success": False}}


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, Any]]:
    """Return the lines of the log."""
    return [(line.levelname, line.message, vars(line).get("fields")) for line in caplog.records]


@pytest.mark.parametrize(
    ("document", "answers", "state", "level", "event", "because"),
    [
        (documents.FAIL, [NO], "FAILED", "INFO", "report_not_needed", "W&B answers success: false"),
        (documents.FAIL, [NO], None, "INFO", "report_not_needed", "W&B answers success: false"),
        (documents.FAIL, [{}], "CLAIMED", "WARNING", "report_refused", "W&B answers without a result"),
        (documents.WARN, [WARN_NO, WARN_NO], "CLAIMED", "WARNING", "report_refused", "W&B answers success: false"),
        (documents.WARN, [Retry("down")], "CLAIMED", "WARNING", "report_refused", "down"),
    ],
)
def test_a_report_that_is_not_taken_is_logged(
    caplog: pytest.LogCaptureFixture,
    document: str,
    answers: list[Any],
    state: str | None,
    level: str,
    event: str,
    because: str,
) -> None:
    """With the item, its queue, the operation, and W&B's own words."""
    caplog.set_level("INFO")
    status = {"i1": ItemStatus(state, "r1")} if state else {}
    values = {"runQueueItemId": "i1", "message": "m", "stage": "agent"}
    error: LaunchError | None = None
    try:
        report(Answering(*answers).graphql, document, QUEUE, values, lambda *_: Answers(status), Budget(30))
    except LaunchError as exc:
        error = exc
    operation = "failRunQueueItem" if document == documents.FAIL else "updateRunQueueItemWarning"
    fields = {"item": "i1", "queue": "vertex", "operation": operation, "because": because}
    assert lines(caplog) == [(level, f"wandb.{event}", fields)] * len(answers)
    assert (error is None) == (level == "INFO")
    assert isinstance(error, Reject) == (len(answers) == 2)


def test_a_refused_ack_and_an_unknown_agent_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """With W&B's reason."""
    caplog.set_level("INFO")
    _, adapter = run_queue(Refused("W&B refuses: gone"), Refused("W&B refuses: who?"))
    assert adapter.ack("i1", "r1") is False
    assert adapter.heartbeat("a1", running=True) is None
    assert lines(caplog) == [
        ("INFO", "wandb.ack_refused", {"item": "i1", "because": "W&B refuses: gone"}),
        ("WARNING", "wandb.agent_unknown", {"agent_id": "a1", "because": "W&B refuses: who?"}),
    ]


def page(*states: object, cursor: str | None = None, more: object = False) -> dict[str, Any]:
    """Return a page of a queue's items."""
    items = {"edges": [{"node": {"state": state}} for state in states]}
    info = {"pageInfo": {"endCursor": cursor, "hasNextPage": more}}
    return {"project": {"runQueue": {"runQueueItems": {**items, **info}}}}


ENDLESS = page("PENDING", cursor="c", more=True)


@pytest.mark.parametrize(
    ("pages", "waiting"),
    [
        ([page("PENDING", "pending", "CLAIMED", None)], 2),
        ([page("PENDING", cursor="c", more=True), page("PENDING", "FAILED")], 2),
        ([page()], 0),
        ([{"project": None}], None),
        ([page("PENDING", cursor="c", more=None)], 1),
        ([*[ENDLESS] * 4, page("PENDING")], 5),
        ([ENDLESS] * 5, None),
    ],
    ids=range(7),
)
def test_the_waiting_items_of_a_queue_are_counted(pages: list[Any], waiting: int | None) -> None:
    """A hundred a query, five queries at most."""
    wandb, adapter = run_queue(*pages)
    assert adapter.count_waiting(QUEUE) == waiting
    where = {"projectName": "model-registry", "entityName": "team", "runQueue": "vertex", "first": 100}
    cursors = [None, *["c"] * (len(pages) - 1)]
    assert wandb.asked == [(documents.QUEUE_ITEMS, {**where, "after": cursor}) for cursor in cursors]
    assert (wandb.answers, len(wandb.budgets)) == ([], 1)


@pytest.mark.parametrize(
    ("answer", "raised", "logged"),
    [
        ({}, None, []),
        (Retry("down"), None, ["down"]),
        (Denied("no"), None, ["no"]),
        (KeyRefused("401"), KeyRefused, []),
    ],
    ids=str,
)
def test_the_key_is_checked_once_a_minute(
    caplog: pytest.LogCaptureFixture, answer: Any, raised: type[LaunchError] | None, logged: list[str]
) -> None:
    """An outage counts as an answer, a refusal does not."""
    caplog.set_level("INFO")
    now = [0.0]
    wandb = Answering(answer, {}, {})
    key = WandbKey(wandb.graphql, lambda: now[0])
    if raised:
        with pytest.raises(raised):
            key.check()
    else:
        key.check()
    asked = []
    for seconds in (0.0, 59.9, 0.1, 59.9):
        now[0] += seconds
        key.check()
        asked.append(len(wandb.asked))
    assert asked == ([2, 2, 3, 3] if raised else [1, 1, 2, 2])
    assert wandb.asked[0] == (documents.VIEWER, {})
    assert [fields["because"] for _, _, fields in lines(caplog)] == logged


POP = '{"data": {"popFromRunQueue": {%s}}}'
IDS: list[tuple[str, str]] = [
    (POP % '"runQueueItemId": "i1"', "i1"),
    (POP % r'"runQueueItemId": "a\"b\\c\u00e9"', 'a"b\\cé'),
    (POP % '"runSpec": {"runQueueItemId": "no", "data": [{"x": 1}]}, "runQueueItemId": "i1"', "i1"),
    (POP % '"runSpec": "\\"runQueueItemId\\": \\"no\\"", "runQueueItemId": "i1"', "i1"),
    (POP % '"x": "runQueueItemId", "runQueueItemId": "i1"', "i1"),
    (POP % '"runQueueItemId": null, "y": "no"', ""),
    (POP % '"runQueueItemId": {"a": "no"}', ""),
    (POP % '"runQueueItemId": ["no"]', ""),
    ('{"popFromRunQueue": {"runQueueItemId": "no"}}', ""),
    ('{"data": {"runQueueItemId": "no"}}', ""),
    ('{"data": [{"popFromRunQueue": {"runQueueItemId": "no"}}]}', ""),
    ('[{"data": {"popFromRunQueue": {"runQueueItemId": "no"}}}]', ""),
    ('{"errors": [{"path": ["data"]}], "data": {"popFromRunQueue": {"runQueueItemId": "i1"}}}', "i1"),
    ('{"data": {"other": {"runQueueItemId": "no"}, "popFromRunQueue": {"runQueueItemId": "i1"}}}', "i1"),
    ('{"data": {"popFromRunQueue": {}}, "x": {"popFromRunQueue": {"runQueueItemId": "no"}}}', ""),
    (POP % f'"runSpec": {"[" * 5000}{"]" * 5000}, "runQueueItemId": "i1"', "i1"),
    (POP % f'"runSpec": "{"x" * 5000}", "runQueueItemId": "i1"', "i1"),
    (POP % f'"runQueueItemId": "{"x" * 1000}"', "x" * 1000),
    (POP % r'"runQueueItemId": "\x"', ""),
    ("}}]]" + POP % '"runQueueItemId": "i1"', "i1"),
]


@pytest.mark.parametrize(("text", "found"), IDS, ids=range(len(IDS)))
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_an_id_is_found_at_its_own_place_only(text: str, found: str, size: int) -> None:
    """However the answer is cut into pieces, and with any text before it."""
    finder, encoded = IdFinder(), text.encode()
    for at in range(0, len(encoded), size):
        finder.feed(encoded[at : at + size])
    assert finder.found == found


@pytest.mark.parametrize(
    ("call", "document", "operation"),
    [
        ("fail_item", documents.FAIL, "failRunQueueItem"),
        ("warn_item", documents.WARN, "updateRunQueueItemWarning"),
    ],
)
def test_a_report_may_quote_half_a_character(call: str, document: str, operation: str) -> None:
    """A name in a run spec can have one, which no JSON of W&B takes."""
    wandb, adapter = run_queue({operation: {"success": True}})
    getattr(adapter, call)(QUEUE, "i1", "half \ud800 é", "run")
    assert wandb.asked == [(document, {"runQueueItemId": "i1", "message": "half ? é", "stage": "run"})]
