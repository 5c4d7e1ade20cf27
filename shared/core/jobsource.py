"""A job of W&B's, as its artifact says in wandb-job.json: an image, or code and the command that starts it."""

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from shared.core.errors import Reject

JOB_FILE = "wandb-job.json"
CREATE_AGAIN = "Create the job again: `wandb job create image|code|git …`."

_ARTIFACT = "wandb-artifact://"
_BY_SSH = re.compile(r"[\w.+-]+@[\w.-]+:.+", re.ASCII)  # git@host:path


class Kind(enum.StrEnum):
    """What a job consists of; W&B's own words."""

    IMAGE = "image"
    ARTIFACT = "artifact"
    REPO = "repo"


@dataclass(frozen=True, slots=True)
class JobSource:
    """What a job says of itself. `path` names one version, entity/project/name:v3, whatever alias was asked for."""

    path: str
    kind: Kind
    entry_point: tuple[str, ...] = ()
    image: str = ""  # of an image job
    base_image: str = ""  # what the code wants to run in; it has all that the code needs
    code: str = ""  # entity/project/name:v3 of the code's artifact; from wandb-job.json also an id
    remote: str = ""  # of a git repository
    commit: str = ""
    dockerfile: str = ""  # the code's own, within `build_context`, a folder of the code
    build_context: str = ""
    digest: str = ""  # of the code's artifact
    files: Mapping[str, str] = field(default_factory=dict)  # the job's own, and the digest of each

    @property
    def code_id(self) -> str:
        """Return the id of the code's artifact, empty where it is named in another way."""
        return (
            self.code.removeprefix("_id/").partition("/")[0] if self.code.startswith("_id/") else ""
        )


def read_job(path: str, content: bytes) -> JobSource:
    """Read the wandb-job.json of a job.

    Raises:
        Reject: naming the job, what is wrong with it, and what to do.
    """
    try:
        written = json.loads(content)
        kind = Kind(str(_mapping(written).get("source_type")))
    except (ValueError, RecursionError) as exc:
        known = ", ".join(Kind)
        raise _bad(
            path, f"has a {JOB_FILE} that is no JSON object with a source_type of {known}"
        ) from exc
    source = _mapping(written.get("source"))
    entry_point = source.get("entrypoint") or []
    if not isinstance(entry_point, list) or not all(isinstance(one, str) for one in entry_point):
        raise _bad(path, "has an entrypoint that is no list of texts")
    if kind is Kind.IMAGE:
        return JobSource(path, kind, tuple(entry_point), image=_text(path, source, "image"))
    _check_code(path, source)
    if not entry_point:
        raise _bad(path, "has no entrypoint to start its code with")
    base_image = source.get("base_image") or ""
    if not isinstance(base_image, str):
        raise _bad(path, "has a base_image that is no text")
    dockerfile, context = (
        _path(path, name, source.get(name)) for name in ("dockerfile", "build_context")
    )
    job = JobSource(
        path,
        kind,
        tuple(entry_point),
        base_image=base_image,
        dockerfile=dockerfile,
        build_context=context,
    )
    if kind is Kind.ARTIFACT:
        return replace(job, code=_artifact(path, _text(path, source, "artifact")))
    git = _mapping(source.get("git"))
    return replace(job, remote=_remote(path, git), commit=_commit(path, git))


def _check_code(path: str, source: Mapping[str, Any]) -> None:
    """Refuse code that cannot be started as it is."""
    if source.get("notebook"):
        fix = "Save the notebook as a script, and create a job of that."
        raise Reject("job", f"{path} is a notebook, which would have to be converted", fix)


def _path(path: str, name: str, written: object) -> str:
    """Return the path of a file or folder of the code, empty where it is its root or none."""
    if not isinstance(written or "", str):
        raise _bad(path, f"has a {name} that is no text")
    found = inside(str(written or ""))
    if found is None:
        raise _bad(path, f"has a {name} that is not within its code")
    return found


def inside(written: str) -> str | None:
    """Return a path below a folder in its plain form, empty for the folder itself; None where it leads elsewhere."""
    found = PurePosixPath(written)
    if found.is_absolute() or ".." in found.parts or any(ord(one) < ord(" ") for one in written):
        return None
    return "" if str(found) == "." else str(found)


def _artifact(path: str, written: str) -> str:
    """Return what a link to an artifact says: `_id/ID`, or entity/project/name:alias."""
    parts = written.removeprefix(_ARTIFACT).split("/")
    if "://" in written.removeprefix(_ARTIFACT):  # the address of a W&B stands in front
        parts = parts[3:]
    if not written.startswith(_ARTIFACT) or len(parts) < (2 if parts[:1] == ["_id"] else 3):
        raise _bad(path, f"names its code by {written[:100]!r}, which is no link to an artifact")
    return "/".join(parts[:2] if parts[0] == "_id" else parts[:3])


def _remote(path: str, git: Mapping[str, Any]) -> str:
    """Return a repository's URL: of the kinds that W&B's agent takes, and without a password or token."""
    remote = _text(path, git, "remote").strip()
    if _BY_SSH.fullmatch(remote):
        return remote
    try:
        url = urlsplit(remote)
    except ValueError as exc:
        raise _bad(path, "has a git remote that is no URL") from exc
    if url.scheme not in ("https", "ssh") or not url.hostname:
        raise _bad(path, "has a git remote that is neither https://, nor ssh://, nor git@host:path")
    if url.password or (url.scheme == "https" and url.username):
        fix = "Create the job again without; the queue's container env may tell git how to log in (GIT_CONFIG_COUNT)."
        raise Reject("job", f"{path} has a git remote with a password or a token in it", fix)
    return remote


def _commit(path: str, git: Mapping[str, Any]) -> str:
    commit = _text(path, git, "commit")
    if commit.startswith("-"):
        raise _bad(path, f"has the commit {commit[:50]!r}, which git would take for an option")
    return commit


def _text(path: str, source: Mapping[str, Any], name: str) -> str:
    value = source.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _bad(path, f"has a {JOB_FILE} without {name}")
    return value


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _bad(path: str, problem: str) -> Reject:
    return Reject("job", f"{path} {problem}", CREATE_AGAIN)
