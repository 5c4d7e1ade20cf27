"""A call whose image was built: the image by its digest, and the commands of a folder's own Dockerfile."""

import re
from typing import Any

import pytest

from shared.core.building import Build, Ensured, GitCredential, Recipe, repository_of
from shared.core.ports import CustomJobCall

TAGGED = "us-docker.pkg.dev/p/r/jobs:abc"
DIGEST = "us-docker.pkg.dev/p/r/jobs@sha256:1"
RECIPE = Recipe(TAGGED, "gs://store/launch-builds", "team/cats/job:v3")


def call(*containers: dict[str, Any], recipe: Recipe | None = RECIPE) -> CustomJobCall:
    """Return a call with a pool for each container."""
    pools = [{"container_spec": each, "replica_count": 1} for each in containers]
    return CustomJobCall("p", "us-central1", {"worker_pool_specs": pools}, {}, ("a warning",), recipe)


def containers(of: CustomJobCall) -> list[dict[str, Any]]:
    """Return the containers of a call."""
    return [pool["container_spec"] for pool in of.constructor["worker_pool_specs"]]


def test_the_image_stands_by_its_digest_wherever_its_name_stood() -> None:
    """In each pool, in lists and tuples; a longer text and a number stay."""
    asked = call(
        {"image_uri": TAGGED, "args": [TAGGED, 1, f"{TAGGED}-x"], "env": ({"name": "IMAGE", "value": TAGGED},)},
        {"image_uri": TAGGED},
        {"image_uri": "python:3"},
    )
    ready = asked.running(Ensured(DIGEST, warnings=("another",)))
    first, second, third = containers(ready)
    assert first == {
        "image_uri": DIGEST, "args": [DIGEST, 1, f"{TAGGED}-x"], "env": ({"name": "IMAGE", "value": DIGEST},)
    }  # fmt: skip
    assert (second, third) == ({"image_uri": DIGEST}, {"image_uri": "python:3"})
    assert ready.warnings == ("a warning", "another")
    assert containers(asked)[0]["image_uri"] == TAGGED
    assert ready.parent == "projects/p/locations/us-central1"


def test_a_call_without_a_recipe_stays_as_it_is() -> None:
    """Its image exists already."""
    asked = call({"image_uri": TAGGED}, recipe=None)
    assert asked.running(Ensured(DIGEST)) is asked


def test_the_commands_of_a_context_are_those_of_its_folder() -> None:
    """In each pool that has a command; without such a folder they stay."""
    asked = call({"image_uri": TAGGED, "command": ["python", "code/train.py"]}, {"image_uri": TAGGED}, {"command": []})
    changed = asked.running(Ensured(DIGEST, context="code"))
    assert [each.get("command") for each in containers(changed)] == [["python", "./train.py"], None, []]
    kept = asked.running(Ensured(DIGEST))
    assert containers(kept)[0]["command"] == ["python", "code/train.py"]


@pytest.mark.parametrize(
    ("context", "words", "changed"),
    [
        ("a/code", ["python", "-u", "code/train.py"], ["python", "-u", "./train.py"]),
        ("a/code", ["python", "a/code/train.py"], ["python", "./train.py"]),
        ("a/code", ["python", "ode/train.py"], ["python", "ode/train.py"]),
        ("a/code", ["python", "a/train.py"], ["python", "a/train.py"]),
        ("a/code", ["train.py"], ["train.py"]),
        ("a/code", ["code/train.py"], ["./train.py"]),
    ],
)
def test_a_script_has_another_path_in_its_folder(context: str, words: list[str], changed: list[str]) -> None:
    """Only if the folder ends with the script's own."""
    assert Ensured(context=context).command(words) == changed


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("us-docker.pkg.dev/p/r/jobs", ("projects/p/locations/us/repositories/r", "jobs")),
        ("europe-west4-docker.pkg.dev/p/r/a/b", ("projects/p/locations/europe-west4/repositories/r", "a/b")),
    ],
)
def test_the_repository_of_an_image(name: str, repository: tuple[str, str]) -> None:
    """As a resource name, and the image's path within."""
    assert repository_of(name) == repository


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("us-docker.pkg.dev/p/r", "'us-docker.pkg.dev/p/r'"),
        ("us-docker.pkg.dev/p/r/jobs:1", "'us-docker.pkg.dev/p/r/jobs:1'"),
        (f"us-docker.pkg.dev/p/r/jobs@sha256:{'0' * 64}", "an address"),
        ("https://me:secret@us-docker.pkg.dev/p/r/jobs", "an address"),
        ("gcr.io/p/r/jobs", "'gcr.io/p/r/jobs'"),
        ("us-docker.pkg.dev.evil/p/r/jobs", "'us-docker.pkg.dev.evil/p/r/jobs'"),
        (f"us-docker.pkg.dev/p/r/{'A' * 300}", f"'us-docker.pkg.dev/p/r/{'A' * 78}…{'A' * 100}'"),
    ],
)
def test_a_name_outside_artifact_registry_is_refused(name: str, shown: str) -> None:
    """The refusal says what to write, and shows no password."""
    fix = "write REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE, without a tag"
    with pytest.raises(ValueError, match=f"^{re.escape(f'is {shown}: {fix}')}$"):
        repository_of(name)


@pytest.mark.parametrize(
    ("status", "has_image", "over", "failed"),
    [
        ("WORKING", False, False, False),
        ("SUCCESS", False, True, False),
        ("FAILURE", False, True, True),
        ("FAILURE", True, True, False),
        ("EXPIRED", False, True, True),
        ("GONE", False, True, False),
        ("A_NEW_ONE", False, False, False),
    ],
)
def test_the_end_of_a_build(status: str, has_image: bool, over: bool, failed: bool) -> None:
    """An unknown status counts as running; a build whose image exists has not failed."""
    build = Build("b", status, has_image=has_image)
    assert (build.over, build.failed) == (over, failed)


def test_the_parts_of_names() -> None:
    """An image's tag, and a git host without its port."""
    assert RECIPE.tag == "abc"
    assert GitCredential("git.test:8443", "s").name == "git.test"
    assert GitCredential("git.test", "s").name == "git.test"
