"""The recipe of an image, whole: what each kind of job needs, and nothing more."""

from dataclasses import replace

import pytest

from shared.core.building import GitCredential, Recipe
from shared.core.errors import Reject
from shared.core.jobsource import JobSource, Kind
from shared.runspec.model import Overrides
from shared.runspec.programs import INSTALL
from shared.runspec.recipe import placed, recipe_of

PATH = "team/cats/train:v1"
FROZEN, PATCH = "requirements.frozen.txt", "diff.patch"
CODE = JobSource(PATH, Kind.ARTIFACT, ("python", "train.py"), code="team/cats/code:v3", files={FROZEN: "f", PATCH: "p"})
REPO = JobSource(
    PATH,
    Kind.REPO,
    ("bash", "run.sh"),
    remote="https://git.test/a.git",
    commit="c0ffee",
    files={FROZEN: "f", PATCH: "p"},
)
TEXT = (
    "FROM python:3.12\n"
    "COPY code /job/code\n"
    "COPY install.py requirements.frozen.txt /job/\n"
    "WORKDIR /job/code\n"
    "ENV PIP_BREAK_SYSTEM_PACKAGES=1\n"
    "RUN python3 ../install.py ../requirements.frozen.txt ../left-out.txt\n"
)
PLAIN = "FROM python:3.12\nCOPY code /job/code\nWORKDIR /job/code\n"


def made(job: JobSource, **overrides: str) -> Recipe:
    """Return the recipe of a job on python:3.12, without its name."""
    recipe = recipe_of(job, Overrides(**overrides), "python:3.12", "us-docker.pkg.dev/p/r/jobs")  # type: ignore[arg-type]
    assert recipe.image.startswith("us-docker.pkg.dev/p/r/jobs:")
    assert len(recipe.tag) == 32
    return replace(recipe, image="")


@pytest.mark.parametrize(
    ("job", "overrides", "recipe"),
    [
        (
            CODE,
            {},
            Recipe("", "", PATH, (FROZEN,), code=CODE.code, text=TEXT, installer=INSTALL, base_image="python:3.12"),
        ),
        (
            replace(CODE, base_image="own:1"),
            {},
            Recipe("", "", PATH, code=CODE.code, text=PLAIN, base_image="python:3.12"),
        ),
        (
            replace(CODE, dockerfile="D", build_context="sub"),
            {},
            Recipe("", "", PATH, code=CODE.code, context="sub", dockerfile="D"),
        ),
        (CODE, {"dockerfile": "E"}, Recipe("", "", PATH, code=CODE.code, dockerfile="E")),
        (replace(CODE, dockerfile="D"), {"dockerfile": "E"}, Recipe("", "", PATH, code=CODE.code, dockerfile="E")),
        (
            REPO,
            {},
            Recipe(
                *("", "", PATH, (PATCH, FROZEN)),
                remote=REPO.remote,
                commit="c0ffee",
                text=TEXT,
                installer=INSTALL,
                base_image="python:3.12",
            ),
        ),
        (
            replace(REPO, dockerfile="D"),
            {},
            Recipe("", "", PATH, (PATCH,), remote=REPO.remote, commit="c0ffee", dockerfile="D"),
        ),
    ],
    ids=["code", "own base image", "own Dockerfile", "override", "override of its own", "repository", "both"],
)
def test_a_recipe_has_what_its_image_needs(job: JobSource, overrides: dict[str, str], recipe: Recipe) -> None:
    """Only a repository is patched; a base image of the job's own is complete; a Dockerfile brings its own base."""
    assert made(job, **overrides) == recipe


@pytest.mark.parametrize("folder", ["X", "a/X", "aX"])
def test_a_folder_keeps_its_name(folder: str) -> None:
    """The program is as many folders above it as the folder has parts."""
    up = "../" * (folder.count("/") + 2)
    lines = made(replace(CODE, files={}), working_dir=folder).text.splitlines()
    assert lines[3] == f"WORKDIR /job/code/{folder}"
    assert lines[-1] == f"RUN python3 {up}install.py {up}{FROZEN} {up}left-out.txt"


@pytest.mark.parametrize(
    ("entry_point", "context", "folder"),
    [
        (("python", "-u", "src/train.py"), "", "src"),
        (("src/train.sh",), "", "src"),
        ((), "app", "app"),
        ((), "", ""),
        (("python", "train.py", "--a/b"), "app", "app"),
        (("python", "train.py", "lr=a/b"), "app/src", "app/src"),
        (("python", "../train.py"), "app/src", "app/src"),
        (("python", "a$b/train.py"), "", ""),
        (("python", "X/X.py"), "", "X"),
    ],
)
def test_the_folder_of_a_dockerfile_is_that_of_the_last_word(
    entry_point: tuple[str, ...], context: str, folder: str
) -> None:
    """An argument is no script; a name with a meaning to a shell is not used."""
    assert made(replace(CODE, entry_point=entry_point, build_context=context)).context == folder


@pytest.mark.parametrize("host", ["git.test", "GIT.test"])
def test_the_credential_of_the_remotes_own_host_counts(host: str) -> None:
    """Not the first one."""
    credentials = (GitCredential("other.test", "s1"), GitCredential("git.test:8443", "s2"))
    job = replace(REPO, remote=f"git@{host}:a/b.git")
    recipe = recipe_of(job, Overrides(), "python:3.12", "us-docker.pkg.dev/p/r/jobs", credentials)
    assert recipe.remote == "https://git.test:8443/a/b.git"


def test_a_long_remote_is_shown_whole() -> None:
    """The host names the secret that is missing."""
    host, path = "git." + "h" * 90 + ".test", "p" * 60 + ".git"
    with pytest.raises(Reject) as refused:
        made(replace(REPO, remote=f"git@{host}:{path}"))
    assert f"has the git remote 'git@{host}:{path}', and a build" in str(refused.value)
    assert f"to name a secret for '{host}' in builder.git_credentials." in str(refused.value)


def test_no_recipe_has_no_store() -> None:
    """An image that is not built needs none."""
    assert placed(None, "gs://contexts") is None
