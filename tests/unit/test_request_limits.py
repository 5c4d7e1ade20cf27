"""What a request of another system may name: each limit of `requests`, and the words of its refusal."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from shared.config.requests import RequestLimits
from shared.core.errors import Reject
from shared.core.intake import from_request
from shared.core.message import Queue, Request
from shared.runspec.model import Draft
from shared.runspec.requests import admit_request
from tests.unit.specs import draft_of, run_spec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OURS = RequestLimits().within("team", ["vertex", "gpus"])
ASK_OPERATOR = "ask the operator of this deployment."


def draft(queue: Queue | None = None, **changes: Any) -> Draft:
    """Return a request of `ci` with these fields of its run spec changed."""
    spec = run_spec(**changes)
    return Draft.of(from_request(Request(idempotency_key="1", source="ci", queue=queue, run_spec=spec), NOW))


def refused(asked: Draft, limits: RequestLimits = OURS) -> str:
    """Return the words of the refusal; empty if the request is admitted."""
    try:
        admit_request(asked, limits, ["TEAM_BUCKET"])
    except Reject as exc:
        return str(exc)
    return ""


@pytest.mark.parametrize(
    ("changes", "limits", "why"),
    [
        ({}, OURS, ""),
        ({}, OURS.model_copy(update={"sources": ("ci",)}), ""),
        (
            {},
            OURS.model_copy(update={"sources": ("nightly", "weekly")}),
            "source: is 'ci', which requests.sources does not allow. Allowed: nightly, weekly. "
            f"To change requests.sources, {ASK_OPERATOR}",
        ),
        (
            {},
            OURS.model_copy(update={"sources": ()}),
            "source: is 'ci', which requests.sources does not allow. Allowed: none. "
            f"To change requests.sources, {ASK_OPERATOR}",
        ),
        ({"queue": Queue(entity="team", name="gpus")}, OURS, ""),
        (
            {"queue": Queue(entity="team", name="other")},
            OURS,
            "queue: is 'team/other', which requests.queues does not allow. Allowed: team/vertex, team/gpus. "
            f"To change requests.queues, {ASK_OPERATOR}",
        ),
        (
            {"entity": "research"},
            OURS,
            "entity: is 'research', which requests.entities does not allow. Allowed: team. "
            f"To change requests.entities, {ASK_OPERATOR}",
        ),
        ({"project": "CATS"}, OURS.model_copy(update={"projects": ("Cats",)}), ""),
        (
            {"project": "Dogs"},
            OURS.model_copy(update={"projects": ("Cats",)}),
            "project: is 'dogs', which requests.projects does not allow. Allowed: cats. "
            f"To change requests.projects, {ASK_OPERATOR}",
        ),
        ({"job": "team/cats/train:v1"}, OURS, ""),
        (
            {"job": "research/cats/train:v1"},
            OURS,
            "job: is 'research', which requests.entities does not allow. Allowed: team. "
            f"To change requests.entities, {ASK_OPERATOR}",
        ),
        (
            {"job": "team/dogs/train:v1"},
            OURS.model_copy(update={"projects": ("cats",)}),
            "job: is 'dogs', which requests.projects does not allow. Allowed: cats. "
            f"To change requests.projects, {ASK_OPERATOR}",
        ),
        (
            {"uri": "placeholder-uri-scheduler", "resource": "gcp-vertex"},
            OURS,
            "uri: is a sweep's scheduler, which a request cannot be. "
            "Enqueue the sweep on a queue with `wandb launch-sweep`.",
        ),
        (
            {"run_id": "r1"},
            OURS,
            "run_id: is 'r1', which could be another launch's run. "
            "Leave run_id out: source and idempotency_key give the run its own id.",
        ),
        (
            {"resource_args": {"vertex": {"spec": {"display_name": "${TEAM_BUCKET}"}}}},
            OURS,
            "resource_args: contain ${TEAM_BUCKET}, which only a queue's configuration may contain. "
            "Write its value, or name a queue that contains it.",
        ),
        ({"resource_args": {"vertex": {"spec": {"display_name": "${OTHER}"}}}}, OURS, ""),
    ],
    ids=str,
)
def test_a_request_names_only_what_its_limits_allow(changes: dict[str, Any], limits: RequestLimits, why: str) -> None:
    """The refusal names the field, the value, the limit and the allowed values."""
    assert refused(draft(**changes), limits) == why


@pytest.mark.parametrize(("attempt", "admitted"), [(0, False), (1, False), (2, True)])
def test_a_queues_own_configuration_is_no_macro_of_the_publisher(attempt: int, admitted: bool) -> None:
    """From the second attempt on, the ledger holds the request with its queue's configuration."""
    asked = draft(resource_args={"vertex": {"spec": {"display_name": "${TEAM_BUCKET}"}}})
    later = replace(asked.launch, entry=replace(asked.launch.entry, attempt=attempt))
    assert (refused(replace(asked, launch=later)) == "") == admitted


