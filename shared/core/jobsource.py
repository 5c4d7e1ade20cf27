"""A W&B job, as wandb-job.json in its artifact describes it: an image, or code and its command."""

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import SplitResult, urlsplit

from shared.core.asjson import as_mapping
from shared.core.bounded_json import check_values, one_at_a_time
from shared.core.errors import Reject
from shared.core.redaction import redacted
from shared.core.shorten import quoted

JOB_FILE = "wandb-job.json"
CREATE_AGAIN = "Create the job again: `wandb job create image|code|git …`."

_ARTIFACT = "wandb-artifact://"
# git@host:path and ssh://git@host:22/path; no name begins like an option
_BY_SSH = re.compile(r"\w[\w.+-]*@(\w[\w.-]*):/?([^/].*)", re.ASCII)
_SSH_URL = re.compile(r"ssh://(?:\w[\w.+-]*@)?(\w[\w.-]*)(?::\d+)?/(.+)", re.ASCII)
_HTTPS_URL = re.compile(r"https://\w[\w.-]*(?::\d+)?/.+", re.ASCII)
# who logs in with a token at GitHub, GitLab, Bitbucket and Azure: no secrets
_USERS = frozenset({"git", "oauth2", "x-access-token", "x-token-auth", "gitlab-ci-token"})
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f\\]")  # readers of URLs disagree about these


class Kind(enum.StrEnum):
    """The content of a job, in W&B's words."""

    IMAGE = "image"
    ARTIFACT = "artifact"
    REPO = "repo"


@dataclass(frozen=True, slots=True)
class JobSource:
    """The content of a job. `path` names one version (entity/project/name:v3), never an alias."""

    path: str
    kind: Kind
    entry_point: tuple[str, ...] = ()
    image: str = ""  # of an image job
    base_image: str = ""  # the code runs in it; it contains all that the code needs
    code: str = ""  # entity/project/name:v3 of the code's artifact, or _id/ID
    remote: str = ""  # of a git repository
    commit: str = ""
    dockerfile: str = ""  # the code's own, within `build_context`, a folder of the code
    build_context: str = ""
    digest: str = ""  # of the code's artifact
    files: Mapping[str, str] = field(default_factory=dict)  # digests by the name of a job's file

    @property
    def code_id(self) -> str:
        """Return the id of the code's artifact; empty if the job names it by its path."""
        if not self.code.startswith("_id/"):
            return ""
        return self.code.removeprefix("_id/").partition("/")[0]


def read_job(path: str, content: bytes) -> JobSource:
    """Read the wandb-job.json of a job.

    Raises:
        Reject: naming the job, the problem and the fix.
    """
    try:
        written = _parsed(path, content)
        kind = Kind(str(as_mapping(written).get("source_type")))
    except (ValueError, RecursionError) as exc:
        known = ", ".join(Kind)
        problem = f"has a {JOB_FILE} that is not a JSON object with a source_type of {known}"
        raise _bad(path, problem) from exc
    source = as_mapping(written.get("source"))
    entry_point = source.get("entrypoint") or []
    if not isinstance(entry_point, list) or not all(isinstance(one, str) for one in entry_point):
        raise _bad(path, "has an entrypoint that is not a list of texts")
    if kind is Kind.IMAGE:
        return JobSource(path, kind, tuple(entry_point), image=_text(path, source, "image"))
    if not entry_point:
        raise _bad(path, "has no entrypoint that starts its code")
    base_image = source.get("base_image", "")
    if base_image is None:
        base_image = ""
    if not isinstance(base_image, str):
        raise _bad(path, "has a base_image that is not a text")
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
    git = as_mapping(source.get("git"))
    return replace(job, remote=_remote(path, git), commit=_commit(path, git))


def _parsed(path: str, content: bytes) -> Any:
    with one_at_a_time(len(content)):
        check_values(content.decode("utf-8", "replace"), "job", f"the {JOB_FILE} of {path}")
        return json.loads(content)


def _path(path: str, name: str, written: object) -> str:
    """Return the path of a file or folder in the code; empty for its root, or if there is none."""
    if not isinstance(written or "", str):
        raise _bad(path, f"has a {name} that is not a text")
    found = inside(str(written or ""))
    if found is None:
        raise _bad(path, f"has a {name} outside its code")
    return found


