"""How a launch begins: any item or request is kept unchanged, or refused with the path of what cannot be kept."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.core.errors import Reject
from shared.core.intake import MAX_DEPTH, MAX_DIGITS, MAX_NAME, from_item, from_request, storable
from shared.core.launch import Launch, Outcome, State
from shared.core.message import Queue, Request, decode, encode
from shared.runspec.fields import MAX_DEPTH as RENDERED_DEPTH

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = Queue(entity="team", name="vertex")
LAUNCH = TypeAdapter(Launch)
CAT = "\N{CAT}"  # four bytes in UTF-8
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec=None)), inner),
)


def nested(levels: int, of: Callable[[Any], Any] = lambda inner: [inner]) -> Any:
    """Return a value that is nested so deeply."""
    value: Any = "x"
    for _ in range(levels):
        value = of(value)
    return value


def read_back(launch: Launch) -> Launch:
    """Return a launch as the ledger's readers read it."""
    return LAUNCH.validate_json(LAUNCH.dump_json(launch, exclude={"generation"}))


def refused(run_spec: dict[str, Any]) -> str:
    """Return why an item of this run spec is refused, and check what is kept of it."""
    launch = from_item("item", QUEUE, run_spec, NOW)
    entry = launch.entry
    assert (entry.state, entry.outcome, entry.report_owed) == (State.ENDED, Outcome.REJECTED, True)
    assert read_back(launch) == launch
    assert len(LAUNCH.dump_json(launch)) < 8000
    return launch.reason


@given(ANY_JSON)
def test_any_item_is_kept_as_it_is_or_refused(value: Any) -> None:
    """Half surrogates, NaN and infinity among it: no value is changed, and any record can be read."""
    spec = {"entity": value, "project": "p", "any": value}
    launch = from_item("item", QUEUE, spec, NOW)
    assert read_back(launch) == launch
    text = json.dumps(launch.run_spec, allow_nan=False)
    assert launch.entry.state is State.ENDED or (launch.run_spec == spec and json.loads(text) == spec)


def test_a_usual_spec_is_kept_to_the_letter() -> None:
    """The same object, with any content."""
    spec = {"a": [1, 1.5, True, None, "é🐈"], "b": {"c": {"d": []}}, "e": 10**MAX_DIGITS - 1, "f": 1.7e308}
    assert storable(spec) is spec
    assert from_item("a", QUEUE, spec, NOW).run_spec == spec


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (
            {"overrides": {"run_config": {"lr": math.nan}}},
            "overrides.run_config.lr: is NaN, which JSON does not have. Write a number or null.",
        ),
        ({"a": [1, [math.inf]]}, "a[1][0]: is Infinity, which JSON does not have. Write a number or null."),
        ({"a": -math.inf}, "a: is -Infinity, which JSON does not have. Write a number or null."),
        (
            {"author": "a", "name": "half \ud83d"},
            "name: contains half of a surrogate pair (\\ud83d), which UTF-8 does not have. "
            "Write the whole character, or remove it.",
        ),
        (
            {"overrides": {"half \ud83d": 1}},
            "overrides.half \\ud83d: contains half of a surrogate pair (\\ud83d), which UTF-8 does not have. "
            "Write the whole character, or remove it.",
        ),
        ({"seed": 10**MAX_DIGITS}, "seed: is an integer of more than 4,300 digits. Write it as text."),
        ({"seed": [-(10**MAX_DIGITS)]}, "seed[0]: is an integer of more than 4,300 digits. Write it as text."),
        (
            {"run_id": CAT * 256},
            "run_id: has 1,024 bytes in UTF-8; the limit is 256. W&B's own names are shorter.",
        ),
        ({"a": {1, 2}}, "a: is of type set, which JSON does not have."),
    ],
)
def test_a_value_that_cannot_be_kept_is_refused_by_its_path(spec: dict[str, Any], reason: str) -> None:
    """Its author reads where it is, why, and what to write."""
    assert refused(spec) == reason


@pytest.mark.parametrize("of", [lambda inner: [inner], lambda inner: {"k": inner}], ids=["lists", "objects"])
@pytest.mark.parametrize("levels", [MAX_DEPTH, 150, 5000, 100_000])
def test_nesting_of_any_depth_is_refused(levels: int, of: Callable[[Any], Any]) -> None:
    """Without exhausting our own stack. The longest path is shortened in its middle."""
    reason = refused({"a": nested(levels, of)})
    assert reason.startswith("a")
    assert reason.endswith("is nested more than 100 levels deep. Write it with fewer levels.")
    assert len(reason) < 500


