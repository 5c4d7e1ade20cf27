"""What a build is made of, as a .tar.gz in a bucket: the code, what the job says of it, and our Dockerfile.

It goes there while it is fetched: a function's disk is its memory. Each has a name of its own and is named to Cloud
Build with its generation, so nobody who may write to that bucket can put another in its place.
"""

import io
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO

from google.api_core import exceptions as google_errors
from google.cloud import storage
from google.cloud.storage.exceptions import InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from shared.core.budget import Budget
from shared.core.building import ArtifactFile, Recipe
from shared.core.errors import Reject, Retry
from shared.core.ports import ArtifactFiles

DOCKERFILE = "Dockerfile"
LARGEST = 200_000_000  # bytes of code
MOST = 2_000  # files of it, fetched one by one
CHUNK = 1 << 20  # bytes that are held
TIMEOUT = 60  # seconds for each of these

_FIX = "Leave data out of the code (an artifact of its own is fetched by the run), or build the image yourself."


def upload(
    recipe: Recipe, files: ArtifactFiles, client: storage.Client, budget: Budget
) -> dict[str, object]:
    """Put the context of a recipe into its store and return where it is, in Cloud Build's words.

    Raises:
        OutOfTime: the code does not arrive within the budget.
        Reject: the code is too large, or lacks the Dockerfile that is named.
        Retry, Denied: W&B cannot be asked; and whatever the client raises.
    """
    code = list(_code(recipe, files))
    of_job = [file for file in files.files_of(recipe.job) if file.name in recipe.files]
    bucket, _, folder = recipe.store.removeprefix("gs://").partition("/")
    blob = client.bucket(bucket).blob(f"{folder}/{recipe.tag}-{uuid.uuid4().hex}.tar.gz")
    try:
        with _written(blob) as out, tarfile.open(fileobj=out, mode="w|gz") as archive:
            if recipe.text:
                text = recipe.text.encode()
                _add(archive, DOCKERFILE, len(text), iter([text]))
            for file in of_job:
                _add(archive, file.name, file.size, _in_time(files.content(file), budget))
            for file in code:
                _add(archive, f"code/{file.name}", file.size, _in_time(files.content(file), budget))
    except InvalidResponse as exc:
        raise google_errors.from_http_response(exc.response) from exc
    blob.reload(timeout=TIMEOUT)
    return {"bucket": bucket, "object_": blob.name, "generation": int(blob.generation)}


@contextmanager
def _written(blob: storage.Blob) -> Iterator[IO[bytes]]:
    """Open a new object for writing. One that could not be closed would be tried again when its memory is freed."""
    out = blob.open(
        "wb", chunk_size=CHUNK, retry=DEFAULT_RETRY, timeout=TIMEOUT, if_generation_match=0
    )
    try:
        yield out
        out.close()
    except BaseException:
        out.terminate()
        raise


def _code(recipe: Recipe, files: ArtifactFiles) -> Sequence[ArtifactFile]:
    """Return the files of the code, none where a step of the build fetches them."""
    found: list[ArtifactFile] = []
    size = 0
    for file in files.files_of(recipe.code) if recipe.code else ():
        if ".." in PurePosixPath(file.name).parts or file.name.startswith("/"):
            raise Reject(
                "job", f"{recipe.code} has a file outside of itself: {file.name[:100]!r}", _FIX
            )
        found.append(file)
        size += file.size
        if size > LARGEST or len(found) > MOST:
            more = (
                f"more than {LARGEST // 1_000_000} MB"
                if size > LARGEST
                else f"more than {MOST} files"
            )
            raise Reject(
                "job", f"{recipe.code} has {more}, which is too much to build an image of", _FIX
            )
    own = str(PurePosixPath(recipe.context, recipe.dockerfile))
    if (
        recipe.code
        and recipe.dockerfile
        and own not in {str(PurePosixPath(file.name)) for file in found}
    ):
        raise Reject(
            "job",
            f"{recipe.code} has no {own}, which the image is to be built of",
            "Name one that it has.",
        )
    return found


def _in_time(pieces: Iterator[bytes], budget: Budget) -> Iterator[bytes]:
    for piece in pieces:
        budget.require("the upload of the code")
        yield piece


def _add(archive: tarfile.TarFile, name: str, size: int, chunks: Iterator[bytes]) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size
    content = io.BufferedReader(_Pieces(chunks), CHUNK)
    try:
        archive.addfile(entry, content)
    except OSError as exc:
        raise Retry(f"{name} is shorter than W&B says") from exc
    if content.read(1):
        raise Retry(f"{name} is longer than W&B says")


class _Pieces(io.RawIOBase):
    """A file that comes in pieces."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        """Say so."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # of all buffers it gets this one
        """Fill as much of the buffer as the piece at hand can."""
        self._rest = self._rest or next((chunk for chunk in self._chunks if chunk), b"")
        filled = len(buffer[: len(self._rest)])
        buffer[:filled], self._rest = self._rest[:filled], self._rest[filled:]
        return filled
