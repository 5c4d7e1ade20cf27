"""The context of an image's build: its files, their limits, and the one object that is uploaded."""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from google.cloud import storage

from shared.adapters.build.context import LARGEST, MOST, upload
from shared.core.budget import Budget
from shared.core.building import ArtifactFile, Recipe
from shared.core.errors import LaunchError, Reject, Retry

JOB, CODE = "team/cats/train:v3", "team/cats/code:v1"
RECIPE = Recipe("r/p/i:0123abc", "gs://contexts/builds/a", JOB, ("requirements.txt",), CODE, text="FROM x\n")


class Files:
    """The artifacts of W&B, by their names."""

    def __init__(self, code: list[ArtifactFile], content: bytes = b"") -> None:
        self.content_of_each = content
        self.of = {CODE: code, JOB: [file("requirements.txt"), file("wandb-job.json")]}

    def files_of(self, artifact: str) -> Iterator[ArtifactFile]:
        """Yield the files of an artifact."""
        yield from self.of[artifact]

    def content(self, file: ArtifactFile) -> Iterator[bytes]:
        """Yield a file in pieces of one byte."""
        for byte in self.content_of_each or (b"abc" * file.size)[: file.size]:
            yield bytes([byte])


class Bucket:
    """A bucket in Cloud Storage, and the object that was uploaded."""

    generation = "77"

    def bucket(self, name: str) -> "Bucket":
        """Note the bucket."""
        self.name = name
        return self

    def blob(self, name: str, chunk_size: int) -> "Bucket":
        """Note the object."""
        self.object, self.chunk = name, chunk_size
        return self

    def upload_from_file(self, stream: Any, **options: Any) -> None:
        """Read the stream as the client does, in chunks."""
        self.options, self.content, offsets = options, b"", [stream.tell()]
        while piece := stream.read(7):
            self.content += piece
            offsets.append(stream.tell())
        assert offsets[-1] == len(self.content)
        assert offsets[0] == 0


def file(name: str, size: int = 3) -> ArtifactFile:
    """Return a file of an artifact."""
    return ArtifactFile(name, size, f"https://h/{name}")


def uploaded(files: Files, recipe: Recipe = RECIPE, seconds: float = 60) -> tuple[dict[str, object], Bucket]:
    """Upload a context."""
    bucket = Bucket()
    return upload(recipe, files, cast(storage.Client, bucket), Budget(seconds)), bucket


def test_the_context_has_the_dockerfile_the_jobs_files_and_the_code() -> None:
    """In an object of its own, which replaces no other."""
    place, bucket = uploaded(Files([file("train.py"), file("lib/a.py")]))
    with tarfile.open(fileobj=io.BytesIO(bucket.content), mode="r:gz") as archive:
        found = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert found == {
        "Dockerfile.wandb": b"FROM x\n",
        "requirements.txt": b"abc",
        "code/train.py": b"abc",
        "code/lib/a.py": b"abc",
    }
    assert place == {"bucket": "contexts", "object_": bucket.object, "generation": 77}
    assert bucket.name == "contexts"
    assert bucket.object.startswith("builds/a/0123abc-")
    assert bucket.object.endswith(".tar.gz")
    assert uploaded(Files([]))[1].object != bucket.object
    assert bucket.options.keys() == {"retry", "timeout", "if_generation_match"}
    assert (bucket.options["if_generation_match"], bucket.options["timeout"], bucket.chunk) == (0, 60, 1 << 20)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["a" * 255], ""),
        (["a" * 256], "whose name is too long"),
        (["é" * 127 + "a"], ""),
        (["é" * 128], "whose name is too long"),  # Linux counts bytes
        (["/".join(["a" * 249] * 16)], ""),  # 3,999 bytes
        (["b" + "/".join(["a" * 249] * 16)], ""),
        (["bb" + "/".join(["a" * 249] * 16)], "whose name is too long"),
        (["a", "a"], "twice"),
        (["a", "a/b"], "that is also a folder"),
        (["a/b", "a/c"], ""),
        (["../a"], "outside of itself"),
        (["/a"], "outside of itself"),
        (["a//b"], "whose name is not a plain path"),
        (["./a"], "whose name is not a plain path"),
        (["a\\b"], "whose name is not a plain path"),
        (["a\ud800"], "whose name is not a plain path"),
        (["."], "whose name is not a plain path"),
    ],
    ids=lambda value: str(value)[:30].encode("ascii", "replace").decode(),
)
def test_a_file_that_no_folder_can_have_is_refused(names: list[str], problem: str) -> None:
    """With its name, and what its author can do."""
    files = Files([file(name) for name in names])
    if not problem:
        uploaded(files)
        return
    with pytest.raises(Reject, match=f"job: {CODE} has a file {problem}: .*Put data into an artifact"):
        uploaded(files)


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        ([file("a", LARGEST), file("b", 1)], "200 MB"),
        ([file(str(number), 0) for number in range(MOST + 1)], "2000 files"),
    ],
    ids=["bytes", "files"],
)
def test_code_has_a_limit(code: list[ArtifactFile], limit: str) -> None:
    """One less is allowed."""
    with pytest.raises(Reject, match=f"job: {CODE} has more than {limit}, too much for an image"):
        uploaded(Files(code))
    uploaded(Files(code[1:]))


@pytest.mark.parametrize(("size", "problem"), [(2, "longer"), (4, "shorter")])
def test_a_file_that_has_changed_is_fetched_again(size: int, problem: str) -> None:
    """Its size in W&B is in the archive before its content."""
    with pytest.raises(Retry, match=f"code/a is {problem} than its size in W&B"):
        uploaded(Files([file("a", size)], b"abc"), replace(RECIPE, files=()))


def test_code_that_does_not_arrive_in_time_is_given_up() -> None:
    """The build would begin after the function's end."""
    with pytest.raises(LaunchError, match="the upload of the code"):
        uploaded(Files([file("a")]), seconds=0)


@pytest.mark.parametrize(
    ("context", "dockerfile", "missing"),
    [("", "Dockerfile", ""), ("sub", "my.Dockerfile", ""), ("sub", "Dockerfile", "sub/Dockerfile")],
)
def test_the_codes_own_dockerfile_is_part_of_it(context: str, dockerfile: str, missing: str) -> None:
    """Within the context that the job names."""
    recipe = Recipe("r:1", "gs://b/f", JOB, (), CODE, context=context, dockerfile=dockerfile)
    files = Files([file("Dockerfile"), file("sub/my.Dockerfile")])
    if not missing:
        _, bucket = uploaded(files, recipe)
        assert bucket.object.startswith("f/1-")
        return
    with pytest.raises(Reject, match=f"job: {CODE} has no {missing}, the Dockerfile of the image"):
        uploaded(files, recipe)
