"""What a function is told: environment variables, and the agent's own launch-config.yaml beneath them.

One frozen object per function, read once by its entry. Whatever is missing or wrong is named in one error, by the name
under which the reader knows it. Each setting is in the README's table; a test compares.
"""

import json
import os
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from shared.config.certificates import certificates
from shared.config.ladder import Ladder
from shared.config.launch_config import (
    BUILDERS,
    CONFIG_FILE,
    ContextStore,
    ImageName,
    KeySecret,
    builder_problem,
    read_launch_config,
)
from shared.config.names import aliases, or_file, problem
from shared.config.policy import AdmissionPolicy
from shared.core.errors import SettingsError
from shared.core.intake import MAX_NAME

T = TypeVar("T", str, tuple[str, ...])


def _split(value: object) -> object:
    return (
        tuple(name.strip() for name in value.split(",") if name.strip())
        if isinstance(value, str)
        else value
    )


def _object(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value


def _short(names: T) -> T:
    """Refuse a name, or one of several, that would not fit into the metadata of a record of the ledger."""
    for name in [names] if isinstance(names, str) else names:
        if len(name.encode()) > MAX_NAME:
            raise ValueError(
                f"has more than {MAX_NAME} bytes in UTF-8. W&B's own names are shorter"
            )
    return names


def _without_login(url: str) -> str:
    if "@" in urlsplit(url).netloc:
        raise ValueError(
            "has a user or a password in it, which would stand in every job. Leave it out"
        )
    return url


KEY_FILE = "WANDB_API_KEY_FILE"  # names a file that holds the key: Secret Manager puts it there, and a new one after it
LAST_CALLS_SECONDS = 60  # that calls may take which poll begins just before its budget is spent
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """What every function is told. Durations are in seconds."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    wandb_base_url: Annotated[str, Field(pattern=r"^https?://"), AfterValidator(_without_login)] = (
        "https://api.wandb.ai"
    )
    wandb_ca_file: Annotated[str, AfterValidator(certificates)] = ""
    wandb_api_key: SecretStr = Field(validation_alias=AliasChoices("WANDB_API_KEY", f"{KEY_FILE}:"))
    google_cloud_project: Annotated[
        str,
        Field(
            min_length=1, validation_alias=or_file("GOOGLE_CLOUD_PROJECT", "environment.project")
        ),
    ]
    vertex_location: Annotated[
        str, Field(min_length=1, validation_alias=or_file("VERTEX_LOCATION", "environment.region"))
    ]
    vertex_endpoint: Annotated[str, Field(pattern=r"^(https?://.*)?$")] = ""
    ledger_bucket: Annotated[str, Field(min_length=3)]
    launch_topic: Annotated[str, Field(max_length=255, pattern=r"^[A-Za-z][A-Za-z0-9._~+%-]+$")] = (
        "launch-requests"
    )
    launch_agent_name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=63)] = (
        "vertex-launch"
    )
    build_endpoint: Annotated[str, Field(pattern=r"^(https?://.*)?$")] = ""
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"

    @property
    def topic_path(self) -> str:
        """Return the topic's resource name."""
        return f"projects/{self.google_cloud_project}/topics/{self.launch_topic}"

    @property
    def api_key(self) -> str:
        """Return W&B's API key; the field itself shows only asterisks."""
        return self.wandb_api_key.get_secret_value()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings gives all of them
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over launch-config.yaml, which comes in as initial values."""
        return env_settings, init_settings


class PollSettings(Settings):
    """What poll is told."""

    entity: Annotated[
        str,
        AfterValidator(_short),
        Field(min_length=1, validation_alias=or_file("LAUNCH_ENTITY", "entity")),
    ]
    queues: Annotated[
        Names,
        AfterValidator(_short),
        Field(min_length=1, validation_alias=or_file("LAUNCH_QUEUES", "queues")),
    ]
    max_jobs: Annotated[
        int, Field(ge=-1, validation_alias=or_file("LAUNCH_MAX_JOBS", "max_jobs"))
    ] = 1
    max_schedulers: Annotated[
        int, Field(ge=-1, validation_alias=or_file("LAUNCH_MAX_SCHEDULERS", "max_schedulers"))
    ] = 1
    max_queued: PositiveInt = Field(100, validation_alias="LAUNCH_MAX_QUEUED")
    poll_connections: Annotated[int, Field(ge=1, le=64)] = 32
    poll_budget_seconds: PositiveFloat = 40
    poll_lease_seconds: PositiveFloat = 150  # after the budget
    poll_window_seconds: Annotated[float, Field(ge=0)] = 0
    overdue_seconds: PositiveFloat = 60

    @field_validator("poll_lease_seconds")
    @classmethod
    def _outlasts_the_budget(cls, value: float, info: ValidationInfo) -> float:
        budget = info.data.get("poll_budget_seconds", 0)
        if value <= budget:
            raise ValueError(
                f"is {value:g} seconds, but must be longer than POLL_BUDGET_SECONDS ({budget:g}) and the last calls "
                f"that begin within it, about {LAST_CALLS_SECONDS} seconds. Otherwise two polls work at a time"
            )
        return value


class SubmitSettings(Settings):
    """What submit is told."""

    secure_mode: Annotated[
        bool, Field(validation_alias=or_file("LAUNCH_SECURE_MODE", "secure_mode"))
    ] = False
    policy: Annotated[
        AdmissionPolicy,
        NoDecode,
        BeforeValidator(_object),
        Field(validation_alias=or_file("LAUNCH_POLICY", "policy")),
    ] = AdmissionPolicy()
    ladder: Annotated[
        Ladder,
        NoDecode,
        BeforeValidator(_object),
        Field(validation_alias=or_file("LAUNCH_LADDER", "ladder")),
    ] = Ladder()
    launch_macros: Names = ()
    key_secret: Annotated[
        KeySecret, Field(validation_alias=or_file("LAUNCH_KEY_SECRET", "key_secret"))
    ] = ""
    base_image: Annotated[
        str, Field(validation_alias=or_file("LAUNCH_BASE_IMAGE", "builder.base_image"))
    ] = ""
    build_destination: Annotated[
        ImageName,
        Field(
            validation_alias=or_file(
                "LAUNCH_BUILD_DESTINATION", "builder.destination", "registry.uri"
            )
        ),
    ] = ""
    build_context_store: Annotated[
        ContextStore,
        Field(
            validation_alias=or_file("LAUNCH_BUILD_CONTEXT_STORE", "builder.build-context-store")
        ),
    ] = ""
    builder: Annotated[str, Field(validation_alias=or_file("LAUNCH_BUILDER", "builder.type"))] = (
        ""  # after those
    )
    scheduler_image: Annotated[
        str, Field(validation_alias=or_file("LAUNCH_SCHEDULER_IMAGE", "scheduler.image"))
    ] = ""
    scheduler_machine: Annotated[
        str, Field(validation_alias=or_file("LAUNCH_SCHEDULER_MACHINE", "scheduler.machine_type"))
    ] = ""
    submit_budget_seconds: PositiveFloat = 450
    submit_create_seconds: PositiveFloat = 70
    submit_lease_seconds: Annotated[PositiveFloat, Field(validate_default=True)] = (
        660  # after those
    )
    submit_settle_seconds: PositiveFloat = 120
    submit_look_again_seconds: PositiveFloat = 120
    first_retry_seconds: PositiveFloat = 15
    max_failures: PositiveInt = Field(30, validation_alias="LAUNCH_MAX_FAILURES")
    max_requests: Annotated[int, Field(ge=-1, validation_alias="LAUNCH_MAX_REQUESTS")] = 100

    @field_validator("submit_lease_seconds")
    @classmethod
    def _outlasts_a_create(cls, value: float, info: ValidationInfo) -> float:
        budget, create = (
            info.data.get(f"submit_{name}_seconds", 0) for name in ("budget", "create")
        )
        if value <= budget + create:
            least = f"SUBMIT_BUDGET_SECONDS ({budget:g}) plus SUBMIT_CREATE_SECONDS ({create:g})"
            raise ValueError(
                f"is {value:g}: it has to be longer than {least}, or two jobs could be created"
            )
        return value

    @property
    def destination(self) -> str:
        """Return what images of jobs' code are called, without a tag; empty where none are built."""
        return self.build_destination if self.builder in BUILDERS else ""

    @field_validator("builder")
    @classmethod
    def _can_build(cls, value: str, info: ValidationInfo) -> str:
        if wrong := builder_problem(value, info.data.get("build_destination", "")):
            raise ValueError(
                f"{wrong} (LAUNCH_BUILD_DESTINATION, builder.destination, registry.uri)"
            )
        return value


class StatusSettings(Settings):
    """What status is told."""

    stopped_run_timeout: Annotated[
        float,
        Field(ge=0, validation_alias=or_file("LAUNCH_STOPPED_RUN_TIMEOUT", "stopped_run_timeout")),
    ] = 60
    start_timeout: Annotated[float, Field(ge=0, validation_alias="WANDB_LAUNCH_START_TIMEOUT")] = (
        1800
    )
    init_grace_seconds: Annotated[float, Field(ge=0)] = 60
    error_grace_seconds: Annotated[float, Field(ge=0)] = 180
    max_internal_errors: Annotated[
        int, Field(ge=0, validation_alias="LAUNCH_MAX_INTERNAL_ERRORS")
    ] = 3
    stuck_seconds: PositiveFloat = 86_400
    overdue_seconds: PositiveFloat = 60
    first_retry_seconds: PositiveFloat = 15
    listing_lag_seconds: Annotated[float, Field(ge=0)] = 120
    status_budget_seconds: PositiveFloat = 45
    log_excerpt: Annotated[bool, Field(validation_alias="LAUNCH_LOG_EXCERPT")] = True
    logging_endpoint: Annotated[str, Field(pattern=r"^(https?://.*)?$")] = ""


S = TypeVar("S", bound=Settings)


def load(kind: type[S]) -> S:
    """Read a function's settings, as they are now: a key that was replaced in its file holds from the next call on.

    Raises:
        SettingsError: naming each setting that is missing or wrong; never a secret's value.
    """
    path = Path(os.environ.get("LAUNCH_CONFIG", CONFIG_FILE))
    problems: list[str] = []
    beneath = _from_file(path, problems) | _from_key_file(problems)
    try:
        settings = kind(**beneath)
    except ValidationError as exc:
        problems += [
            problem(kind, error) for error in exc.errors(include_input=False, include_url=False)
        ]
    if problems:
        raise SettingsError("; ".join(problems))
    return settings


def variables(kind: type[Settings]) -> dict[str, list[str]]:
    """Return, for each field, its environment variable and, where it has one, its place in the launch-config."""
    return {
        name: aliases(field.validation_alias) or [name.upper()]
        for name, field in kind.model_fields.items()
    }


def _from_file(path: Path, problems: list[str]) -> dict[str, Any]:
    """Return what a launch-config.yaml sets, under the fields' own names; nothing where there is no file."""
    if not path.exists():
        if path.name != CONFIG_FILE:
            problems.append(f"LAUNCH_CONFIG: {path} does not exist")
        return {}
    try:
        config = read_launch_config(path)
    except SettingsError as exc:
        problems.append(str(exc))
        return {}
    values = config.model_dump(exclude_unset=True, by_alias=True)
    for section in ("environment", "builder", "registry", "scheduler"):
        values |= {
            f"{section}.{key}": value for key, value in values.pop(section, {}).items() if value
        }
    return {f"{CONFIG_FILE}:{key}": value for key, value in values.items()}


def _from_key_file(problems: list[str]) -> dict[str, str]:
    """Return the key that is in its file; nothing where no file is named, or none is needed."""
    path = os.environ.get(KEY_FILE, "")
    if not path or os.environ.get("WANDB_API_KEY"):
        return {}
    key, why = "", "is empty"
    try:
        key = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as exc:
        why = f"cannot be read: {getattr(exc, 'strerror', None) or type(exc).__name__}"
    if not key:
        fix = "It holds W&B's API key: in the cloud the newest version of a secret, which has to be enabled"
        problems.append(f"{KEY_FILE}: {path} {why}. {fix}")
    return {f"{KEY_FILE}:": key or "unknown"}
