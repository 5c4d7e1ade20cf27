"""What leaves for W&B, and what comes back, without a network: limits, login, certificates, redirections, errors."""

import base64
from typing import Any

import pytest
import requests
import urllib3

from shared.adapters.wandb.answers import Lost, NotAllowed, Refused
from shared.adapters.wandb.graphql import ANSWER_BYTES, Body, Graphql
from shared.adapters.wandb.transport import CHUNK
from shared.core.budget import Budget
from shared.core.errors import KeyRefused, LaunchError, OutcomeUnknown, OutOfTime, Retry
from shared.core.traffic import Seen
from tests.contract.wires import Given, Sent, Wire, answer, connected

URL, KEY = "https://wandb.test/base", "planted-key-" * 4
LOGIN = f"Basic {base64.b64encode(f'api:{KEY}'.encode()).decode()}"
ASK = "query GetViewer { viewer { username } }"
NOBODY = answer({"data": {"viewer": None}})
CUT = requests.ConnectionError("cut")


def graphql(ca_file: str = "") -> Graphql:
    """Return a connection to W&B behind a path."""
    return Graphql(f"{URL}/", KEY, ca_file=ca_file)


@pytest.mark.parametrize("ca_file", ["", "/etc/ca.pem"])
def test_a_call_is_one_post_with_the_key(monkeypatch: pytest.MonkeyPatch, ca_file: str) -> None:
    """It trusts the file of the settings, or else what `requests` trusts."""
    wire = connected(monkeypatch, Wire(NOBODY))
    assert graphql(ca_file).query(ASK, {"a": 1}) == {"viewer": None}
    (sent,) = wire.sent
    assert sent.line == f"POST {URL}/graphql"
    assert sent.body == {"query": ASK, "variables": {"a": 1}}
    assert sent.request.headers["Authorization"] == LOGIN
    assert (sent.named["stream"], sent.named["verify"]) == (True, ca_file or True)


@pytest.mark.parametrize(("seconds", "silence"), [(None, 20.0), (100.0, 20.0), (3.0, 3.0)])
def test_a_call_has_its_time_limit(monkeypatch: pytest.MonkeyPatch, seconds: float | None, silence: float) -> None:
    """Five seconds to connect, twenty without a byte, and never more than the budget."""
    wire = connected(monkeypatch, Wire(NOBODY))
    budget = Budget(seconds, lambda: 0.0) if seconds else None
    graphql().query(ASK, {}, budget)
    graphql().mutate(ASK, {}, budget)
    graphql().post(ASK, {}, Body(), budget)
    assert [each.timeout for each in wire.sent] == [(5.0, silence)] * 3


