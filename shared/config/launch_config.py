"""The agent's own configuration file, launch-config.yaml, as far as it means something here."""

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
MOST_SAID = 20  # of what is wrong in a file, in one error
_SHOWN = 300  # characters of each, which can quote the file
AGENTS_BUILDERS = ("kaniko", "docker")
BUILDERS = ("cloud-build", *AGENTS_BUILDERS)  # what takes their place, and they themselves
ContextStore = Annotated[str, Field(pattern=r"^(gs://[^/]+.*)?$")]
KeySecret = Annotated[
    str, Field(pattern=r"^(projects/[^/]+/secrets/[A-Za-z0-9_-]+(/versions/[a-z0-9-]+)?)?$")
]


def image_name(written: str) -> str:
    """Return an image's name as registries have it."""
    return written.removeprefix("https://").rstrip("/")


ImageName = Annotated[str, AfterValidator(image_name)]


class Section(BaseModel):
    """Keys and their values. A key that has nothing behind it is not set, as W&B's agent has it."""

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
            raise ValueError(
                f"is {value[:80]!r}: a Vertex queue is served from an environment of type gcp"
            )
        return value


class Builder(Section):
    """The `builder` of a launch-config.yaml: whether images are built of jobs' code, and what that runs in."""

    type: str = ""
    destination: ImageName = ""
    build_context_store: Annotated[ContextStore, Field(alias="build-context-store")] = ""
    base_image: str = ""  # which the agent does not know


class Registry(Section):
    """The `registry` of a launch-config.yaml: where images are pushed, if `builder.destination` does not say."""

    uri: ImageName = ""


class Scheduler(Section):
    """The `scheduler` of a launch-config.yaml: what the schedulers of sweeps run in. The agent does not know it."""

    image: str = ""
    machine_type: str = ""


class LaunchConfig(Section):
    """The whole file; other keys are ignored."""

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
    policy: AdmissionPolicy = AdmissionPolicy()  # which the agent does not know
    ladder: Ladder = Ladder()  # nor this
    key_secret: KeySecret = ""  # nor this

    @property
    def destination(self) -> str:
        """Return what images of jobs' code are called, without a tag; empty where none are built."""
        return (
            (self.builder.destination or self.registry.uri) if self.builder.type in BUILDERS else ""
        )


def builder_problem(kind: str, destination: str) -> str:
    """Return what keeps a builder from building; empty where nothing does.

    One of an agent that pushes nowhere builds nothing that Vertex AI could pull: it is as good as none, here as there.
    """
    if kind in ("noop", "") or (kind in AGENTS_BUILDERS and not destination):
        return ""
    if kind not in BUILDERS:
        return f"is {kind!r}: it is one of {', '.join(BUILDERS)} to have images built, or noop"
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
        SettingsError: where it is no YAML, or a key's value is wrong.
    """
    from shared.config.yaml_file import (
        read_yaml,
    )  # and with it YAML's library only where there is a file to read

    try:
        return LaunchConfig.model_validate(read_yaml(path) or {})
    except ValidationError as exc:
        errors = exc.errors(include_input=False, include_url=False)
        said = [
            f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg'].removeprefix('Value error, ')}"
            for e in errors
        ]
        more = [f"and {len(said) - MOST_SAID} more"] if len(said) > MOST_SAID else []
        raise SettingsError(
            "; ".join([*(f"{path}: {one[:_SHOWN]}" for one in said[:MOST_SAID]), *more])
        ) from exc
