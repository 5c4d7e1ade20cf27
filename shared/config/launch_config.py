"""The agent's own configuration file, launch-config.yaml, with the keys that matter here."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from shared.config import unknown
from shared.config.ladder import Ladder
from shared.config.policy import AdmissionPolicy
from shared.config.requests import RequestLimits
from shared.core.building import GitCredential, repository_of
from shared.core.errors import SettingsError
from shared.core.image import FORM, Image
from shared.core.reserved import BUCKET
from shared.core.shorten import quoted, shown

__all__ = [
    "AGENTS_BUILDERS",
    "BUILDERS",
    "CONFIG_FILE",
    "AdmissionPolicy",
    "ContextStore",
    "Environment",
    "GitCredentials",
    "ImageName",
    "ImageReference",
    "KeySecret",
    "LaunchConfig",
    "MisspeltKeys",
    "builder_problem",
    "read_launch_config",
]

CONFIG_FILE = "launch-config.yaml"
MOST_PROBLEMS = 20  # of a file, in one error
_SHOWN = 300  # characters of each problem, which can quote the file
AGENTS_BUILDERS = ("kaniko", "docker")
BUILDERS = ("cloud-build", *AGENTS_BUILDERS)  # each means Cloud Build
ContextStore = Annotated[str, Field(pattern=rf"^(gs://{BUCKET}(/.*)?)?$")]
KeySecret = Annotated[
    str, Field(pattern=r"^(projects/[^/]+/secrets/[A-Za-z0-9_-]+(/versions/[a-z0-9-]+)?)?$")
]
_SECRET = re.compile(
    r"projects/[a-z0-9.:-]+/secrets/[A-Za-z0-9_-]+(/versions/[A-Za-z0-9_-]+)?", re.ASCII
)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?", re.ASCII)


def image_name(written: str) -> str:
    """Return an image's name without `https://` and a final slash."""
    return written.removeprefix("https://").rstrip("/")


def _image(written: str) -> str:
    """Refuse a text that is not the name of an image; an empty one names none."""
    if written:
        try:
            Image.parse(written)
        except ValueError as exc:
            raise ValueError(f"is {quoted(written, 200)}, which {exc}. {FORM}") from exc
    return written


ImageName = Annotated[str, AfterValidator(image_name)]  # of images that are built
ImageReference = Annotated[str, AfterValidator(_image)]  # of an image that is pulled


def _listed(written: object) -> object:
    """Return the credentials of a mapping of hosts to secrets."""
    if not isinstance(written, dict):
        return written
    return [GitCredential(str(host), str(secret)) for host, secret in written.items()]


def _full(credential: GitCredential) -> GitCredential:
    """Return a credential with a version; refuse a host or a secret that is none."""
    host, secret = credential.host.lower(), credential.secret
    if not _HOST.fullmatch(host):
        shown = "an address with a login" if "@" in host else quoted(host, 100)
        raise ValueError(f"names the host {shown}: write a name such as github.com")
    if not _SECRET.fullmatch(secret):
        problem = f"names no secret for {host}: write projects/PROJECT/secrets/SECRET"
        raise ValueError(f"{problem}, never its content")
    latest = "" if "/versions/" in secret else "/versions/latest"
    return GitCredential(host, f"{secret}{latest}")


GitCredentials = Annotated[
    tuple[GitCredential, ...],
    BeforeValidator(_listed),
    AfterValidator(lambda listed: tuple(map(_full, listed))),
]


def _one_queue(written: object) -> object:
    """Return a single name as a list; refuse a text that could be several names."""
    if not isinstance(written, str) or not written.strip():
        return written
    if "," in written:
        names = ", ".join(
            json.dumps(name.strip(), ensure_ascii=False) for name in written.split(",")
        )
        one = json.dumps(written, ensure_ascii=False)
        raise ValueError(
            f"is {quoted(written, 200)}: write a list, queues: [{names}], or queues: [{one}] "
            "for one queue whose name has a comma"
        )
    return (written,)