def test_a_call_ends_with_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is complete only afterwards may be cut; none is sent without time."""
    now = [0.0]

    def late(_: Sent) -> Given:
        now[0] += 30
        return NOBODY

    wire = connected(monkeypatch, Wire(late))
    wandb, budget = graphql(), Budget(30, lambda: now[0])
    with pytest.raises(OutcomeUnknown, match=r"^W&B at wandb\.test did not answer in time$"):
        wandb.mutate(ASK, {}, budget)
    with pytest.raises(OutOfTime, match="a call to W&B is left to a later one"):
        wandb.mutate(ASK, {}, budget)
    assert (len(wire.sent), wandb.traffic.seen()) == (1, Seen(2, refused=True))


@pytest.mark.parametrize(("left", "sent"), [(1.0, 2), (0.99, 1)])
def test_a_lost_query_is_repeated_once_if_a_second_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, left: float, sent: int
) -> None:
    """A mutation never."""
    caplog.set_level("INFO")
    wire = connected(monkeypatch, Wire(CUT))
    why = "W&B at wandb.test did not answer: ConnectionError"
    with pytest.raises(Lost) as lost:
        graphql().query(ASK, {}, Budget(left, lambda: 0.0))
    assert (len(wire.sent), str(lost.value)) == (sent, why)
    assert [vars(line)["fields"] for line in caplog.records] == [{"because": why}] * (sent - 1)
    with pytest.raises(OutcomeUnknown) as unknown:
        graphql().mutate(ASK, {}, Budget(left, lambda: 0.0))
    assert (len(wire.sent), str(unknown.value)) == (sent + 1, why)
    connected(monkeypatch, Wire(CUT, NOBODY))
    assert graphql().query(ASK, {}) == {"viewer": None}


AT, CHECK = "W&B at wandb.test answers", ": check the API key and its owner's permissions"
MESSAGE = {"errors": [{"message": "boom"}, {"message": "bang"}]}
REFUSALS: list[tuple[int, Any, type[LaunchError], str]] = [
    (401, MESSAGE, KeyRefused, f"{AT} 401{CHECK}"),
    (403, MESSAGE, NotAllowed, f"{AT} 403{CHECK}: boom; bang"),
    (403, b"<html>", NotAllowed, f"{AT} 403{CHECK}"),
    (429, MESSAGE, Retry, f"{AT} 429: too many requests"),
    *((status, MESSAGE, Refused, f"{AT} {status}: boom; bang") for status in (400, 404, 409, 410, 413, 414, 422)),
    (400, b"<html>", Refused, f"{AT} 400: Bad Day"),
    (404, {"errors": "not authorized"}, NotAllowed, f"{AT} 404: not authorized"),
    (405, MESSAGE, OutcomeUnknown, f"{AT} 405: boom; bang"),
    (500, b"", OutcomeUnknown, f"{AT} 500: Bad Day"),
    (302, b"", OutcomeUnknown, f"{AT} 302: Bad Day"),
    (201, {"data": {}}, OutcomeUnknown, f"{AT} 201: Bad Day"),
    (200, MESSAGE, Refused, "W&B refuses: boom; bang"),
    (200, {"errors": [{"message": "access denied"}]}, NotAllowed, "W&B refuses: access denied"),
    (200, {"data": None}, OutcomeUnknown, f"{AT} 200 without data"),
    (200, b"x" * (ANSWER_BYTES + 1), OutcomeUnknown, f"{AT} with more than 1,000,000 bytes"),
]


@pytest.mark.parametrize(("status", "body", "kind", "words"), REFUSALS, ids=lambda value: str(value)[:40])
def test_an_answer_of_a_mutation_has_its_error(
    monkeypatch: pytest.MonkeyPatch, status: int, body: Any, kind: type[LaunchError], words: str
) -> None:
    """Its messages, or else the phrase beside its status; each answer counts for the pace of further calls."""
    given = answer(body, status, {"RateLimit-Remaining": "0", "RateLimit-Reset": "7"})
    connected(monkeypatch, Wire(given))
    wandb = graphql()
    with pytest.raises(kind) as raised:
        wandb.mutate(ASK, {})
    assert type(raised.value) is kind
    assert str(raised.value) == words
    assert wandb.traffic.seen() == Seen(1, refused=status == 429, reset=7.0)


def test_the_largest_answer_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte more is refused, above."""
    content = b'{"data": {"viewer": 1}}'.ljust(ANSWER_BYTES)
    connected(monkeypatch, Wire(answer(content)))
    assert graphql().mutate(ASK, {}) == {"viewer": 1}


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (requests.ConnectTimeout("slow"), Retry, "W&B at wandb.test cannot be reached: ConnectTimeout"),
        (requests.ReadTimeout("slow"), OutcomeUnknown, "W&B at wandb.test did not answer: ReadTimeout"),
        (urllib3.exceptions.ProtocolError("odd"), OutcomeUnknown, "W&B at wandb.test did not answer: ProtocolError"),
    ],
)
def test_a_call_without_an_answer_may_have_worked(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[LaunchError], words: str
) -> None:
    """Unless there was no connection. Each counts for the pace of further calls."""
    connected(monkeypatch, Wire(error))
    wandb = graphql()
    with pytest.raises(kind) as raised:
        wandb.mutate(ASK, {})
    assert (type(raised.value), str(raised.value)) == (kind, words)
    assert wandb.traffic.seen() == Seen(1, refused=True)


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_file_comes_in_pieces_up_to_its_limit(monkeypatch: pytest.MonkeyPatch, beyond: int) -> None:
    """Put together without a gap."""
    content = bytes(range(256)) * (3 * CHUNK // 256)
    wire = connected(monkeypatch, Wire(answer(content)))
    limit = len(content) + beyond
    assert graphql("/etc/ca.pem").download("/files/x", limit) == content[:limit]
    assert len(list(graphql().chunks("/files/x", limit))) == 3
    assert [each.line for each in wire.sent] == [f"GET {URL}/files/x"] * 2
    assert [each.named["verify"] for each in wire.sent] == ["/etc/ca.pem", True]
    assert wire.sent[0].timeout == (5.0, pytest.approx(20, abs=0))
    assert wire.sent[0].request.headers["Authorization"] == LOGIN


OTHER = "https://files.test/x"


def moved(address: str) -> requests.Response:
    """Return a redirection."""
    return answer(b"", 302, {"Location": address})


@pytest.mark.parametrize(
    ("address", "steps", "shown"),
    [
        ("/x", [], [(f"{URL}/x", True)]),
        ("/base/x", [], [(f"{URL}/x", True)]),
        (OTHER, [], [(OTHER, False)]),
        ("//files.test/x", [], [(OTHER, False)]),
        ("/x", ["/base/y"], [(f"{URL}/x", True), (f"{URL}/y", True)]),
        ("/x", ["y"], [(f"{URL}/x", True), (f"{URL}/y", True)]),
        ("/x", [OTHER, f"{URL}/y"], [(f"{URL}/x", True), (OTHER, False), (f"{URL}/y", False)]),
        ("/x", ["y"] * 4, [(f"{URL}/x", True), *[(f"{URL}/y", True)] * 4]),
    ],
    ids=str,
)
def test_only_wandb_gets_the_key(
    monkeypatch: pytest.MonkeyPatch, address: str, steps: list[str], shown: list[tuple[str, bool]]
) -> None:
    """And nobody after a redirection elsewhere; the certificate of the settings is for W&B's own addresses."""
    wire = connected(monkeypatch, Wire(*map(moved, steps), answer(b"content")))
    assert graphql("/etc/ca.pem").download(address, 100) == b"content"
    found = [(str(each.request.url), "Authorization" in each.request.headers) for each in wire.sent]
    assert found == shown
    own = ["/etc/ca.pem" if url.startswith(URL) else True for url, _ in shown]
    assert [each.named["verify"] for each in wire.sent] == own


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (moved("y"), "the file at wandb.test cannot be fetched: TooManyRedirects"),
        (answer(b"", 404), "the file at wandb.test cannot be fetched: 404 Bad Day"),
        (moved("ftp://files.test/x"), "the file at wandb.test cannot be fetched: InvalidSchema"),
        (CUT, "the file at wandb.test cannot be fetched: ConnectionError"),
    ],
    ids=str,
)
def test_a_file_that_cannot_be_fetched_is_fetched_later(
    monkeypatch: pytest.MonkeyPatch, given: Given, words: str
) -> None:
    """Five requests at most."""
    wire = connected(monkeypatch, Wire(given))
    with pytest.raises(Retry) as raised:
        graphql().download("/x", 100)
    assert str(raised.value) == words
    assert len(wire.sent) == (5 if "TooMany" in words else 1)
