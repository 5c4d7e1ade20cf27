"""The agent's own configuration file, launch-config.yaml, with the keys that matter here."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from shared.config import unknown
from shared.config.building import Builder, Building, ImageReference, Registry
from shared.config.ladder import Ladder
from shared.config.policy import AdmissionPolicy
from shared.config.requests import RequestLimits
from shared.config.section import AnyText, Section
from shared.core.errors import SettingsError
from shared.core.shorten import quoted, shown

__all__ = [
    "CONFIG_FILE",
    "AdmissionPolicy",
    "Environment",
    "KeySecret",
    "LaunchConfig",
    "MisspeltKeys",
    "read_launch_config",
]

CONFIG_FILE = "launch-config.yaml"
GCP = "gcp"
MOST_PROBLEMS = 20  # of a file, in one error
_SHOWN_KEY = 120  # characters of the path of a key
_SHOWN = 1000  # of each problem: its value is shortened already, and the fix stays
KeySecret = Annotated[
    str, Field(pattern=r"^(projects/[^/]+/secrets/[A-Za-z0-9_-]+(/versions/[a-z0-9-]+)?)?$")
]

# folded text (`>`) ends with the end of its line
Stripped = Annotated[str, StringConstraints(strip_whitespace=True)]


def _json(value: list[str]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _one_queue(written: object) -> object:
    """Return a single name as a list; refuse a text that could be several names."""
    if not isinstance(written, str) or not written.strip():
        return written
    if "," in written:
        several = [name.strip() for name in written.split(",")]
        names, one = (shown(_json(each), 200) for each in (several, [written]))
        raise ValueError(
            f"is {quoted(written, 200)}: write a list, queues: {names}, or queues: {one} "
            "for one queue whose name has a comma"
        )
    return (written,)


class Environment(Section):
    """The `environment` of a launch-config.yaml.

    Of another cloud's, only the type is read: its region and project mean nothing to Vertex AI.
    """

    type: AnyText = GCP
    region: Stripped = ""
    project: Annotated[Stripped, Field(coerce_numbers_to_str=True)] = ""  # or the project's number

    @model_validator(mode="before")
    @classmethod
    def _of_google(cls, written: object) -> object:
        if not isinstance(written, dict):
            return written if written is None else {"type": written}
        kind = written.get("type")
        return written if kind in (None, GCP) else {"type": kind}

    @property
    def problem(self) -> str:
        """Return why it is not Vertex AI's; empty if it is."""
        if self.type == GCP:
            return ""
        fix = f"Write type: {GCP}, with the region and the project of the jobs"
        problem = "so its region and its project are ignored"
        return f"environment.type is {quoted(self.type)}, not {GCP}, {problem}. {fix}"


class Scheduler(Section):
    """The `scheduler` of a launch-config.yaml: image and machine of sweeps' schedulers.

    The agent does not know this section.
    """

    image: ImageReference = ""
    machine_type: str = ""


class LaunchConfig(Section):
    """The whole file; other keys are ignored. The agent does not know the last four."""

    entity: Stripped = ""
    queues: Annotated[tuple[str, ...], BeforeValidator(_one_queue)] = ()
    max_jobs: Annotated[int, Field(ge=-1)] = 1
    max_schedulers: Annotated[int, Field(ge=-1)] = 1
    secure_mode: bool = False
    stopped_run_timeout: Annotated[float, Field(ge=0)] = 60
    environment: Environment = Field(default_factory=Environment)
    builder: Builder = Field(default_factory=Builder)
    registry: Registry = Field(default_factory=Registry)
    scheduler: Scheduler = Field(default_factory=Scheduler)
    policy: AdmissionPolicy = Field(default_factory=AdmissionPolicy)
    requests: RequestLimits = Field(default_factory=RequestLimits)
    ladder: Ladder = Field(default_factory=Ladder)
    key_secret: KeySecret = ""

    def building(self, region: str = "", project: str = "") -> Building:
        """Return how images are built by a deployment in this region and project."""
        builder, where = self.builder, self.environment
        image = self.registry.image(region or where.region, project or where.project)
        store = builder.build_context_store
        return Building.read(builder.type, builder.destination or image, store)

    def unusable(self, region: str = "", project: str = "") -> tuple[str, ...]:
        """Return what the functions of a deployment cannot use, and start without."""
        found = (self.environment.problem, self.building(region, project).problem)
        return tuple(filter(None, found))


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
        key = shown(".".join(map(str, error["loc"])) or "it", _SHOWN_KEY)
        problems.append(f"{path}: {key}: {shown(unknown.message(error, LaunchConfig), _SHOWN)}")
    if len(problems) > MOST_PROBLEMS:
        more = len(problems) - MOST_PROBLEMS
        problems = [*problems[:MOST_PROBLEMS], f"and {more} more"]
    return problems