class Section(BaseModel):
    """Keys and their values. A key without a value counts as absent, as in W&B's agent."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _set(cls, written: object) -> object:
        if not isinstance(written, dict):
            return written
        return {key: value for key, value in written.items() if value is not None}


class Environment(Section):
    """The `environment` of a launch-config.yaml."""

    type: str = "gcp"
    region: str = ""
    project: str = ""

    @field_validator("type")
    @classmethod
    def _is_gcp(cls, value: str) -> str:
        if value != "gcp":
            raise ValueError(f"is {value[:80]!r}: a Vertex queue needs an environment of type gcp")
        return value


class Builder(Section):
    """The `builder` of a launch-config.yaml: how images of jobs' code are built."""

    type: str = ""
    destination: ImageName = ""
    build_context_store: Annotated[ContextStore, Field(alias="build-context-store")] = ""
    # unknown to the agent
    base_image: ImageReference = ""
    git_credentials: GitCredentials = ()


class Registry(Section):
    """The `registry` of a launch-config.yaml: the name of images without `builder.destination`."""

    uri: ImageName = ""


class Scheduler(Section):
    """The `scheduler` of a launch-config.yaml: image and machine of sweeps' schedulers.

    The agent does not know this section.
    """

    image: ImageReference = ""
    machine_type: str = ""


class LaunchConfig(Section):
    """The whole file; other keys are ignored. The agent does not know the last four."""

    entity: str = ""
    queues: Annotated[tuple[str, ...], BeforeValidator(_one_queue)] = ()
    max_jobs: Annotated[int, Field(ge=-1)] = 1
    max_schedulers: Annotated[int, Field(ge=-1)] = 1
    secure_mode: bool = False
    stopped_run_timeout: Annotated[float, Field(ge=0)] = 60
    environment: Environment = Environment()
    builder: Builder = Builder()
    registry: Registry = Registry()
    scheduler: Scheduler = Scheduler()
    policy: AdmissionPolicy = AdmissionPolicy()
    requests: RequestLimits = RequestLimits()
    ladder: Ladder = Ladder()
    key_secret: KeySecret = ""

    @property
    def destination(self) -> str:
        """Return the name of images that are built, without a tag; empty if none are built."""
        if self.builder.type not in BUILDERS:
            return ""
        return self.builder.destination or self.registry.uri


def builder_problem(kind: str, destination: str) -> str:
    """Return why a builder cannot build; empty if it can, or need not.

    An agent's builder without a destination builds no image that Vertex AI could pull: like noop.
    """
    if kind in ("noop", "") or (kind in AGENTS_BUILDERS and not destination):
        return ""
    if kind not in BUILDERS:
        return f"is {kind!r}: write one of {', '.join(BUILDERS)} to build images, or noop"
    if not destination:
        return f"is {kind!r}, which needs a destination for its images; noop builds nothing"
    try:
        repository_of(destination)
    except ValueError as exc:
        return f"is {kind!r}, and the destination of its images {exc}"
    return ""


def read_launch_config(path: Path) -> LaunchConfig:
    """Read an agent's launch-config.yaml.

    Raises:
        SettingsError: it is not YAML, a key's value is wrong, or a key is misspelt.
    """
    from shared.config.yaml_file import read_yaml  # imports PyYAML only if there is a file

    written = read_yaml(path) or {}
    try:
        config = LaunchConfig.model_validate(written)
    except ValidationError as exc:
        raise SettingsError("; ".join(_problems(path, exc))) from exc
    strangers = unknown.keys(written, LaunchConfig)
    if misspelt := {key: like for key, like in strangers.items() if like}:
        raise MisspeltKeys(path, misspelt)
    if strangers:
        unknown.report(str(path), frozenset(strangers))
    return config


class MisspeltKeys(SettingsError):
    """Keys of a launch-config that almost match known ones; `near` names those."""

    def __init__(self, path: Path, near: Mapping[str, str]) -> None:
        self.near = near
        problems = [
            f"{path}: {shown(key)}: is not known; write {like}" for key, like in near.items()
        ]
        super().__init__("; ".join(problems[:MOST_PROBLEMS]))


def _problems(path: Path, wrong: ValidationError) -> list[str]:
    problems = []
    for error in wrong.errors(include_input=False, include_url=False):
        key = ".".join(map(str, error["loc"])) or "it"
        problem = f"{key}: {error['msg'].removeprefix('Value error, ')}"
        problems.append(f"{path}: {problem[:_SHOWN]}")
    if len(problems) > MOST_PROBLEMS:
        more = len(problems) - MOST_PROBLEMS
        problems = [*problems[:MOST_PROBLEMS], f"and {more} more"]
    return problems