def test_a_spec_too_deep_for_the_renderer_is_kept() -> None:
    """The ledger holds more levels than the renderer takes."""
    assert MAX_DEPTH > RENDERED_DEPTH
    assert from_item("a", QUEUE, {"a": nested(MAX_DEPTH - 1)}, NOW).entry.state is State.QUEUED


@pytest.mark.parametrize("name", ["entity", "project", "run_id"])
@pytest.mark.parametrize(("length", "kept"), [(MAX_NAME // 4, True), (MAX_NAME // 4 + 1, False)])
def test_a_name_is_bounded_by_its_bytes(name: str, length: int, kept: bool) -> None:
    """An object's metadata holds 8,192 bytes, not characters. The other names of a refused item are kept."""
    spec = {"entity": "team", "project": "cats", "run_id": "mine", "name": "shown"} | {name: CAT * length}
    launch = from_item("a", Queue(entity=spec["entity"], name="vertex"), spec, NOW)
    assert (launch.entry.state is State.QUEUED) == kept
    others = spec.keys() - ({name} if kept else {name, "run_id"})  # which may be another launch's
    assert {each: launch.run_spec[each] for each in others} == {each: spec[each] for each in others}
    assert (name in launch.run_spec) == kept
    assert launch.entry.run.run_id


def test_a_long_key_is_shortened_where_its_path_is_shown() -> None:
    """A key of a megabyte is not repeated in its refusal."""
    reason = refused({"k" * 1_000_000: [math.nan] * 1000})
    assert reason.startswith("kkk")
    assert reason.endswith("[0]: is NaN, which JSON does not have. Write a number or null.")
    assert len(reason) < 400


def test_names_of_a_wrong_type_are_left_to_the_renderer() -> None:
    """The refusal names the expected value."""
    launch = from_item("a", QUEUE, {"entity": 5, "project": ["p"], "run_id": {"r": 1}}, NOW)
    assert launch.entry.state is State.QUEUED
    assert (launch.entry.run.entity, launch.entry.run.project, launch.entry.run.run_id) == ("", "", launch.key[1:13])


def test_the_problem_of_an_unreadable_spec_is_its_refusal() -> None:
    """As the adapter states it, in text that can be stored."""
    launch = from_item("a", QUEUE, {}, NOW, "run_spec: has 12,000,000 bytes \ud83d")
    assert (launch.entry.outcome, launch.run_spec) == (Outcome.REJECTED, {})
    assert launch.reason == "run_spec: has 12,000,000 bytes \\ud83d"
    assert read_back(launch) == launch


def request(run_spec: dict[str, Any], **changed: Any) -> Request:
    """Return another system's request."""
    return Request(source="ci", idempotency_key="1", run_spec=run_spec, **changed)


@pytest.mark.parametrize("queue", [None, QUEUE])
def test_a_request_is_refused_in_the_ledger(queue: Queue | None) -> None:
    """NaN gets through the message's decoder, so intake refuses it. No item waits for a report."""
    message = decode(encode(request({"lr": math.nan, "entity": "team"}, queue=queue)))
    assert isinstance(message, Request)
    launch = from_request(message, NOW)
    assert (launch.entry.outcome, launch.entry.report_owed) == (Outcome.REJECTED, False)
    assert launch.reason == "lr: is NaN, which JSON does not have. Write a number or null."
    assert (launch.source, launch.run_spec) == ("ci", {"entity": "team"})
    assert launch.entry.queue_name == ("vertex" if queue else "")


@pytest.mark.parametrize("name", ["entity", "name"])
def test_the_names_of_a_requests_queue_are_bounded_too(name: str) -> None:
    """They stand in the same metadata."""
    queue = Queue(**{**QUEUE.model_dump(), name: CAT * 256})
    launch = from_request(request({}, queue=queue), NOW)
    assert launch.reason == f"queue.{name}: has 1,024 bytes in UTF-8; the limit is 256. W&B's own names are shorter."
    assert (launch.entry.queue_entity, launch.entry.queue_name) == ("", "")


def test_a_queues_configuration_is_checked_under_its_own_path() -> None:
    """It is W&B's JSON as well."""
    with pytest.raises(Reject, match=r"^queue\.resource_args\.gcp-vertex: is NaN"):
        storable({"resource_args": {"gcp-vertex": math.nan}}, "queue")
