"""W&B's artifacts: each query for a job, its code and its files, and answers that W&B should not give."""

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import Refused
from shared.adapters.wandb.graphql import CALL_SECONDS, Graphql
from shared.adapters.wandb.jobs import LARGEST, LIST_SECONDS, WandbFiles, WandbJobs
from shared.core.budget import Budget
from shared.core.building import ArtifactFile
from shared.core.errors import Reject
from shared.core.jobsource import JOB_FILE, JobSource, Kind

VERSION = "team/cats/code:v3"
WHERE = {"entity": "team", "project": "cats", "collection": "code", "alias": "v3", "perPage": 200}


def page(*files: tuple[str, object], after: object = None) -> dict[str, Any]:
    """Return an answer with these files, and the cursor of the next page."""
    edges = [{"node": {"name": name, "sizeBytes": size, "directUrl": f"https://h/{name}"}} for name, size in files]
    info = {"hasNextPage": after is not None, "endCursor": after or None}
    membership = {"files": {"edges": edges, "pageInfo": info}}
    return {"project": {"artifactCollection": {"artifactMembership": membership}}}


class Pages:
    """W&B, with these answers one after another; the last one again and again."""

    def __init__(self, *answers: Mapping[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def query(self, document: str, variables: Mapping[str, Any], budget: Budget) -> Mapping[str, Any]:
        """Note the variables, and answer."""
        assert document is documents.FILES
        assert LIST_SECONDS - 5 < budget.left <= LIST_SECONDS
        self.asked.append(dict(variables))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def chunks(self, address: str, most: int) -> list[bytes]:
        """Return what was asked for."""
        return [f"{address} {most}".encode()]


def files(pages: Pages) -> list[ArtifactFile]:
    """Return the files of an artifact that has these pages."""
    return list(WandbFiles(cast(Graphql, pages)).files_of(VERSION))


def test_each_page_is_asked_for_with_the_cursor_of_the_last() -> None:
    """Nothing else changes from page to page."""
    pages = Pages(page(("a", "1"), ("b", 20), after="c1"), page(("c", "0"), after="c2"), page())
    assert files(pages) == [
        ArtifactFile("a", 1, "https://h/a"),
        ArtifactFile("b", 20, "https://h/b"),
        ArtifactFile("c", 0, "https://h/c"),
    ]
    assert pages.asked == [WHERE, {**WHERE, "cursor": "c1"}, {**WHERE, "cursor": "c2"}]


@pytest.mark.parametrize("cursor", ["", "c1"])
def test_a_cursor_that_does_not_move_ends_the_list(cursor: str) -> None:
    """Otherwise the same page would come for ever; an incomplete list is never used."""
    pages = Pages(page(("a", "1"), after=cursor))
    with pytest.raises(Refused, match=f"W&B's list of the files of {VERSION} does not end"):
        files(pages)
    assert len(pages.asked) == (2 if cursor else 1)


@pytest.mark.parametrize("size", [None, "", "-1", "1.5", "many"])
def test_a_file_without_a_size_is_refused(size: object) -> None:
    """The size bounds the download."""
    with pytest.raises(Refused, match=f"W&B's answer lacks the size of a of {VERSION}"):
        files(Pages(page(("a", size))))


@pytest.mark.parametrize("answer", [{}, {"project": None}, {"project": {"artifactCollection": None}}])
def test_an_artifact_that_is_gone_is_its_authors_problem(answer: dict[str, Any]) -> None:
    """It was deleted after the launch began, or the key cannot see its project."""
    with pytest.raises(Reject, match=f"job: {VERSION} was not found in W&B"):
        files(Pages(answer))


def test_a_file_is_read_one_byte_beyond_its_size() -> None:
    """So that a longer one is noticed."""
    place = WandbFiles(cast(Graphql, Pages({})))
    assert list(place.content(ArtifactFile("a", 20, "https://h/a"))) == [b"https://h/a 21"]


# --- the job itself

JOB = "team/cats/train:v7"
DESCRIPTION = {
    "source_type": "repo",
    "source": {"entrypoint": ["python"], "git": {"remote": "https://h/r", "commit": "c" * 40}},
}


class JobPages(Pages):
    """W&B with a job: its membership first, then the pages of its files, then its description."""

    def __init__(self, *answers: Mapping[str, Any], content: object = DESCRIPTION) -> None:
        super().__init__(*answers)
        self.content = content
        self.documents: list[str] = []
        self.downloads: list[tuple[str, int]] = []

    def query(self, document: str, variables: Mapping[str, Any], budget: Budget) -> Mapping[str, Any]:
        """Note the document and the variables, and answer."""
        self.documents.append(document)
        self.asked.append(dict(variables))
        return self.answers.pop(0)

    def download(self, address: str, limit: int, seconds: float) -> bytes:
        """Return the description."""
        assert 0 < seconds <= CALL_SECONDS
        self.downloads.append((address, limit))
        return json.dumps(self.content).encode() if not isinstance(self.content, bytes) else self.content


def membership(kind: str = "job", name: str = "train", index: object = 7, **artifact: object) -> dict[str, Any]:
    """Return the answer about an artifact's name."""
    of = {"name": name, "project": {"name": "cats", "entity": {"name": "team"}}}
    found = {"artifactType": {"name": kind}, "digest": f"d-{name}", **artifact}
    member = {"artifact": found, "artifactCollection": of, "versionIndex": index}
    return {"project": {"artifactCollectionMembership": member}}


def job_files(*files: tuple[str, str | None]) -> dict[str, Any]:
    """Return a page with these files and checksums, and the description's."""
    edges = [{"node": {"name": name, "md5": md5, "directUrl": f"https://h/{name}"}} for name, md5 in files]
    member = {"files": {"edges": edges, "pageInfo": {"hasNextPage": False}}}
    return {"project": {"artifactCollection": {"artifactMembership": member}}}


FILES = job_files(("requirements.txt", "m1"), (JOB_FILE, "m2"), ("diff.patch", None))


def resolved(pages: JobPages, path: str = "team/cats/train") -> JobSource:
    """Resolve a job."""
    return WandbJobs(cast(Graphql, pages)).resolve(path)


def test_a_repositorys_job_is_pinned_with_the_checksums_of_its_files() -> None:
    """A file without a checksum is as new as the job; a name without an alias is the latest."""
    pages = JobPages(membership(), FILES)
    job = resolved(pages)
    assert (job.path, job.kind, job.remote) == (JOB, "repo", "https://h/r")
    assert job.files == {"requirements.txt": "m1", "diff.patch": JOB}
    assert pages.documents == [documents.JOB, documents.FILES]
    assert pages.asked == [
        {"entity": "team", "project": "cats", "name": "train:latest"},
        {**WHERE, "collection": "train", "alias": "v7"},
    ]
    assert pages.downloads == [(f"https://h/{JOB_FILE}", LARGEST + 1)]


@pytest.mark.parametrize("by_id", [True, False])
def test_the_code_of_a_job_is_pinned_by_its_version_and_digest(by_id: bool) -> None:
    """The job names it by its id or by its path."""
    link = "wandb-artifact://_id/A1" if by_id else "wandb-artifact://team/cats/code:latest"
    content = {"source_type": "artifact", "source": {"entrypoint": ["python"], "artifact": link}}
    found = membership("code", "code", 3)["project"]["artifactCollectionMembership"]
    code = {"artifactSequence": found["artifactCollection"], "versionIndex": 3, "digest": "d-code"}
    pages = JobPages(membership(), FILES, {"artifact": code} if by_id else membership("code", "code", 3))
    pages.content = content
    job = resolved(pages, "team/cats/train:prod")
    assert (job.code, job.digest, job.files["requirements.txt"]) == (VERSION, "d-code", "m1")
    assert pages.asked[0]["name"] == "train:prod"
    last = {"id": "A1"} if by_id else {"entity": "team", "project": "cats", "name": "code:latest"}
    assert (pages.documents[2], pages.asked[2]) == (documents.CODE if by_id else documents.JOB, last)


def test_an_image_needs_no_other_file() -> None:
    """Its digest is in its name."""
    image = {"source_type": "image", "source": {"image": "i:1"}}
    job = resolved(JobPages(membership(), FILES, content=image))
    assert job == JobSource(JOB, Kind.IMAGE, image="i:1")


@pytest.mark.parametrize(
    ("answers", "content", "words"),
    [
        ([membership("model")], {}, "is an artifact of type 'model', not a job"),
        ([membership(state="DELETED")], {}, "was deleted in W&B"),
        ([{}], {}, "was not found in W&B"),
        ([membership(), job_files(("a", "m"))], {}, f"has no {JOB_FILE}"),
        ([membership(), FILES], b"x" * (LARGEST + 1), f"has a {JOB_FILE} of more than 1,000,000 bytes"),
        ([membership(), job_files(*((str(n), "m") for n in range(2001)))], {}, "has more than 2,000 files"),
        (
            [membership(), FILES, {"artifact": None}],
            {"source_type": "artifact", "source": {"entrypoint": ["x"], "artifact": "wandb-artifact://_id/A1"}},
            "has code that was not found in W&B",
        ),
        (
            [membership(), FILES, {"artifact": {"state": "DELETED"}}],
            {"source_type": "artifact", "source": {"entrypoint": ["x"], "artifact": "wandb-artifact://_id/A1"}},
            "has code that was deleted in W&B",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_job_that_cannot_be_launched_is_its_authors_problem(
    answers: list[dict[str, Any]], content: object, words: str
) -> None:
    """The refusal names the job as its author wrote it, or its version."""
    with pytest.raises(Reject) as raised:
        resolved(JobPages(*answers, content=content))
    assert str(raised.value).startswith("job: team/cats/train")
    assert words in str(raised.value)


@pytest.mark.parametrize("index", [None, "7", True])
def test_an_answer_without_a_version_is_no_fact(index: object) -> None:
    """It is asked for again."""
    with pytest.raises(Refused, match="lacks the version or the name"):
        resolved(JobPages(membership(index=index)))
    with pytest.raises(Refused, match="lacks the version or the name"):
        resolved(JobPages(membership(name="")))
    listed = job_files((JOB_FILE, "m"))
    listed["project"]["artifactCollection"]["artifactMembership"]["files"]["edges"][0]["node"]["directUrl"] = None
    with pytest.raises(Refused, match=f"lacks the address of {JOB_FILE}"):
        resolved(JobPages(membership(), listed))
