"""The ledger on an odd wire: lost answers, replaced objects, calls that never end, answers that nobody foresaw."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from deploy.local.servers.gcs.server import make_bucket
from shared.adapters.gcs import Bucket, GcsLedger
from shared.core.errors import Conflict, Denied, LaunchError, Retry
from tests.contract.gcs import fresh_bucket, limited_gcs
from tests.contract.launches import NOW, a_launch, ended


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve GCS, with preconditions of deletes that hold."""
    with limited_gcs(tmp_path_factory.mktemp("gcs"), "--write-seconds=0") as url:
        yield url


class Losing(HTTPAdapter):
    """Does what it is asked for, and then loses the first answers."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self.lost = lost

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send, and perhaps lose the answer."""
        response = super().send(request, *args, **kwargs)
        if request.method == "POST" and self.lost:
            self.lost -= 1
            raise requests.ConnectionError("the answer was lost")
        return response


class Wire(HTTPAdapter):
    """Lets a test see each call, change its response, or do something else before or after it."""

    def __init__(
        self,
        before: Callable[[requests.PreparedRequest], requests.Response | None] = lambda _: None,
        after: Callable[[requests.Response], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self.before, self.after = before, after
        self.calls: list[str] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send, unless the test answers."""
        self.calls.append(f"{request.method} {request.url}")
        response = self.before(request)
        if response is None:  # one that refuses is false, too
            response = super().send(request, *args, **kwargs)
        self.after(response)
        return response


def wired(ledger: GcsLedger, wire: Wire) -> Wire:
    """Put a wire under the bucket's session."""
    ledger._bucket._objects.rest.session.get().mount("http://", wire)  # noqa: SLF001 - the wire is what is looked at
    return wire


def refusal(request: requests.PreparedRequest, code: int) -> requests.Response:
    """Return an answer of Google's."""
    response = requests.Response()
    response.status_code, response.request, response.url = code, request, str(request.url)
    vars(response).update(_content=b'{"error": {"message": "no"}}', _content_consumed=True)  # no public way
    return response


def test_a_write_whose_answer_was_lost_is_known_for_our_own(server: str) -> None:
    """Google's client repeats it and gets a 412: the echo of our own success, recognised by its writer's token."""
    ledger = GcsLedger(fresh_bucket(server))
    ledger._bucket._objects.rest.session.get().mount("http://", Losing(1))  # noqa: SLF001 - the wire is what breaks
    written = ledger.write(a_launch())
    assert ledger.read(written.key) == written
    with pytest.raises(Conflict):
        ledger.write(a_launch())


def test_a_listing_whose_second_page_fails_is_no_listing(server: str) -> None:
    """Half of the open launches would free slots that are taken."""
    ledger = GcsLedger(fresh_bucket(server), patience=0.1)
    ledger.write(a_launch())

    def before(request: requests.PreparedRequest) -> requests.Response | None:
        return refusal(request, 503) if "pageToken=" in str(request.url) else None

    def after(response: requests.Response) -> None:
        if "prefix=open" in str(response.url) and response.ok:
            page = {**response.json(), "nextPageToken": "more"}
            vars(response).update(_content=json.dumps(page).encode(), _content_consumed=True)  # no public way

    wire = wired(ledger, Wire(before, after))
    with pytest.raises(Retry, match="list open/"):
        ledger.list_open()
    assert "pageToken=more" in wire.calls[-1]


@pytest.mark.parametrize("refused", [False, True], ids=["lost", "refused after its effect"])
def test_a_delete_whose_answer_was_lost_is_repeated(server: str, refused: bool) -> None:
    """Google's client repeats it; a 404 then says that the first has worked."""
    ledger = GcsLedger(fresh_bucket(server))
    written = ledger.write(a_launch())
    left = [1]

    def after(response: requests.Response) -> None:
        if response.request.method == "DELETE" and left.pop() if left else False:
            if not refused:
                raise requests.ConnectionError("the answer was lost")
            response.status_code = 503

    wire = wired(ledger, Wire(after=after))
    ledger.withdraw(written.key, written.generation)
    assert len([call for call in wire.calls if call.startswith("DELETE")]) == 2
    assert ledger.read(written.key) is None


def test_a_read_makes_one_call(server: str) -> None:
    """Content and generation come from one answer, so nothing can happen in between."""
    ledger = GcsLedger(fresh_bucket(server))
    written = ledger.write(a_launch())
    wire = wired(ledger, Wire())
    assert ledger.read(written.key) == written
    assert ledger.read("k" + "a" * 26) is None
    assert len(wire.calls) == 2


@pytest.mark.parametrize("times", [1, 2, 3, 100])
def test_an_object_that_is_replaced_while_it_is_read_is_read_again(server: str, times: int) -> None:
    """Also from a server whose downloads do not tell a generation; what never rests is tried again later."""
    bucket = fresh_bucket(server)
    ledger, other = GcsLedger(bucket), GcsLedger(bucket)
    newest = [other.write(a_launch())]

    def after(response: requests.Response) -> None:
        if response.headers.pop("X-Goog-Generation", None) and len(newest) <= times:
            newest.append(other.write(newest[-1].note(NOW, "replaced")))

    wired(ledger, Wire(after=after))
    if times == 100:
        with pytest.raises(Retry, match="replaced 5 times"):
            ledger.read(newest[0].key)
    else:
        assert ledger.read(newest[0].key) == newest[-1]
        assert len(newest) == times + 1


@pytest.mark.parametrize("call", ["read", "write", "is_closed", "withdraw", "list_open"])
def test_a_call_that_never_ends_is_given_up(server: str, call: str) -> None:
    """Each method has a bound of its own, on any network."""
    ledger, forever = GcsLedger(Bucket(fresh_bucket(server), longest=0.2)), threading.Event()

    def before(_: requests.PreparedRequest) -> None:
        forever.wait(60)

    wired(ledger, Wire(before))
    calls: dict[str, Callable[[], object]] = {
        "write": lambda: ledger.write(a_launch()),
        "list_open": ledger.list_open,
        "read": lambda: ledger.read("k"),
        "is_closed": lambda: ledger.is_closed("k"),
        "withdraw": lambda: ledger.withdraw("k"),
    }
    try:
        with pytest.raises(Retry, match=r"no answer within 0\.2 seconds"):
            calls[call]()
    finally:
        forever.set()


@pytest.mark.parametrize(("code", "error"), [(503, Retry), (403, Denied), (412, Conflict), (400, Retry)])
def test_an_open_record_is_deleted_only_if_the_closed_one_is_there(
    server: str, code: int, error: type[LaunchError]
) -> None:
    """Each answer to the write of the closed one raises its own error."""
    ledger = GcsLedger(fresh_bucket(server), patience=0.1)
    written = ledger.write(a_launch())

    def before(request: requests.PreparedRequest) -> requests.Response | None:
        return refusal(request, code) if request.method == "POST" else None

    wire = wired(ledger, Wire(before))
    with pytest.raises(error):
        ledger.close(ended(written))
    assert not [one for one in wire.calls if one.startswith("DELETE")]
    assert ledger.read(written.key) == written
    assert not ledger.is_closed(written.key)


def test_an_answer_that_nobody_foresaw_is_tried_again_later(server: str) -> None:
    """A proxy's page instead of JSON, a download that is not what its checksum says."""
    ledger = GcsLedger(fresh_bucket(server), patience=0.1)
    written = ledger.write(a_launch())

    def after(response: requests.Response) -> None:
        response.headers["X-Goog-Hash"] = "crc32c=AAAAAA=="
        if "alt=media" not in str(response.url):
            vars(response).update(_content=b"<html>", _content_consumed=True)

    wired(ledger, Wire(after=after))
    for call in (lambda: ledger.read(written.key), ledger.list_open, lambda: ledger.write(written)):
        with pytest.raises(Retry):
            call()


def test_a_bucket_may_be_called_bucket(server: str) -> None:
    """Its name in an error does not say that it is missing."""
    make_bucket(server, "my-bucket")
    ledger = GcsLedger("my-bucket")
    ledger.withdraw("k")
    assert ledger.read("k") is None


@pytest.mark.parametrize(
    "call",
    [
        lambda ledger: ledger.write(a_launch()),
        lambda ledger: list(ledger.list_open().entries),
    ],
    ids=["write", "list"],
)
def test_a_missing_bucket_is_named(server: str, call: Callable[[GcsLedger], object]) -> None:
    """For who can make it."""
    with pytest.raises(Denied, match="bucket does not exist; LEDGER_BUCKET"):
        call(GcsLedger("not-there"))


def test_an_unreachable_server_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the client's own repetitions."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    with pytest.raises(Retry):
        GcsLedger("ledger", patience=0.1).read("k")


def test_errors_are_of_our_own_kind(server: str) -> None:
    """Whatever the client raises."""
    with pytest.raises(LaunchError):
        GcsLedger("UPPER CASE/bad").write(a_launch())
