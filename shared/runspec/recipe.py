"""What the image of a code job is built of: the code's own Dockerfile, or one of ours that does what a start would."""

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
from shared.runspec.model import Overrides

FROZEN, PATCH = "requirements.frozen.txt", "diff.patch"  # files of a job's artifact
CONTEXTS = "launch-builds"  # the folder of a bucket in which builds find what they are made of
TAG_LENGTH = 32  # hexadecimal digits: more than anybody can make collide

_PYTHON = re.compile(r"python[\d.]*")
# of all that a folder's name may hold, what neither Docker nor a shell gives a meaning
_PLAIN = re.compile(r"[\w./ +@%=~-]*")


def recipe_of(job: JobSource, overrides: Overrides, base_image: str, destination: str) -> Recipe:
    """Return what the image of a code job is built of; `base_image` is what ours begins with.

    Raises:
        Reject: there is nothing to build on, or an override that no build can follow.
    """
    own = _path(overrides.dockerfile, "dockerfile") or job.dockerfile
    folder = _path(overrides.working_dir, "working_dir")
    if own and folder:
        fix = "Set WORKDIR there, or leave this out."
        raise Reject(
            "overrides.working_dir", f"is {folder!r}, and the image is built of its own {own}", fix
        )
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
    """Return an entry point for an image of ours, whose Python is `python3`, whatever it was called elsewhere."""
    return ["python3", *command[1:]] if command and _PYTHON.fullmatch(command[0]) else command


def placed(recipe: Recipe | None, store: str, pools: Iterable[Mapping[str, Any]]) -> Recipe | None:
    """Return a recipe with the place for its context, and with what the pools' containers tell git."""
    if recipe is None:
        return None
    told = {
        one["name"]: one["value"]
        for pool in pools
        for one in pool.get("container_spec", {}).get("env", ())
        if one["name"].startswith("GIT_") and recipe.remote
    }
    return replace(recipe, store=f"{store.rstrip('/')}/{CONTEXTS}", variables=told)


def _tag(recipe: Recipe, job: JobSource, destination: str) -> str:
    """Return the hash of all that decides what is in the image; of the job only the files that go into it."""
    code = job.digest if recipe.code else f"{recipe.remote} {recipe.commit}"
    ours = [destination, code, recipe.context, recipe.dockerfile, recipe.text]
    of_job = [[name, job.files[name]] for name in recipe.files]
    return hashlib.sha256(json.dumps([ours, of_job]).encode()).hexdigest()[:TAG_LENGTH]


def _dockerfile(base_image: str, folder: str, frozen: bool, *, install: bool) -> str:
    """Return our Dockerfile; it installs what in_container.py would, with paths that begin where the code is."""
    if not re.fullmatch(r"[\w.:/@-]+", base_image, re.ASCII):
        raise Reject(
            "job", f"its base image is {base_image[:200]!r}", "Name one as `docker pull` takes it."
        )
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
        raise Reject(
            f"overrides.{name}",
            f"is {written[:200]!r}",
            "Give a path within the code, without `..`.",
        )
    return found
