"""The file that describes a job: each part of what is read, and the refusal of each wrong part."""

import json
import re
from typing import Any

import pytest

from shared.core.errors import Reject
from shared.core.jobsource import CREATE_AGAIN, JobSource, Kind, inside, read_job, ssh_place

PATH = "team/cats/train:v3"
RUN = ["python", "train.py"]
LINK = "wandb-artifact://_id/abc=="
REMOTE = "https://github.com/o/r"
FILE = "has a wandb-job.json"
REMOTE_FORM = "has a git remote that is not https://, ssh:// or git@host:path"
SECRET = "has a git remote that contains a password or a token"


def image(**source: Any) -> dict[str, Any]:
    """Return the file of an image's job."""
    return {"source_type": "image", "source": {"image": "i:1", **source}}


def artifact(**source: Any) -> dict[str, Any]:
    """Return the file of a job of an artifact."""
    return {"source_type": "artifact", "source": {"artifact": LINK, "entrypoint": RUN, **source}}


def repo(remote: Any = REMOTE, commit: Any = "c0ffee", **source: Any) -> dict[str, Any]:
    """Return the file of a job of a repository."""
    return {"source_type": "repo", "source": {"git": {"remote": remote, "commit": commit}, "entrypoint": RUN, **source}}


FOLDERS = {"base_image": "python:3", "dockerfile": "a/./Dockerfile", "build_context": "./b/"}
FOLDERS_READ: dict[str, Any] = {"base_image": "python:3", "dockerfile": "a/Dockerfile", "build_context": "b"}
CODE = JobSource(PATH, Kind.ARTIFACT, ("python", "train.py"), code="_id/abc==")
REPO = JobSource(PATH, Kind.REPO, ("python", "train.py"), remote=REMOTE, commit="c0ffee")


@pytest.mark.parametrize(
    ("written", "job"),
    [
        (image(), JobSource(PATH, Kind.IMAGE, image="i:1")),
        (image(entrypoint=RUN, **FOLDERS), JobSource(PATH, Kind.IMAGE, ("python", "train.py"), image="i:1")),
        (image(entrypoint=None), JobSource(PATH, Kind.IMAGE, image="i:1")),
        (artifact(), CODE),
        (artifact(**FOLDERS), JobSource(PATH, Kind.ARTIFACT, ("python", "train.py"), code="_id/abc==", **FOLDERS_READ)),
        (artifact(base_image=None, dockerfile=None, build_context="."), CODE),
        (repo(), REPO),
        (repo(**FOLDERS), JobSource(PATH, Kind.REPO, ("python", "train.py"), remote=REMOTE, commit="c0ffee",
                                    **FOLDERS_READ)),
        (repo(f" {REMOTE}/ ", " c0ffee "), REPO),
    ],
    ids=range(9),
)  # fmt: skip
def test_each_part_of_a_job_is_read(written: dict[str, Any], job: JobSource) -> None:
    """Folders in their plain form; an image's job has no code."""
    assert read_job(PATH, json.dumps(written).encode()) == job


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({"source_type": "other"}, f"{FILE} that is not a JSON object with a source_type of image, artifact, repo"),
        ([], f"{FILE} that is not a JSON object with a source_type of image, artifact, repo"),
        ({"source_type": "image"}, f"{FILE} without image"),
        (image(image=" "), f"{FILE} without image"),
        (image(image=5), f"{FILE} without image"),
        (image(entrypoint="python"), "has an entrypoint that is not a list of texts"),
        (image(entrypoint=["a", 1]), "has an entrypoint that is not a list of texts"),
        (artifact(entrypoint=[]), "has no entrypoint that starts its code"),
        (artifact(base_image=5), "has a base_image that is not a text"),
        (artifact(dockerfile=5), "has a dockerfile that is not a text"),
        (artifact(build_context=["a"]), "has a build_context that is not a text"),
        (artifact(dockerfile="/Dockerfile"), "has a dockerfile outside its code"),
        (artifact(build_context="a/../.."), "has a build_context outside its code"),
        (artifact(build_context="a\n"), "has a build_context outside its code"),
        (artifact(artifact=""), f"{FILE} without artifact"),
        (artifact(artifact="team/cats/code:v1"),
         "names its code as 'team/cats/code:v1', which is not a link to an artifact"),
        (artifact(artifact=f"wandb-artifact://{'x' * 200}"),
         f"names its code as 'wandb-artifact://{'x' * 33}…{'x' * 50}', which is not a link to an artifact"),
        (artifact(artifact="wandb-artifact://_id"), "names its code as 'wandb-artifact://_id', which is not a link"),
        (artifact(artifact="wandb-artifact://a/b"), "names its code as 'wandb-artifact://a/b', which is not a link"),
        (repo(""), f"{FILE} without remote"),
        (repo(commit=None), f"{FILE} without commit"),
        (repo("https://[x/r"), "has a git remote that is not a URL"),
        (repo("http://github.com/o/r"), REMOTE_FORM),
        (repo("https://github.com"), REMOTE_FORM),
        (repo("file:///x"), REMOTE_FORM),
        (repo("-oProxyCommand=x@h:p"), REMOTE_FORM),
        (repo("https://github.com/o/r x"), "has a git remote with a space, a backslash or a control character"),
        (repo("https://github.com/o\\r"), "has a git remote with a space, a backslash or a control character"),
        (repo("ssh://git:hunter2@h/r"), SECRET),
        (repo("https://me:hunter2@github.com/o/r"), SECRET),
        (repo("https://someone@github.com/o/r"), SECRET),
        (repo(f"https://ghp_{'a1' * 18}:@github.com/o/r"), SECRET),
        (repo(commit="-x"), "has the commit '-x', which git would read as an option"),
        (repo(commit="a b"), "has the commit 'a b', with a space, a backslash or a control character"),
        (repo(commit=f"-{'x' * 60}"), f"has the commit '-{'x' * 24}…{'x' * 25}', which git would read as an option"),
    ],
    ids=range(35),
)  # fmt: skip
def test_each_wrong_part_is_refused(written: Any, problem: str) -> None:
    """The refusal names the job and the part; no password is shown."""
    with pytest.raises(Reject, match=f"^job: {re.escape(f'{PATH} {problem}')}") as refused:
        read_job(PATH, json.dumps(written).encode())
    assert refused.value.field == "job"
    assert "hunter2" not in str(refused.value)
    fix = "can tell git how to log in (GIT_CONFIG_COUNT)." if problem == SECRET else f". {CREATE_AGAIN}"
    assert str(refused.value).endswith(fix)


