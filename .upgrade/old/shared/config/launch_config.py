"""The agent's own configuration file, launch-config.yaml, with the keys that matter here."""

from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from shared.config.ladder import Ladder
from shared.config.policy import AdmissionPolicy
from shared.core.building import repository_of
from shared.core.errors import SettingsError

__all__ = [
    "AGENTS_BUILDERS",
    "BUILDERS",
    "CONFIG_FILE",
    "AdmissionPolicy",
    "ContextStore",
    "Environment",
    "ImageName",
    "KeySecret",
    "LaunchConfig",
    "builder_problem",
    "read_launch_config",
]

CONFIG_FILE = "launch-config.yaml"
MOST_PROBLEMS = 20  # of a file, in one error
_SHOWN = 300  # characters of each problem, which can quote the file
AGENTS_BUILDERS = ("kaniko", "docker")
BUILDERS = ("cloud-build", *AGENTS_BUILDERS)  # each means Cloud Build
ContextStore = Annotated[str, Field(pattern=r"^(gs://[^/]+.*)?$")]
KeySecret = Annotated[
    str, Field(pattern=r"^(projects/[^/]+/secrets/[A-Za-z0-9_-]+(/versions/[a-z0-9-]+)?)?$")
]


def image_name(written: str) -> str:
    """Return an image's name without `https://` and a final slash."""
    return written.removeprefix("https://").rstrip("/")


ImageName = Annotated[str, AfterValidator(image_name)]


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
    base_image: str = ""  # unknown to the agent


class Registry(Section):
    """The `registry` of a launch-config.yaml: the name of images without `builder.destination`."""

    uri: ImageName = ""


class Scheduler(Section):
    """The `scheduler` of a launch-config.yaml: image and machine of sweeps' schedulers.

    The agent does not know this section.
    """

    image: str = ""
    machine_type: str = ""


class LaunchConfig(Section):
    """The whole file; other keys are ignored. The agent does not know the last three."""

    entity: str = ""
    queues: tuple[str, ...] = ()
    max_jobs: Annotated[int, Field(ge=-1)] = 1
    max_schedulers: Annotated[int, Field(ge=-1)] = 1
    secure_mode: bool = False
    stopped_run_timeout: Annotated[float, Field(ge=0)] = 60
    environment: Environment = Environment()
    builder: Builder = Builder()
    registry: Registry = Registry()
    scheduler: Scheduler = Scheduler()
    policy: AdmissionPolicy = AdmissionPolicy()
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
        SettingsError: it is not YAML, or a key's value is wrong.
    """
    from shared.config.yaml_file import read_yaml  # imports PyYAML only if there is a file

    try:
        return LaunchConfig.model_validate(read_yaml(path) or {})
    except ValidationError as exc:
        raise SettingsError("; ".join(_problems(path, exc))) from exc


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
