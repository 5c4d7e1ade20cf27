"""A popped item, whatever it holds: the poll goes on, its author reads why, and no value becomes another one."""

import json
import math
import re
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse, Response, StreamingResponse

from deploy.local.servers.wandb.state import State
from shared.adapters.wandb import Graphql, WandbRunQueue
from shared.adapters.wandb.answers import Refused
from shared.adapters.wandb.popping import LARGEST, IdFinder, Popped, read_item
from shared.core.errors import OutcomeUnknown
from shared.core.message import Queue
from shared.core.ports import QueueItem
from tests.contract.test_wandb_adapter import QUEUE, answering, data
from tests.contract.test_wandb_server import KEY, SPEC, clock, state, url

__all__ = ["clock", "state", "url"]  # fixtures


def answer(spec: str, *, id_first: bool = True) -> bytes:
    """Return W&B's answer to a pop with this text as the run spec."""
    fields = ['"runQueueItemId":"i"', f'"runSpec":{spec}']
    joined = ",".join(fields if id_first else reversed(fields))
    return f'{{"data":{{"popFromRunQueue":{{{joined}}}}}}}'.encode("utf-8", "surrogateescape")


def read(body: bytes, size: int = 7) -> QueueItem | None:
    """Read an answer that comes in pieces of this size."""
    popped = Popped()
    for at in range(0, len(body), size):
        if not popped.take(body[at : at + size]):
            break
    return read_item(popped)[1]


def deep(depth: int) -> str:
    """Return a run spec that nests this deep."""
    return '{"overrides": {"run_config": ' + '{"a": [' * depth + "]}" * depth + "}}"


POISON = {
    "deep": (deep(60), r"overrides\.run_config\.a.*: nests more than 100 levels"),
    "very deep": (deep(5000), r"overrides\.run_config\.a.*: nests more than 100 levels"),
    "deep as text": (json.dumps(deep(5000)), r"overrides\.run_config\.a.*: nests more than 100 levels"),
    "integer": (
        '{"overrides": {"run_config": {"n": [0, ' + "9" * 5000 + "]}}}",
        r"overrides\.run_config\.n\[1\]: has an integer of 5,000 dig",
    ),
    "negative integer": ('{"n": -' + "9" * 4301 + "}", r"n: has an integer of 4,301 digits"),
    "long": ('{"a": "' + "x" * 5_000_000 + '"}', r"run_spec: is larger than 1,000,000 bytes"),
    "many values": ('{"a": [' + "0," * 200_000 + "0]}", r"run_spec: has more than 100,000 keys and values"),
    "one key twice": (
        '{"overrides": {"run_config": {"a": 1, "a": 2}}}',
        r"overrides\.run_config\.a: appears twice in its object",
    ),
    "null": ("null", r"run_spec: is null, not a JSON object"),
    "a list": ("[]", r"run_spec: is a list, not a JSON object"),
    "a number": ("3", r"run_spec: is a number, not a JSON object"),
    "no JSON as text": ('"["', r"run_spec: is not JSON: Expecting value"),
    "text as text": ('"\\"x\\""', r"run_spec: is text, not a JSON object"),
    "no JSON": ("{'a': 1}", r"run_spec: is not JSON: Expecting property name"),
    "no UTF-8": ('{"a": "\udcff"}', r"run_spec: is not UTF-8: byte 0xff"),
}


@pytest.mark.parametrize("id_first", [True, False])
@pytest.mark.parametrize("name", POISON)
def test_an_unreadable_spec_is_handed_on_with_the_reason(name: str, id_first: bool) -> None:
    """In words for its author: the field, what was found, and the fix; the id is found wherever it stands."""
    spec, problem = POISON[name]
    item = read(answer(spec, id_first=id_first), size=4096 if len(spec) > 10_000 else 7)
    assert item is not None
    assert (item.id, item.run_spec) == ("i", {})
    assert re.match(problem, item.problem), item.problem
    assert len(item.problem.split(". ")) >= 2, "it says what to do"
    assert len(item.problem) < 500


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(
    "spec",
    [
        {"a": 1, "b": [None, True, 1.5, "x"]},
        {"lr": math.inf},
        {"name": "half \ud800 of a pair"},
        {"n": 10**4000},
        {"name": "\U0001f600" * 256},
        {"runQueueItemId": "another", "data": {"popFromRunQueue": {"runQueueItemId": "another"}}},
        {},
    ],
)
def test_a_readable_spec_is_handed_on_unchanged(spec: Any, as_text: bool) -> None:
    """As an object or as text; NaN and half a pair too, which the poll refuses by their path."""
    text = json.dumps(spec)
    item = read(answer(json.dumps(text) if as_text else text, id_first=False))
    assert item == QueueItem("i", spec)


