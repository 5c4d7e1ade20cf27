"""The contract of the topic: what is read, what is refused, and the schema that publishers rely on."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import NotAMessage
from shared.core.message import MAX_BYTES, Queue, Request, Ticket, decode, encode, launch_key, schema

DOCS = Path(__file__).parent.parent.parent / "docs"
REFERENCE = DOCS / "reference"
PAGE = DOCS / "how-to" / "launch-from-another-system.md"
KEY = launch_key("wandb", "item")
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)


def test_the_schema_in_the_repository_is_the_models_own() -> None:
    """Made by `python -m shared.core.message > docs/reference/message.schema.json`."""
    assert (REFERENCE / "message.schema.json").read_text() == schema()


def test_the_requests_on_the_page_are_requests() -> None:
    """One with everything itself, one that names a queue."""
    written = re.findall(r"^```json\n(.+?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    whole, naming = (decode(one.encode()) for one in written)
    assert isinstance(whole, Request)
    assert (whole.queue, "resource_args" in whole.run_spec) == (None, True)
    assert isinstance(naming, Request)
    assert naming.queue == Queue(entity="team", name="vertex")
    assert naming.run_spec.keys() >= {"template_variables", "docker"}


@pytest.mark.parametrize(
    "message",
    [
        Ticket(launch_key=KEY),
        Request(source="ci", idempotency_key="1", run_spec={"a": [1, {"b": None}]}),
        Request(source="ci", idempotency_key="1", run_spec={}, queue=Queue(entity="e", name="q")),
    ],
)
def test_an_encoded_message_is_decoded(message: Ticket | Request) -> None:
    """Tickets and requests."""
    assert decode(encode(message)) == message


def test_a_newer_publisher_may_say_more() -> None:
    """Unknown fields are ignored."""
    fields = {**json.loads(encode(Ticket(launch_key=KEY))), "colour": "blue"}
    assert decode(json.dumps(fields).encode()) == Ticket(launch_key=KEY)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (b"", "message: Invalid JSON"),
        (b"\xff", "message: Invalid JSON"),
        (b"[]", "message: "),
        (b"{}", "message: Unable to extract tag using discriminator 'kind'"),
        (b'{"kind": "order"}', "message: kind must be one of 'ticket', 'request'"),
        (b'{"kind": "ticket", "launch_key": "../x"}', "ticket.launch_key: String should match pattern"),
        (b'{"kind": "ticket", "version": 2, "launch_key": "k"}', "ticket.version: Input should be 1"),
        (
            b'{"kind": "request", "source": "", "idempotency_key": 3, "run_spec": []}',
            "request.source: String",
        ),
        (b"[" * 100_000, "message: Invalid JSON"),
        (b"[" * 100_001, "message: has more than 100,000 keys and values"),
    ],
    ids=range(10),
)
def test_an_invalid_message_is_refused_by_field(message: bytes, problem: str) -> None:
    """The refusal shows no value: a run spec can hold a key."""
    with pytest.raises(NotAMessage, match=re.escape(problem)):
        decode(message)


def test_a_refusal_shows_no_value() -> None:
    """Not even of a field that is wrong."""
    with pytest.raises(NotAMessage) as refused:
        decode(b'{"kind": "request", "source": ["s3cret"], "idempotency_key": "s3cret", "run_spec": "s3cret"}')
    with pytest.raises(NotAMessage) as of_no_kind:
        decode(b'{"kind": "s3cret"}')
    assert "s3cret" not in str(refused.value) + str(of_no_kind.value)
    assert refused.value.__cause__ is None


def test_a_message_has_at_most_a_million_bytes() -> None:
    """Parsed, it takes up to thirty times that, and a function has 512 MB."""
    message = encode(Request(source="ci", idempotency_key="1", run_spec={"x": ""}))
    largest = message.replace(b'"x":""', b'"x":"%s"' % (b"x" * (MAX_BYTES - len(message))))
    assert isinstance(decode(largest), Request)
    with pytest.raises(NotAMessage, match="message: has 1,000,001 bytes; the limit is 1,000,000"):
        decode(largest + b" ")


@settings(deadline=None)
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Never another exception."""
    try:
        assert isinstance(decode(data), Ticket | Request)
    except NotAMessage as refused:
        assert str(refused)  # noqa: PT017 - either is right


@settings(deadline=None)
@given(st.text(), st.text(), st.text(), st.text())
def test_a_launch_key_is_a_label_an_object_name_and_its_requests_own(a: str, b: str, c: str, d: str) -> None:
    """Equal requests have equal keys, other requests other keys, with any content."""
    key = launch_key(a, b)
    assert re.fullmatch(r"[a-z][a-z2-7]{26}", key)
    assert (launch_key(c, d) == key) == ((a, b) == (c, d))
    assert Ticket(launch_key=key).launch_key == key


def test_the_first_example_is_a_request() -> None:
    """As a reader would copy it."""
    text = PAGE.read_text(encoding="utf-8")
    example: Any = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert isinstance(decode(example[1].encode()), Request)


EVENTS = DOCS / "how-to" / "follow-launches-with-events.md"


def _rows() -> list[tuple[str, str, str, str]]:
    text = EVENTS.read_text(encoding="utf-8").partition("## The launch key")[2]
    return re.findall(r"^\| `?([^`|]+)`? \| `(.+)` \| `(.+)` \| `(k\w+)` \|$", text, re.MULTILINE)


@pytest.mark.parametrize(("source", "identity", "content", "key"), _rows())
def test_the_page_defines_the_launch_key_byte_for_byte(source: str, identity: str, content: str, key: str) -> None:
    """Each test vector: by our code, and by the page's own steps from its bytes on."""
    owner = "wandb" if source == "item of a queue" else f"request:{source}"
    assert launch_key(owner, identity) == key
    assert json.loads(content) == [owner, identity]
    digest = hashlib.sha256(content.encode("ascii")).digest()
    assert f"k{base64.b32encode(digest).decode().lower()}"[:27] == key


def test_the_page_has_test_vectors() -> None:
    """One of a queue's item, one with characters that must be escaped."""
    assert len(_rows()) == 4
    assert "\\ud83d" in "".join(content for _, _, content, _ in _rows())


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ({"ticket": "7"}, ""),
        ({f"n{number}": "" for number in range(10)}, ""),
        ({f"n{number}": "" for number in range(11)}, "reply: Value error, has 11 attributes; the limit is 10"),
        ({"ticket": "ä" * 128}, ""),
        ({"ticket": "ä" * 129}, "reply: Value error, ticket has more than 256 bytes in UTF-8"),
        ({"ce-id": "x"}, "reply.ce-id.[key]: String should match pattern '^[a-z][a-z0-9_]{0,62}$'"),
        ({"goog id": "x"}, "reply.goog id.[key]: String should match pattern"),
        ({"ticket": 7}, "reply.ticket: Input should be a valid string"),
        (["ticket"], "reply: Input should be an object"),
    ],
)
def test_a_reply_is_small_and_cannot_replace_our_attributes(reply: Any, problem: str) -> None:
    """Its refusal names the field."""
    request = {"kind": "request", "source": "ci", "idempotency_key": "1", "run_spec": {}, "reply": reply}
    if problem:
        with pytest.raises(NotAMessage, match=re.escape(problem)):
            decode(json.dumps(request).encode())
    else:
        message = decode(json.dumps(request).encode())
        assert isinstance(message, Request)
        assert message.reply == reply
        assert message.digest != replace_reply(request).digest


def replace_reply(request: dict[str, Any]) -> Request:
    """Return a request without its reply, which was another one."""
    return Request(**{**request, "reply": None})
