"""One plain REST call: what it sends, how much of an answer it reads, and which answer is an error."""

import io
import json
from typing import Any

import pytest
import requests

from shared.adapters.rest import PIECE, Answer, Refusal, Rest, TooLarge
from shared.core.errors import Retry

URL = "https://api.test/v1/things"


class Body(io.BytesIO):
    """Counts the bytes that are read of it."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        """Read."""
        piece = super().read(size)
        self.taken += len(piece)
        return piece


class Session(requests.Session):
    """Answers each request, and notes its arguments."""

    def __init__(self, status: int = 200, content: bytes = b"{}") -> None:
        super().__init__()
        self.status, self.body = status, Body(content)
        self.asked: list[tuple[tuple[object, ...], dict[str, Any]]] = []

    def request(self, *arguments: Any, **named: Any) -> requests.Response:
        """Note the request, and answer it."""
        self.asked.append((arguments, named))
        response = requests.Response()
        response.status_code, response.raw = self.status, self.body
        response.headers["X-Goog-Generation"] = "7"
        return response


def call(session: Session, largest: int = 100, answered: Any = lambda _: None) -> Answer:
    """Make a call through a session."""
    rest = Rest(lambda: session, connections=3, answered=answered)
    return rest.call("PUT", URL, timeout=4.5, largest=largest, params={"a": "b"}, json={"c": 1})


def test_a_call_is_sent_as_it_is_given() -> None:
    """With its own time limit, and so that the answer is read piece by piece."""
    session, statuses = Session(content=b'{"d": 2}'), list[int]()
    answer = call(session, answered=statuses.append)
    expected = {"timeout": 4.5, "stream": True, "params": {"a": "b"}, "json": {"c": 1}}
    assert session.asked == [(("PUT", URL), expected)]
    assert (answer.content, answer.headers["x-goog-generation"]) == (b'{"d": 2}', "7")
    assert statuses == [200]


@pytest.mark.parametrize(
    ("status", "works"), [(199, False), (200, True), (204, True), (299, True), (300, False), (404, False), (503, False)]
)
def test_only_a_2xx_is_no_refusal(status: int, works: bool) -> None:
    """Each answer counts as one, also a refusal."""
    statuses: list[int] = []
    session = Session(status, b'{"error": {"message": "not now", "code": 1}}')
    if works:
        call(session, answered=statuses.append)
    else:
        with pytest.raises(Refusal) as refused:
            call(session, answered=statuses.append)
        assert (refused.value.code, refused.value.message) == (status, "not now")
        assert str(refused.value) == f"{status}: not now"
    assert statuses == [status]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"error": {"message": "no"}}', "no"),
        (b'{"error": {"message": 7}}', "7"),
        (b'{"error": {}}', '{"error": {}}'),
        (b'{"error": "no"}', '{"error": "no"}'),
        (b"[1]", "[1]"),
        (b"null", "null"),
        (b"<html>", "<html>"),
        ("é".encode("latin-1"), "\ufffd"),
        (b"[" * 10_000, "[" * 10_000),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_refusal_has_the_message_of_the_answer(content: bytes, message: str) -> None:
    """All of the answer if it is not in Google's form."""
    with pytest.raises(Refusal) as refused:
        call(Session(500, content), 20_000)
    assert refused.value.message == message


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_is_read_up_to_its_largest_size(status: int, pieces: int) -> None:
    """No more of a larger one than one further piece, also of an error."""
    size = pieces * PIECE
    whole = Session(200, b"x" * size)
    assert call(whole, size).content == b"x" * size
    large = Session(status, b"x" * (size + 10 * PIECE))
    with pytest.raises(TooLarge) as raised:
        call(large, size)
    assert str(raised.value) == f"it has more than {size:,} bytes"
    assert (large.body.taken, PIECE) == (size + PIECE, 65_536)
    assert large.body.closed
    with pytest.raises(TooLarge):
        call(Session(200, b"x" * (size + 1)), size)


@pytest.mark.parametrize("content", [b"", b"[]", b'"text"', b"null", b"{", b"\xff", b"[" * 10_000])
def test_an_answer_that_is_no_object_is_asked_for_again(content: bytes) -> None:
    """Such as a proxy's page."""
    with pytest.raises(Retry) as raised:
        Answer(content, {}).fields()
    assert str(raised.value) == "the answer is not a JSON object"


def test_an_answer_is_its_object() -> None:
    """With all fields."""
    fields = {"a": [1], "b": None}
    assert Answer(json.dumps(fields).encode(), {}).fields() == fields


def test_all_threads_share_one_session_with_enough_connections() -> None:
    """For both schemes; it is made at the first call."""
    made: list[requests.Session] = []

    def connect() -> requests.Session:
        made.append(Session())
        return made[-1]

    rest = Rest(connect, connections=3)
    assert made == []
    for _ in range(2):
        rest.call("GET", URL, timeout=1, largest=10)
    assert len(made) == 1
    for scheme in ("https", "http"):
        adapter = made[0].get_adapter(f"{scheme}://api.test")
        assert adapter._pool_maxsize == 3  # type: ignore[attr-defined]  # noqa: SLF001 - it has no public name
