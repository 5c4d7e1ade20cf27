"""The recipe of a code job's image: the code's Dockerfile, or ours, which installs the code."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from shared.core.building import Recipe
from shared.core.errors import Reject
from shared.core.jobsource import JobSource, Kind, inside
from shared.core.shorten import quoted
from shared.runspec.model import Overrides

FROZEN, PATCH = "requirements.frozen.txt", "diff.patch"  # files of a job's artifact
CONTEXTS = "launch-builds"  # the folder of a bucket that holds the contexts of builds
TAG_LENGTH = 32  # hexadecimal digits: too many for a collision

_PYTHON = re.compile(r"python[\d.]*")
# characters without a meaning to Docker or a shell
_PLAIN = re.compile(r"[\w./ +@%=~-]*")


def recipe_of(job: JobSource, overrides: Overrides, base_image: str, destination: str) -> Recipe:
    """Return the recipe of a code job's image; `base_image` is for our own Dockerfile.

    Raises:
        Reject: the base image is malformed, or a build cannot apply an override.
    """
    own = _path(overrides.dockerfile, "dockerfile") or job.dockerfile
    folder = _path(overrides.working_dir, "working_dir")
    if own and folder:
        problem = f"is {quoted(folder)}, which does not apply: the image has its own {own}"
        raise Reject("overrides.working_dir", problem, "Set WORKDIR there, or leave this out.")
    patched = (PATCH,) if job.kind is Kind.REPO and PATCH in job.files else ()
    if own:
        recipe = Recipe("", "", job.path, patched, dockerfile=own, context=job.build_context)
    else:
        frozen = (FROZEN,) if FROZEN in job.files and not job.base_image else ()
        ours = _dockerfile(base_image, folder, bool(frozen), install=not job.base_image)
        recipe = Recipe("", "", job.path, patched + frozen, text=ours, base_image=base_image)
    recipe = replace(recipe, code=job.code, remote=job.remote, commit=job.commit)
    return replace(recipe, image=f"{destination}:{_tag(recipe, job, destination)}")


def python_of_the_image(command: list[str]) -> list[str]:
    """Return an entry point for an image of ours, whose Python is always `python3`."""
    return ["python3", *command[1:]] if command and _PYTHON.fullmatch(command[0]) else command


def placed(recipe: Recipe | None, store: str, pools: Iterable[Mapping[str, Any]]) -> Recipe | None:
    """Return a recipe with the store of its context, and the git variables of the containers."""
    if recipe is None:
        return None
    variables = {}
    if recipe.remote:
        containers = [pool.get("container_spec", {}) for pool in pools]
        pairs = [pair for container in containers for pair in container.get("env", ())]
        git = [pair for pair in pairs if pair["name"].startswith("GIT_")]
        variables = {pair["name"]: pair["value"] for pair in git}
    return replace(recipe, store=f"{store.rstrip('/')}/{CONTEXTS}", variables=variables)


def _tag(recipe: Recipe, job: JobSource, destination: str) -> str:
    """Return the hash of the image's content; of the job, only the files that it contains."""
    code = job.digest if recipe.code else f"{recipe.remote} {recipe.commit}"
    ours = [destination, code, recipe.context, recipe.dockerfile, recipe.text]
    of_job = [[name, job.files[name]] for name in recipe.files]
    return hashlib.sha256(json.dumps([ours, of_job]).encode()).hexdigest()[:TAG_LENGTH]


def _dockerfile(base_image: str, folder: str, frozen: bool, *, install: bool) -> str:
    """Return our Dockerfile; it installs the same requirements as container/fetch_code.py."""
    if not re.fullmatch(r"[\w.:/@-]+", base_image, re.ASCII):
        problem = f"has the base image {quoted(base_image, 200)}"
        raise Reject("job", problem, "Write an image as in `docker pull IMAGE`.")
    lines = [f"FROM {base_image}", "COPY code /job/code"]
    lines += [f"COPY {FROZEN} /job/"] if frozen else []
    lines.append(f"WORKDIR /job/code/{folder}".rstrip("/"))
    if install:
        pip = "python3 -m pip install --no-cache-dir"
        asked = [
            f"if [ -f requirements.txt ]; then {pip} -r requirements.txt",
            f"elif [ -f pyproject.toml ]; then {pip} .",
        ]
        up = "../" * (1 + len(PurePosixPath(folder).parts))
        asked += [f"else {pip} -r {up}{FROZEN}"] if frozen else []
        lines.append("ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_DISABLE_PIP_VERSION_CHECK=1")
        lines.append("RUN " + "; ".join([*asked, "fi"]))
    return "\n".join(lines) + "\n"


def _path(written: str, name: str) -> str:
    found = inside(written)
    if found is None or not _PLAIN.fullmatch(found):
        fix = "Write a path within the code, without `..`."
        raise Reject(f"overrides.{name}", f"is {quoted(written, 200)}", fix)
    return found