def test_nan_stays_nan() -> None:
    """It is no value that JSON knows, and it is not made another one."""
    item = read(answer('{"lr": NaN}'))
    assert item
    assert math.isnan(item.run_spec["lr"])


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(), JSON_VALUES, max_size=5), st.text(min_size=1), st.integers(1, 9), st.booleans())
def test_the_id_is_found_beside_any_spec(spec: dict[str, Any], item_id: str, size: int, ascii_only: bool) -> None:
    """Wherever it stands, and however the answer is cut into pieces; the spec is read as it was written."""
    body = json.dumps({"data": {"popFromRunQueue": {"runSpec": spec, "runQueueItemId": item_id}}}, ensure_ascii=True)
    if not ascii_only:
        body = json.dumps(json.loads(body), ensure_ascii=False)
    encoded = body.encode("utf-8", "surrogatepass")
    assert read(encoded, size) == QueueItem(item_id, spec)
    finder = IdFinder()
    for at in range(0, len(encoded), size):
        finder.feed(encoded[at : at + size])
    assert finder.found == item_id


@given(st.binary(max_size=300))
def test_any_bytes_are_an_item_or_an_error_of_ours(body: bytes) -> None:
    """Nothing else is raised, whatever W&B answers."""
    for text in (body, answer('"').removesuffix(b'"}}}') + body):
        with suppress(OutcomeUnknown):
            read(text)


def test_an_item_of_many_megabytes_costs_little_memory() -> None:
    """Its id comes after 40 MB that are read and dropped; poll has 256 MB for up to 32 connections."""
    popped = Popped()
    popped.take(b'{"data":{"popFromRunQueue":{"runSpec":{"a":"')
    piece = b"x" * 65_536
    tracemalloc.start()
    try:
        for _ in range(640):
            assert popped.take(piece)
        popped.take(b'"},"runQueueItemId":"i"}}}')
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    item = read_item(popped)[1]
    assert item
    assert (item.id, peak < 2.5 * LARGEST) == ("i", True)


def test_the_rest_of_an_item_is_not_read_once_its_id_is_known() -> None:
    """The rest of an endless item is left unread: its id came first."""

    def endless() -> Any:
        yield answer("{").removesuffix(b"}}}") + b'"a":"'
        while True:
            yield b"x" * 65_536

    with answering(StreamingResponse(endless(), media_type="application/json")) as (wandb, _):
        item = wandb.pop(QUEUE, "agent")
    assert item
    assert (item.id, "is larger than" in item.problem) == ("i", True)


def test_errors_beside_an_item_are_its_problem() -> None:
    """W&B has leased it and cannot show its spec; errors alone are nobody's item."""
    partial = {"popFromRunQueue": {"runQueueItemId": "i", "runSpec": None}}
    errors = [{"message": "JSON cannot represent value", "path": ["popFromRunQueue", "runSpec"]}]
    with answering(JSONResponse({"data": partial, "errors": errors})) as (wandb, _):
        item = wandb.pop(QUEUE, "agent")
        assert item
        assert (item.id, "JSON cannot represent value" in item.problem) == ("i", True)
    alone = JSONResponse({"data": {"popFromRunQueue": None}, "errors": errors})
    with answering(alone) as (wandb, _), pytest.raises(Refused):
        wandb.pop(QUEUE, "agent")


@pytest.mark.parametrize("popped", [None, {}, {"runQueueItemId": None}, {"runQueueItemId": ""}, [], "x"])
def test_no_item_is_none(popped: Any) -> None:
    """An empty queue is answered in more than one form."""
    with answering(data(popFromRunQueue=popped)) as (wandb, _):
        assert wandb.pop(QUEUE, "agent") is None


@pytest.mark.parametrize("body", ["not JSON", "[" * 100_000, '{"data": {"popFromRunQueue": {"runQueueItemId": "i', ""])
def test_an_answer_without_an_id_may_have_leased_an_item(body: str) -> None:
    """Its id is not known: the item comes again."""
    with answering(Response(body)) as (wandb, _), pytest.raises(OutcomeUnknown):
        wandb.pop(QUEUE, "agent")


def test_the_stand_in_pops_poison(state: State, url: str) -> None:
    """NaN, half a pair and texts that are no JSON: each is popped, and the items behind them are served."""
    wandb, gpus = WandbRunQueue(Graphql(url, KEY)), Queue(entity="team", name="gpus")
    state.push("team", "gpus", SPEC | {"lr": math.nan})
    state.push("team", "gpus", SPEC | {"name": "\ud800"})
    for spec, _ in POISON.values():
        raw = {"entity": "team", "queue": "gpus", "raw": spec}
        pushed = requests.post(f"{url}/standin/items", data=json.dumps(raw), timeout=10)
        assert pushed.ok
    last = state.push("team", "gpus", SPEC)
    popped = [wandb.pop(gpus, "agent") for _ in range(len(POISON) + 3)]
    assert all(popped)
    assert [bool(item and item.problem) for item in popped] == [False, False, *(True for _ in POISON), False]
    assert popped[-1] is not None
    assert popped[-1].id == last.id
    assert requests.get(f"{url}/standin/items", timeout=10).ok
