"""Certificates that are not trusted, addresses that are malformed, and where W&B's key may appear."""

import ssl
from collections.abc import Callable
from typing import Any

import pytest
import requests
from urllib3.exceptions import HTTPError

from shared.adapters.wandb.graphql import Graphql
from shared.adapters.wandb.server import Server
from shared.adapters.wandb.transport import origin, place, untrusted, without_login
from shared.core.errors import Retry, SettingsError
from shared.core.redaction import redacted
from shared.core.traffic import Seen
from tests.contract.wires import Wire, connected

KEY = "planted-key-" * 4
ASK = "query GetViewer { viewer { username } }"
TEXT = (
    "W&B at {} shows a certificate that is not trusted: self-signed certificate. WANDB_CA_FILE {}; "
    "for a self-hosted W&B it names the PEM file of the certificate authority"
)


def certificate() -> ssl.SSLCertVerificationError:
    """Return the error of a certificate."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


def caused(error: BaseException, *causes: tuple[str, BaseException]) -> Any:
    """Return an error with a chain of causes, each linked as named."""
    last = error
    for link, cause in causes:
        setattr(last, link, cause)
        last = cause
    return error


def refused() -> Any:
    """Return what requests raises for a certificate."""
    middle = ("__context__", HTTPError("x"))
    return caused(requests.exceptions.SSLError("x"), middle, ("__cause__", certificate()))


@pytest.mark.parametrize(("ca_file", "setting"), [("", "is not set"), ("/etc/ca.pem", "is /etc/ca.pem")])
def test_a_certificate_that_is_not_trusted_is_an_error_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, ca_file: str, setting: str
) -> None:
    """Nothing was sent, so W&B is not busy. A file's own host is named."""
    connected(monkeypatch, Wire(lambda _: refused()))
    wandb = Graphql("https://wandb.test:8443/base", KEY, ca_file=ca_file)
    calls: dict[str, list[Callable[[], object]]] = {
        "wandb.test:8443": [
            lambda: wandb.mutate(ASK, {}),
            lambda: wandb.query(ASK, {}),
            lambda: wandb.download("/x", 9),
        ],
        "files.test": [lambda: wandb.download("https://files.test/x", 9)],
    }
    for where, tried in calls.items():
        for call in tried:
            with pytest.raises(SettingsError) as raised:
                call()
            assert str(raised.value) == TEXT.format(where, setting)
    assert wandb.traffic.seen() == Seen()


def test_the_cause_of_an_error_may_be_deep() -> None:
    """By either link; anything else is no certificate's."""
    found = certificate()
    assert untrusted(found) is found
    assert untrusted(caused(OSError(), ("__cause__", found))) is found
    assert untrusted(caused(OSError(), ("__context__", found))) is found
    assert untrusted(caused(OSError(), ("__context__", OSError()), ("__cause__", found))) is found
    assert untrusted(caused(OSError(), ("__cause__", OSError()))) is None
    assert untrusted(ssl.SSLError("x")) is None
    assert untrusted(None) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://w.test/x?y", ("https", "w.test", 443)),
        ("http://w.test", ("http", "w.test", 80)),
        ("http://w.test:443/", ("http", "w.test", 443)),
        ("HTTPS://W.TEST:8443", ("https", "w.test", 8443)),
        ("https://a:b@w.test/", ("https", "w.test", 443)),
        ("https://w.test\\@evil.test/", ("https", "w.test", 443)),
    ],
)
def test_an_origin_is_read_as_requests_reads_it(url: str, expected: tuple[str, str, int]) -> None:
    """Other readers find another host behind a backslash."""
    assert origin(url) == expected


@pytest.mark.parametrize("url", ["ftp://w.test/", "file:///etc/passwd", "w.test/x", "https://", "mailto:a@b", ""])
def test_an_address_without_an_origin_is_refused(url: str) -> None:
    """Only http and https have one."""
    with pytest.raises((requests.RequestException, HTTPError)):
        origin(url)
    with pytest.raises(requests.exceptions.InvalidSchema, match=r"^neither http nor https$"):
        origin("ftp://w.test/")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://w.test:1/x", "w.test:1"),
        ("https://a:b@w.test/x", "w.test"),
        ("https://a@b@w.test/x", "w.test"),
        ("/x", "an address without a host"),
        ("https://[::1/x", "a malformed address"),
    ],
)
def test_a_place_is_shown_without_a_login(url: str, expected: str) -> None:
    """It is for people."""
    assert place(url) == expected
    assert Server(url, KEY).place == expected


@pytest.mark.parametrize(
    ("url", "address", "below"),
    [
        ("https://w/graphql", "/x", "/x"),
        ("https://w/base/graphql", "/x", "/base/x"),
        ("https://w/base/graphql", "/base/x", "/base/x"),
        ("https://w/base/graphql", "/basement", "/base/basement"),
        ("https://w/base/graphql", "//files/x", "//files/x"),
        ("https://w/base/graphql", "https://files/x", "https://files/x"),
        ("https://w/base/graphql", "x", "x"),
    ],
)
def test_an_address_of_wandb_is_below_its_path(url: str, address: str, below: str) -> None:
    """Unless the server knows its path."""
    assert Server(url, KEY).below(address) == below


def test_the_key_is_in_no_text() -> None:
    """From the connection on, which has as many sockets as the function has threads."""
    wandb = Graphql("https://wandb.test", KEY, 5)
    assert redacted(f"{KEY} is wrong") == "[redacted] is wrong"
    assert KEY not in repr(Server("https://wandb.test/graphql", KEY))
    for connections, made in ((5, wandb), (16, Graphql("https://wandb.test", KEY))):
        adapter: Any = made._session.get().get_adapter("https://wandb.test")  # noqa: SLF001 - it has no public name
        assert adapter._pool_maxsize == connections  # noqa: SLF001


def test_a_request_without_a_login_stays_as_it_is() -> None:
    """Without one, requests would read .netrc."""
    request = requests.PreparedRequest()
    assert without_login(request) is request


def test_a_malformed_address_of_a_file_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B may answer with another one."""
    wire = connected(monkeypatch, Wire(lambda _: refused()))
    with pytest.raises(Retry, match=r"^the file at a malformed address cannot be fetched: "):
        Graphql("https://wandb.test", KEY).download("https://[::1/x", 9)
    assert wire.sent == []
