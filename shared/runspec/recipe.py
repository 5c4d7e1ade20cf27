"""The recipe of a code job's image: the code's Dockerfile, or ours, which installs the code."""

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import PurePosixPath

from shared.core.building import CONTEXTS, INSTALLER, LEFT_OUT, GitCredential, Recipe
from shared.core.errors import Reject
from shared.core.jobsource import JobSource, Kind, inside, ssh_place
from shared.core.shorten import quoted
from shared.runspec.model import Overrides
from shared.runspec.programs import INSTALL

FROZEN, PATCH = "requirements.frozen.txt", "diff.patch"  # files of a job's artifact
TAG_LENGTH = 32  # hexadecimal digits: too many for a collision

# characters without a meaning to Docker or a shell
_PLAIN = re.compile(r"[\w./ +@%=~-]*")


def recipe_of(
    job: JobSource,
    overrides: Overrides,
    base_image: str,
    destination: str,
    credentials: Collection[GitCredential] = (),
) -> Recipe:
    """Return the recipe of a code job's image; `base_image` is for our own Dockerfile.

    Raises:
        Reject: a build cannot apply an override, or it cannot fetch the repository.
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
        install = not job.base_image  # the job's own contains all that the code needs
        recipe = Recipe(
            "",
            "",
            job.path,
            patched + frozen,
            text=_dockerfile(base_image, folder, install=install, frozen=bool(frozen)),
            installer=INSTALL if install else "",
            base_image=base_image,
            context=_beside(job),
        )
    remote = _by_https(job, credentials)
    recipe = replace(recipe, code=job.code, remote=remote, commit=job.commit)
    return replace(recipe, image=f"{destination}:{_tag(recipe, job, destination)}")


def placed(recipe: Recipe | None, store: str) -> Recipe | None:
    """Return a recipe with the store of its context."""
    return recipe and replace(recipe, store=f"{store.rstrip('/')}/{CONTEXTS}")


def _by_https(job: JobSource, credentials: Collection[GitCredential]) -> str:
    """Return the https address of a job's repository: a build has no ssh key."""
    place = ssh_place(job.remote)
    if place is None:
        return job.remote
    name, path = place
    for credential in credentials:
        if credential.name == name.lower():
            return f"https://{credential.host}/{path}"
    raise Reject(
        "job",
        f"{job.path} has the git remote {quoted(job.remote, 200)}, and a build has no ssh key",
        "Create the job again from an https:// remote, or ask the operator to name a secret for "
        f"{quoted(name, 100)} in builder.git_credentials.",
    )


def _tag(recipe: Recipe, job: JobSource, destination: str) -> str:
    """Return the hash of the image's content; of the job, only the files that it contains.

    W&B does not compute an artifact's digest, its author's client does. So the hash also covers the
    version's own name: nobody can build an image in advance for the code of another author.
    """
    code = [recipe.code, job.digest] if recipe.code else [recipe.remote, recipe.commit]
    ours = [destination, *code, recipe.context, recipe.dockerfile, recipe.text, recipe.installer]
    of_job = [[job.path, name, job.files[name]] for name in recipe.files]
    return hashlib.sha256(json.dumps([ours, of_job]).encode()).hexdigest()[:TAG_LENGTH]


def _dockerfile(base_image: str, folder: str, *, install: bool, frozen: bool) -> str:
    """Return our Dockerfile; it installs by the same program as a start without a build."""
    lines = [f"FROM {base_image}", "COPY code /job/code"]
    if install:
        lines.append(" ".join(["COPY", INSTALLER, *([FROZEN] if frozen else []), "/job/"]))
    lines.append(f"WORKDIR /job/code/{folder}".rstrip("/"))
    if install:
        # relative, so that a machine without Docker can follow it
        up = "../" * (1 + len(PurePosixPath(folder).parts))
        lines.append("ENV PIP_BREAK_SYSTEM_PACKAGES=1")  # for the job, too
        lines.append(f"RUN python3 {up}{INSTALLER} {up}{FROZEN} {up}{LEFT_OUT}")
    return "\n".join(lines) + "\n"


def _beside(job: JobSource) -> str:
    """Return the folder in which W&B's agent looks for a Dockerfile.wandb: the entry point's."""
    last = job.entry_point[-1].replace("\\", "/") if job.entry_point else ""
    script = "" if last.startswith("-") or "=" in last else inside(last)  # else it is an argument
    found = PurePosixPath(job.build_context, script or "").parent if script else job.build_context
    folder = str(found)
    return folder if folder != "." and _PLAIN.fullmatch(folder) else ""


def _path(written: str, name: str) -> str:
    found = inside(written)
    if found is None or not _PLAIN.fullmatch(found):
        fix = "Write a path within the code, without `..`."
        raise Reject(f"overrides.{name}", f"is {quoted(written, 200)}", fix)
    return found
