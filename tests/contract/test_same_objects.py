"""Google's own client is the judge of our calls of GCS: it reads what we write, and we read what it writes."""

import base64
from collections.abc import Iterator
from typing import Any

import google_crc32c
import pytest
import requests
from google.api_core import exceptions as google_errors
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from shared.adapters.gcs.bucket import WRITER, Bucket
from shared.core.errors import Conflict, LaunchError
from tests.contract.gcs import fresh_bucket, limited_gcs

NAMES = ("open/kabc", "a b?c#d&e=f%2F+", "ü/日本/🙂", "closed/a//b")
CONTENTS = (b"", b'{"a": 1}', b"\r\n--x\r\n\0\xff" * 1000)
METADATA: tuple[dict[str, str], ...] = ({}, {"entry": "x", "name": 'ü 🙂 "quoted" \\ {}'})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve GCS, with preconditions of deletes that hold."""
    with limited_gcs(tmp_path_factory.mktemp("gcs"), "--write-seconds=0") as url:
        yield url


@pytest.fixture
def both(server: str) -> tuple[Bucket, storage.Bucket]:
    """Return a bucket as we see it, and as Google's client does."""
    name = fresh_bucket(server)
    return Bucket(name, patience=2), storage.Client(project="p").bucket(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", CONTENTS, ids=("empty", "json", "bytes"))
@pytest.mark.parametrize("metadata", METADATA, ids=("none", "some"))
def test_the_client_reads_what_we_write(
    both: tuple[Bucket, storage.Bucket], name: str, content: bytes, metadata: dict[str, str]
) -> None:
    """Content, metadata, type, checksum and generation."""
    ours, theirs = both
    generation = ours.write(name, content, metadata, 0)
    blob = theirs.get_blob(name)
    assert blob is not None
    assert blob.download_as_bytes() == content
    assert {key: value for key, value in blob.metadata.items() if key != WRITER} == metadata
    assert (blob.generation, blob.content_type) == (generation, "application/json")
    assert base64.b64decode(blob.crc32c) == google_crc32c.value(content).to_bytes(4, "big")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", CONTENTS, ids=("empty", "json", "bytes"))
def test_we_read_what_the_client_writes(both: tuple[Bucket, storage.Bucket], name: str, content: bytes) -> None:
    """And list it, see it, replace it and delete it, each by its generation."""
    ours, theirs = both
    blob = theirs.blob(name)
    blob.metadata = METADATA[1]
    blob.upload_from_string(content)
    assert ours.read(name) == (blob.generation, content)
    assert ours.list_metadata(name[:1], lambda *each: each) == [(name, METADATA[1])]
    assert ours.exists(name)
    with pytest.raises(Conflict):
        ours.write(name, b"{}", {}, blob.generation + 1)
    replaced = ours.write(name, b"{}", {}, blob.generation)
    with pytest.raises(Conflict):
        ours.delete(name, blob.generation)
    ours.delete(name, replaced)
    assert theirs.get_blob(name) is None
    assert (ours.exists(name), ours.read(name), ours.list_metadata("", lambda *each: each)) == (False, None, [])


def test_both_list_the_same_over_all_pages(both: tuple[Bucket, storage.Bucket]) -> None:
    """In the same order; other prefixes are left out."""
    ours, theirs = both
    for number in range(25):
        ours.write(f"open/{number}", b"{}", {"n": str(number)}, 0)
    ours.write("opened", b"{}", {}, 0)
    listed = ours.list_metadata("open/", lambda *each: each)
    assert [name for name, _ in listed] == [blob.name for blob in theirs.list_blobs(prefix="open/", page_size=7)]
    assert len(listed) == 25


@pytest.mark.parametrize("code", [400, 401, 403, 404, 408, 409, 412, 429, 499, *range(500, 506)])
def test_we_repeat_what_the_client_repeats(server: str, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """And report at once what it reports at once."""
    name = fresh_bucket(server)
    ours, asked, really = Bucket(name, patience=2), [], HTTPAdapter.send

    def send(adapter: HTTPAdapter, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        if name not in str(request.url):  # a thread that an earlier test has left behind
            return really(adapter, request, **more)
        asked.append(request)
        response = requests.Response()
        response.status_code, response.url, response.request = code, str(request.url), request
        vars(response).update(_content=b'{"error": {"message": "no"}}', _content_consumed=True)
        return response

    monkeypatch.setattr(HTTPAdapter, "send", send)
    monkeypatch.setattr("random.uniform", lambda *_: 0.7)
    with pytest.raises(LaunchError):
        ours.list_metadata("", lambda *each: each)
    repeats = DEFAULT_RETRY._predicate(google_errors.from_http_status(code, "no"))  # noqa: SLF001 - it has no public name
    assert (len(asked) > 1) == repeats
