"""The context of a build, as a .tar.gz in a bucket: the code, the job's own files, our Dockerfile.

It is uploaded while it is fetched: a function's disk is its memory. Each context has a unique name,
and Cloud Build gets the generation that the upload itself returned, so that no other writer of that
bucket can replace it.
"""

import tarfile
import uuid
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import PurePosixPath
from typing import IO, cast

from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY

from shared.core.budget import Budget
from shared.core.building import INSTALLER, ArtifactFile, Recipe
from shared.core.errors import Reject, Retry
from shared.core.jobsource import inside
from shared.core.ports import ArtifactFiles
from shared.core.shorten import quoted

DOCKERFILE = "Dockerfile.wandb"  # the name that W&B's agent looks for, and gives to its own
LARGEST = 200_000_000  # bytes of code
MOST = 2_000  # files of code, fetched one by one
CHUNK = 1 << 20  # bytes in memory
TIMEOUT = 60  # seconds for each chunk

_FIX = "Put data into an artifact that the run fetches, or build the image yourself."
_GZIP = 31  # zlib's word for a gzip stream
_LONGEST, _LONGEST_PATH = 255, 4000  # bytes that Linux allows, for a name and for a path
_BLOCK = tarfile.BLOCKSIZE

Content = tuple[str, int, Iterable[bytes]]  # of a file: its name, its size, its pieces


def upload(
    recipe: Recipe, files: ArtifactFiles, client: storage.Client, budget: Budget
) -> dict[str, object]:
    """Upload the context of a recipe to its store; return its place as a `StorageSource`.

    Raises:
        OutOfTime: the code does not arrive within the budget.
        Reject: the code is too large, has a file that no folder can have, or lacks the Dockerfile
            that the job names.
        Retry, Denied: W&B does not answer; and each error of the client.
    """
    code = _checked(recipe, files.files_of(recipe.code)) if recipe.code else []
    wanted = (file for file in files.files_of(recipe.job) if file.name in recipe.files)
    of_job = _bounded(recipe.job, wanted) if recipe.files else []

    def contents() -> Iterator[Content]:
        for name, text in ((DOCKERFILE, recipe.text), (INSTALLER, recipe.installer)):
            if text:
                yield name, len(text.encode()), [text.encode()]
        placed = chain(((each.name, each) for each in of_job), (_placed(each) for each in code))
        for name, file in placed:
            yield name, file.size, _in_time(files.content(file), budget)

    bucket, _, folder = recipe.store.removeprefix("gs://").partition("/")
    name = f"{folder}/{recipe.tag}-{uuid.uuid4().hex}.tar.gz"
    blob = client.bucket(bucket).blob(name, chunk_size=CHUNK)
    blob.upload_from_file(
        cast(IO[bytes], _Stream(_compressed(_archive(contents())))),
        retry=DEFAULT_RETRY,
        timeout=TIMEOUT,
        if_generation_match=0,
    )
    return {"bucket": bucket, "object_": name, "generation": int(blob.generation)}


def _placed(file: ArtifactFile) -> tuple[str, ArtifactFile]:
    return f"code/{file.name}", file


def _checked(recipe: Recipe, files: Iterable[ArtifactFile]) -> Sequence[ArtifactFile]:
    """Return the files of the code, which can be unpacked into one folder."""
    found = _bounded(recipe.code, files)
    folders = {str(up) for file in found for up in PurePosixPath(file.name).parents}
    names: set[str] = set()
    for file in found:
        if problem := _problem(file.name, folders, names):
            raise Reject("job", f"{recipe.code} has a file {problem}: {quoted(file.name)}", _FIX)
        names.add(file.name)
    if recipe.dockerfile:
        dockerfile = str(PurePosixPath(recipe.context, recipe.dockerfile))
        if dockerfile not in names:
            problem = f"{recipe.code} has no {dockerfile}, the Dockerfile of the image"
            raise Reject("job", problem, "Name a Dockerfile that it has.")
    return found


def _problem(name: str, folders: set[str], names: set[str]) -> str:
    """Return why no folder can have this file; empty if one can."""
    plain = inside(name)
    if plain is None:
        return "outside of itself"
    storable = name == name.encode(errors="replace").decode()  # half of a surrogate pair is not
    if not plain or plain != name or "\\" in name or not storable:
        return "whose name is not a plain path"
    lengths = [len(part.encode()) for part in (*PurePosixPath(name).parts, name)]
    if max(lengths[:-1]) > _LONGEST or lengths[-1] > _LONGEST_PATH:
        return "whose name is too long"
    if name in names:
        return "twice"
    return "that is also a folder" if name in folders else ""


def _bounded(artifact: str, files: Iterable[ArtifactFile]) -> Sequence[ArtifactFile]:
    found: list[ArtifactFile] = []
    size = 0
    for file in files:
        found.append(file)
        size += file.size
        if size > LARGEST:
            raise _too_much(artifact, f"{LARGEST // 1_000_000} MB")
        if len(found) > MOST:
            raise _too_much(artifact, f"{MOST} files")
    return found


def _too_much(artifact: str, limit: str) -> Reject:
    return Reject("job", f"{artifact} has more than {limit}, too much for an image", _FIX)


def _in_time(pieces: Iterator[bytes], budget: Budget) -> Iterator[bytes]:
    for piece in pieces:
        budget.require("the upload of the code")
        yield piece


def _archive(contents: Iterator[Content]) -> Iterator[bytes]:
    """Yield a tar archive of regular files."""
    for name, size, pieces in contents:
        entry = tarfile.TarInfo(name)
        entry.size = size
        yield entry.tobuf()
        left = size
        for piece in pieces:
            left -= len(piece)
            if left < 0:
                raise Retry(f"{name} is longer than its size in W&B")
            yield piece
        if left:
            raise Retry(f"{name} is shorter than its size in W&B")
        yield bytes(-size % _BLOCK)
    yield bytes(2 * _BLOCK)


def _compressed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(wbits=_GZIP)
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()


class _Stream:
    """A file that is read while it is made: what an upload of unknown size needs of one."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = bytearray()
        self._position = 0

    def read(self, size: int) -> bytes:
        """Return this number of bytes; fewer only at the end."""
        while len(self._rest) < size and (piece := next(self._pieces, None)) is not None:
            self._rest += piece
        taken = bytes(self._rest[:size])
        del self._rest[:size]
        self._position += len(taken)
        return taken

    def tell(self) -> int:
        """Return the number of bytes read so far."""
        return self._position
