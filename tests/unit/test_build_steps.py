"""The steps of an image's build: their images, programs and arguments, and the secrets of the first."""

from dataclasses import replace
from typing import Any

import pytest

from shared.adapters.build.builders import DOCKER, GIT
from shared.adapters.build.images import CHECK, FETCH, NAME_LEFT_OUT, steps
from shared.core.building import GitCredential, Recipe

IMAGE = "us-docker.pkg.dev/p/r/i:t"
RECIPE = Recipe(IMAGE, "gs://b/f", "e/p/j:v1", code="e/p/c:v1", text="FROM x\n")
LOGINS = [GitCredential("git.test", "projects/p/secrets/a/versions/1"), GitCredential("git2.test:8443", "secret")]


def program(image: str, text: str, *arguments: str) -> dict[str, Any]:
    """Return a step that runs a program of ours; Cloud Build would replace names after a single dollar."""
    args = ["-c", text.replace("$", "$$"), "bash", *arguments]
    return {"name": image, "entrypoint": "bash", "args": args}


def docker(dockerfile: str, context: str, image: str = IMAGE) -> dict[str, Any]:
    """Return the step that builds."""
    args = ["build", "--tag", image, "--file", dockerfile, context]
    return {"name": DOCKER, "args": args, "env": ["DOCKER_BUILDKIT=1"]}


OURS = docker("context/Dockerfile.wandb", "context/.")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [program(DOCKER, CHECK, "code", "", "code"), OURS]),
        ({"context": "sub"}, [program(DOCKER, CHECK, "code", "", "code/sub"), OURS]),
        ({"dockerfile": "D"}, [program(DOCKER, CHECK, "code", "code/D"), docker("code/D", "code")]),
        (
            {"context": "a/b", "dockerfile": "c/$D"},
            [program(DOCKER, CHECK, "code/a/b", "code/a/b/c/$$D"), docker("code/a/b/c/$$D", "code/a/b")],
        ),
        (
            {"installer": "import x"},
            [
                program(DOCKER, CHECK, "code", "", "code"),
                OURS,
                program(DOCKER, NAME_LEFT_OUT, IMAGE, "/job/left-out.txt"),
            ],
        ),
    ],
    ids=["plain", "folder", "own Dockerfile", "both", "installer"],
)
def test_the_code_is_checked_then_built(changes: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    """With our Dockerfile or the code's own; a repository is fetched first, and needs nothing else."""
    recipe = replace(RECIPE, **changes)
    assert steps(recipe) == {"steps": expected}
    assert steps(recipe, LOGINS) == {"steps": expected}
    fetched = replace(recipe, remote="https://git.test/$a.git", commit="c0ffee")
    fetch = program(GIT, FETCH, "https://git.test/$$a.git", "c0ffee")
    assert steps(fetched) == {"steps": [fetch, *expected]}


def test_a_repository_is_fetched_with_the_operators_logins() -> None:
    """Each host has the variable of its number, whose value only that step sees."""
    recipe = replace(RECIPE, remote="https://git.test/a.git", commit="c0ffee")
    found = steps(recipe, LOGINS)
    fetch = program(GIT, FETCH, "https://git.test/a.git", "c0ffee", "git.test", "git2.test:8443")
    assert found["steps"][0] == {**fetch, "secret_env": ["GIT_LOGIN_1", "GIT_LOGIN_2"]}
    assert found["steps"][1:] == steps(RECIPE)["steps"]
    assert found["available_secrets"] == {
        "secret_manager": [
            {"version_name": "projects/p/secrets/a/versions/1", "env": "GIT_LOGIN_1"},
            {"version_name": "secret", "env": "GIT_LOGIN_2"},
        ]
    }