def inside(written: str) -> str | None:
    """Return a relative path in its plain form; empty for the folder itself, None outside it."""
    found = PurePosixPath(written)
    if found.is_absolute() or ".." in found.parts or any(ord(one) < ord(" ") for one in written):
        return None
    return "" if str(found) == "." else str(found)


def _artifact(path: str, written: str) -> str:
    """Return the artifact of a link: `_id/ID`, or entity/project/name:alias."""
    parts = written.removeprefix(_ARTIFACT).split("/")
    if "://" in written.removeprefix(_ARTIFACT):  # a server's address comes first
        parts = parts[3:]
    needed = 2 if parts[:1] == ["_id"] else 3
    if not written.startswith(_ARTIFACT) or len(parts) < needed:
        problem = f"names its code as {quoted(written, 100)}, which is not a link to an artifact"
        raise _bad(path, problem)
    return "/".join(parts[:2] if parts[0] == "_id" else parts[:3])


def ssh_place(remote: str) -> tuple[str, str] | None:
    """Return host and path of a repository that is fetched by ssh; None for any other."""
    found = _BY_SSH.fullmatch(remote) or _SSH_URL.fullmatch(remote)
    return (found[1], found[2]) if found else None


def _remote(path: str, git: Mapping[str, Any]) -> str:
    """Return a repository's URL: of a kind that W&B's agent accepts, without password or token."""
    remote = _text(path, git, "remote").strip()
    try:
        plain, secret = _without_user(remote)
    except ValueError as exc:
        raise _bad(path, "has a git remote that is not a URL") from exc
    if secret:
        fix = (
            "Create the job again without it. For builds, the operator names a secret in "
            "builder.git_credentials; without a builder, variables in the queue's container env "
            "can tell git how to log in (GIT_CONFIG_COUNT)."
        )
        raise Reject("job", f"{path} has a git remote that contains a password or a token", fix)
    if not _HTTPS_URL.fullmatch(plain) and ssh_place(plain) is None:
        raise _bad(path, "has a git remote that is not https://, ssh:// or git@host:path")
    if _UNPRINTABLE.search(remote):
        raise _bad(path, "has a git remote with a space, a backslash or a control character")
    return plain.rstrip("/")


def _without_user(remote: str) -> tuple[str, bool]:
    """Return a remote without its login, and tell whether the login is a secret.

    wandb removes a password, but leaves its user and the colon: https://x-access-token:@host/path.
    Azure's addresses name the organization as the user: https://org@dev.azure.com/org/project.
    """
    url = urlsplit(remote)
    if url.scheme not in ("https", "ssh"):
        return remote, False
    login, at, host = url.netloc.rpartition("@")
    user, colon, password = login.partition(":")
    if url.scheme == "ssh":  # git logs in as this user
        return url._replace(netloc=f"{user}{at}{host}").geturl(), bool(password)
    harmless = not at or colon or user in _USERS or f"/{user}/" in url.path or _names_user(url)
    secret = bool(password) or not harmless or redacted(user) != user  # a token's form
    return url._replace(netloc=host).geturl(), secret


def _names_user(url: SplitResult) -> bool:
    """Tell whether a URL is Bitbucket's, of its cloud or of a server: it names who copied it."""
    return url.hostname == "bitbucket.org" or url.path.startswith("/scm/")


def _commit(path: str, git: Mapping[str, Any]) -> str:
    commit = _text(path, git, "commit").strip()
    shown = quoted(commit, 50)
    if commit.startswith("-"):
        raise _bad(path, f"has the commit {shown}, which git would read as an option")
    if _UNPRINTABLE.search(commit):
        problem = f"has the commit {shown}, with a space, a backslash or a control character"
        raise _bad(path, problem)
    return commit


def _text(path: str, source: Mapping[str, Any], name: str) -> str:
    value = source.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _bad(path, f"has a {JOB_FILE} without {name}")
    return value


def _bad(path: str, problem: str) -> Reject:
    return Reject("job", f"{path} {problem}", CREATE_AGAIN)
