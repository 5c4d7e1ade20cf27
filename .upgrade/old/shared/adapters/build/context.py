"""The context of a build, as a .tar.gz in a bucket: the code, the job's own files, our Dockerfile.

It is uploaded while it is fetched: a function's disk is its memory. Each context has a unique name,
and Cloud Build gets its generation, so that no other writer of that bucket can replace it.
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
MOST = 2_000  # files of code, fetched one by one
CHUNK = 1 << 20  # bytes in memory
TIMEOUT = 60  # seconds for each chunk

_FIX = "Put data into an artifact that the run fetches, or build the image yourself."


def upload(
    recipe: Recipe, files: ArtifactFiles, client: storage.Client, budget: Budget
) -> dict[str, object]:
    """Upload the context of a recipe to its store; return its place as a `StorageSource`.

    Raises:
        OutOfTime: the code does not arrive within the budget.
        Reject: the code is too large, or lacks the Dockerfile that the job names.
        Retry, Denied: W&B does not answer; and each error of the client.
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
    """Open a new object for writing; end it at once on an error, or its finalizer would retry."""
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
    """Return the files of the code; none if a step of the build fetches a repository."""
    found: list[ArtifactFile] = []
    size = 0
    for file in files.files_of(recipe.code) if recipe.code else ():
        if ".." in PurePosixPath(file.name).parts or file.name.startswith("/"):
            raise Reject(
                "job", f"{recipe.code} has a file outside of itself: {file.name[:100]!r}", _FIX
            )
        found.append(file)
        size += file.size
        if size > LARGEST:
            raise _too_much(recipe, f"{LARGEST // 1_000_000} MB")
        if len(found) > MOST:
            raise _too_much(recipe, f"{MOST} files")
    if recipe.code and recipe.dockerfile:
        _require_dockerfile(recipe, found)
    return found


def _too_much(recipe: Recipe, limit: str) -> Reject:
    return Reject("job", f"{recipe.code} has more than {limit}, too much for an image", _FIX)


def _require_dockerfile(recipe: Recipe, files: Sequence[ArtifactFile]) -> None:
    dockerfile = str(PurePosixPath(recipe.context, recipe.dockerfile))
    if dockerfile not in {str(PurePosixPath(file.name)) for file in files}:
        raise Reject(
            "job",
            f"{recipe.code} has no {dockerfile}, the Dockerfile of the image",
            "Name a Dockerfile that it has.",
        )


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
        raise Retry(f"{name} is shorter than its size in W&B") from exc
    if content.read(1):
        raise Retry(f"{name} is longer than its size in W&B")


class _Pieces(io.RawIOBase):
    """A file that arrives in pieces."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    # BufferedReader passes only memoryviews
    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer from the current piece; return the number of bytes."""
        self._rest = self._rest or next((chunk for chunk in self._chunks if chunk), b"")
        filled = len(buffer[: len(self._rest)])
        buffer[:filled], self._rest = self._rest[:filled], self._rest[filled:]
        return filled