def test_an_item_of_a_queue_has_no_limits() -> None:
    """W&B has already checked what its author may do."""
    nothing = RequestLimits(sources=(), queues=())
    assert refused(draft_of(run_spec(entity="research", run_id="r1")), nothing) == ""


MISSING = "Input should be the allowed values; remove the key for its default"


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("queues", "vertex", "is 'vertex': write ENTITY/QUEUE"),
        ("queues", "/vertex", "is '/vertex': write ENTITY/QUEUE"),
        ("queues", "team/", "is 'team/': write ENTITY/QUEUE"),
        ("queues", "team/ ", "is 'team/ ': write ENTITY/QUEUE"),
        ("queues", " team/x", "is ' team/x': write ENTITY/QUEUE"),
        ("queues", "x" * 300, f"is '{'x' * 100}…{'x' * 100}': write ENTITY/QUEUE"),
        ("sources", "", "is '': write a name as W&B shows it"),
        ("sources", " ci", "is ' ci': write a name as W&B shows it"),
        ("sources", "é" * 129, f"is '{'é' * 129}': write a name as W&B shows it"),
        ("sources", "x" * 257, f"is '{'x' * 100}…{'x' * 100}': write a name as W&B shows it"),
        ("entities", "team/x", "is 'team/x': write only the name, without /"),
        ("projects", "", "is '': write a name as W&B shows it"),
        ("projects", f"{'x' * 300}/", f"is '{'x' * 100}…{'x' * 99}/': write only the name, without /"),
    ],
)
def test_a_wrong_limit_says_what_to_write(key: str, value: str, problem: str) -> None:
    """A long value is shortened in its middle; a key without a value is no limit."""
    with pytest.raises(ValidationError) as refused:
        RequestLimits.model_validate({key: [value]})
    assert [error["msg"] for error in refused.value.errors()] == [f"Value error, {problem}"]
    with pytest.raises(ValidationError, match=MISSING):
        RequestLimits.model_validate({key: None})


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("queues", ("team/vertex", "team/a/b", "team/ x ")),
        ("sources", ("ci", "x" * 256, "é" * 128, "a/b")),
        ("entities", ("team",)),
        ("projects", ("Cats",)),
    ],
)
def test_a_limit_keeps_its_values(key: str, values: tuple[str, ...]) -> None:
    """Up to W&B's own length of names."""
    assert getattr(RequestLimits.model_validate({key: list(values)}), key) == values


def test_the_deployments_own_names_are_the_defaults() -> None:
    """Each only where the operator has written none; a queue's name may have a slash."""
    assert (OURS.queues, OURS.entities, OURS.projects, OURS.sources) == (
        ("team/vertex", "team/gpus"), ("team",), None, None
    )  # fmt: skip
    assert RequestLimits().within("", []).entities is None
    assert RequestLimits().within("", []).queues == ()
    own = RequestLimits(queues=("lab/a/b",), entities=("lab",))
    assert own.within("team", ["vertex"]) == own
    assert own.allows_queue(Queue(entity="lab", name="a/b"))
    assert not own.allows_queue(Queue(entity="lab/a", name="b"))
    assert not RequestLimits().allows_queue(Queue(entity="lab", name="a"))