def test_a_file_with_too_many_values_is_refused() -> None:
    """Before it is parsed; also if it is not UTF-8."""
    content = b'{"\xff": [' + b"1," * 100_000 + b"1]}"
    problem = f"^job: the wandb-job.json of {PATH} has more than 100,000 keys and values"
    with pytest.raises(Reject, match=problem):
        read_job(PATH, content)


@pytest.mark.parametrize(
    ("link", "code", "code_id"),
    [
        ("wandb-artifact://_id/abc==", "_id/abc==", "abc=="),
        ("wandb-artifact://_id/abc==/file.py", "_id/abc==", "abc=="),
        ("wandb-artifact://team/cats/code:v1", "team/cats/code:v1", ""),
        ("wandb-artifact://team/cats/code:v1/file.py", "team/cats/code:v1", ""),
        ("wandb-artifact://https://w.test/team/cats/code:v1", "team/cats/code:v1", ""),
        ("wandb-artifact://https://w.test/_id/abc==/x", "_id/abc==", "abc=="),
    ],
)
def test_the_artifact_of_a_link(link: str, code: str, code_id: str) -> None:
    """By its id, or by its path; a file within it is left out."""
    job = read_job(PATH, json.dumps(artifact(artifact=link)).encode())
    assert (job.code, job.code_id) == (code, code_id)


@pytest.mark.parametrize(
    ("written", "remote"),
    [
        ("https://git@github.com/o/r", "https://github.com/o/r"),
        ("https://x-access-token:@github.com/o/r", "https://github.com/o/r"),
        ("https://me:@github.com/o/r", "https://github.com/o/r"),
        ("https://org@dev.azure.com/org/p/_git/r", "https://dev.azure.com/org/p/_git/r"),
        ("https://me@bitbucket.org/o/r", "https://bitbucket.org/o/r"),
        ("https://me@git.test:8443/scm/p/r.git", "https://git.test:8443/scm/p/r.git"),
        ("ssh://git@h:22/r/", "ssh://git@h:22/r"),
        ("ssh://git:@h/r", "ssh://git@h/r"),
        ("git@github.com:o/r.git", "git@github.com:o/r.git"),
    ],
)
def test_a_remote_has_no_login_but_that_of_ssh(written: str, remote: str) -> None:
    """A user that is no secret is left out."""
    assert read_job(PATH, json.dumps(repo(written)).encode()).remote == remote


@pytest.mark.parametrize(
    ("remote", "place"),
    [
        ("git@github.com:o/r.git", ("github.com", "o/r.git")),
        ("git@github.com:/o/r", ("github.com", "o/r")),
        ("ssh://git@h.test:22/o/r", ("h.test", "o/r")),
        ("ssh://h/r", ("h", "r")),
        ("https://github.com/o/r", None),
        ("git@github.com:", None),
    ],
)
def test_the_place_of_a_repository_by_ssh(remote: str, place: tuple[str, str] | None) -> None:
    """Its host, and its path there."""
    assert ssh_place(remote) == place


@pytest.mark.parametrize(
    ("written", "plain"),
    [("", ""), (".", ""), ("a//b/.", "a/b"), ("a b", "a b"), ("a/..b", "a/..b"), ("/a", None), ("a/..", None),
     ("a\x1f", None)],
)  # fmt: skip
def test_a_path_is_inside_its_folder(written: str, plain: str | None) -> None:
    """None: it is not."""
    assert inside(written) == plain
