"""The error that submit hands to the framework, which logs it and answers 500: Pub/Sub delivers the message again."""

import base64
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import flask
import pytest
from werkzeug.test import EnvironBuilder

from functions.submit import handler
from functions.submit.delivery import MOST, received
from shared.core.budget import Budget
from shared.core.errors import Denied, LaunchError, NotAMessage, Retry
from shared.core.message import Request, Ticket, encode

TICKET = Ticket(launch_key="k" + "a" * 26)


def push(data: bytes) -> bytes:
    """Return the body of a push of Pub/Sub."""
    return json.dumps({"message": {"data": base64.b64encode(data).decode()}}).encode()


def request_of(body: bytes, **headers: str) -> flask.Request:
    """Return the request that the framework hands to submit."""
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return flask.Request(EnvironBuilder(method="POST", data=body, headers=named).get_environ())


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception | None], list[Any]]:
    """Let submit's parts raise an error; return a list of the messages and budgets that they get."""

    def with_error(error: Exception | None) -> list[Any]:
        launched = list[Any]()

        def of_parts(message: Ticket | Request, budget: Budget) -> None:
            launched.extend([message, budget])
            if error:
                raise error

        settings = SimpleNamespace(submit_budget_seconds=450)
        monkeypatch.setattr(handler, "load", lambda _: settings)
        monkeypatch.setattr(handler, "build_submit", lambda _: SimpleNamespace(launch=of_parts))
        return launched

    return with_error


def test_a_message_is_launched_within_the_budget(launch: Callable[[Exception | None], list[Any]]) -> None:
    """The budget is the settings'; Pub/Sub reads OK."""
    launched = launch(None)
    assert handler.submit(request_of(push(encode(TICKET)))) == "OK"
    message, budget = launched
    assert message == TICKET
    assert 400 < budget.left <= 450


def test_a_request_without_a_message_is_refused_and_logged_once(
    launch: Callable[[Exception | None], list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is launched; the error that the framework sees is the refusal itself, so Pub/Sub delivers it again."""
    launched = launch(None)
    with pytest.raises(NotAMessage, match=r"^the event has no message\.data$"):
        handler.submit(request_of(b"{}", ce_id="event-1"))
    [line] = [record for record in caplog.records if record.name.startswith("functions")]
    assert (line.message, line.levelname) == ("submit.not_a_message", "ERROR")
    assert vars(line)["fields"] == {"event": "event-1", "problem": "the event has no message.data"}
    assert launched == []


@pytest.mark.parametrize("error", [Retry("503: password=hunter2"), Denied("password=hunter2"), KeyError("x")])
def test_an_error_of_a_launch_is_raised_without_its_cause(
    launch: Callable[[Exception | None], list[Any]], error: Exception
) -> None:
    """Pub/Sub delivers the message again; the framework logs no secret of the error."""
    launch(error)
    with pytest.raises(LaunchError) as raised:
        handler.submit(request_of(push(encode(TICKET))))
    assert "hunter2" not in str(raised.value)
    assert (raised.value is error) is isinstance(error, LaunchError)
    assert raised.value.__suppress_context__


DATA = {"data": base64.b64encode(encode(TICKET)).decode()}
FORMS: dict[str, object] = {
    "a push": {"message": DATA, "subscription": "s"},
    "an event": {"data": {"message": DATA}},
    "a legacy event": {"context": {}, "data": DATA},
    "an event in base64": {"data_base64": base64.b64encode(json.dumps({"message": DATA}).encode()).decode()},
    "a push with other data": {"message": DATA, "data": {"message": {"data": 5}, "data": "x"}},
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_delivery_is_read(form: str) -> None:
    """The framework reads the same forms; a test of the entry point compares them."""
    assert received(request_of(json.dumps(FORMS[form]).encode())) == TICKET


BAD_BODIES: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"garbage", "the request: is not JSON: "),
    "nothing": (b"", "the request: is not JSON: "),
    "a list": (b"[]", "the event has no message.data"),
    "data that is no text": (b'{"message": {"data": 5}}', "the event has no message.data"),
    "data that is not base64": (b'{"message": {"data": "%%%"}}', "message.data is not base64"),
    "an event that is not base64": (b'{"data_base64": "%%%"}', "data_base64 is not base64"),
    "an event that is no JSON": (b'{"data_base64": "Z2FyYmFnZQ=="}', "the request: is not JSON: "),
    "an event without a message": (b'{"data_base64": "e30="}', "the event has no message.data"),
    "a byte too many": (b" " * (MOST + 1), f"the request: has {MOST + 1:,} bytes; the limit is {MOST:,}"),
}


@pytest.mark.parametrize("body", BAD_BODIES)
def test_a_body_that_is_no_delivery_is_refused_with_its_flaw(body: str) -> None:
    """The log names the part that is wrong."""
    content, flaw = BAD_BODIES[body]
    with pytest.raises(NotAMessage) as refused:
        received(request_of(content))
    text = str(refused.value)
    assert text.startswith(flaw) if flaw.endswith(": ") else text == flaw


def test_a_delivery_of_the_largest_size_is_read() -> None:
    """Also if the framework has a smaller limit of its own: its refusal would have no reason."""
    request = request_of(push(encode(TICKET)).rjust(MOST))
    request.max_content_length = 10
    assert received(request) == TICKET


@pytest.mark.parametrize("kind", [Retry, Denied])
def test_an_error_of_ours_keeps_its_class_and_loses_its_secrets(kind: type[Retry] | type[Denied]) -> None:
    """Pub/Sub delivers the message again in either case."""
    raised = kind("the ledger cannot be read: password=hunter2")
    handed = handler._without_secrets(raised)  # noqa: SLF001 - its caller is the framework's
    assert handed is raised
    assert str(handed) == "the ledger cannot be read: password=[redacted]"


def test_any_other_error_is_logged_and_becomes_one_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """Its class is part of the text; its cause stays in the log."""
    raised = KeyError("password=hunter2")
    handed = handler._without_secrets(raised)  # noqa: SLF001 - its caller is the framework's
    assert type(handed) is Retry
    assert str(handed) == "KeyError: 'password=[redacted]'"
    (line,) = caplog.records
    assert (line.message, line.levelname) == ("submit.failed", "ERROR")
    assert line.exc_info is not None
    assert line.exc_info[1] is raised
