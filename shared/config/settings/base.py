"""The settings that every function has. docs/reference/settings.md is generated from the fields."""

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, PositiveFloat, SecretStr
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from shared.config.base_url import CLOUD, base_url
from shared.config.certificates import certificates
from shared.config.names import aliases, or_file
from shared.core.reserved import BUCKET

KEY_FILE = "WANDB_API_KEY_FILE"  # Secret Manager writes the key into this file, and replaces it
URL = r"^(https?://.*)?$"


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in a text: a JSON list, or separated by commas.

    Only a JSON list can hold names with commas, or with spaces around them. A text that begins
    with a bracket and is no such list is read by its commas: a name may begin with one.
    """
    with suppress(ValueError):
        listed = json.loads(text)
        if isinstance(listed, list) and all(isinstance(name, str) for name in listed):
            return tuple(listed)
    names = (name.strip() for name in text.split(","))
    return tuple(name for name in names if name)


def joined_names(names: Iterable[str]) -> str:
    """Return names as one text, which `split_names` reads back unchanged."""
    return json.dumps(list(names), ensure_ascii=False)


def _names(value: object) -> object:
    """Return the names in a variable's text; those of the launch-config are a list already."""
    return split_names(value) if isinstance(value, str) else value


def from_json(value: object) -> object:
    """Return the value of JSON text; another value, of the launch-config, is returned as it is."""
    return json.loads(value, object_pairs_hook=_once) if isinstance(value, str) else value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; a key that appears twice would lose its first value."""
    read = dict(pairs)
    for name, _ in pairs if len(read) < len(pairs) else ():
        if [each for each, _ in pairs].count(name) > 1:
            raise ValueError(f"the key {name} appears twice")
    return read


def region(name: str) -> str:
    """Return a region in its plain form; refuse a zone, and a place where no job runs."""
    plain = name.strip().lower()
    if zone := re.fullmatch(r"([a-z]+-[a-z]+\d+)-[a-z]", plain):
        raise ValueError(f"is {name!r}, which is a zone. Did you mean {zone[1]}?")
    if plain in ("global", "us", "eu"):
        raise ValueError(f"is {name!r}, and Vertex AI runs no job there. Write a region")
    return plain


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
OverdueSeconds = Annotated[
    PositiveFloat, Field(description="a ticket without effect is published again after this time")
]
FirstRetrySeconds = Annotated[
    PositiveFloat,
    Field(
        description="the first wait before a retry; each is twice the last, up to ten minutes, "
        "or up to one for a quota of calls a minute"
    ),
]


class Settings(BaseSettings):
    """The settings of every function. Durations are in seconds."""

    model_config = SettingsConfigDict(
        defer_build=True, frozen=True, extra="ignore", env_ignore_empty=True
    )

    wandb_api_key: SecretStr = Field(
        validation_alias=AliasChoices("WANDB_API_KEY", f"{KEY_FILE}:"),
        description="W&B's API key",
    )
    wandb_base_url: Annotated[
        str,
        Field(description="W&B's address; it may have a port and a path"),
        AfterValidator(base_url),
    ] = CLOUD
    wandb_ca_file: Annotated[
        str,
        Field(
            description="PEM file of a self-hosted W&B's certificate authority; a relative path "
            "starts at the source's root. Jobs do not read it: their images need their own",
            examples=["ca.pem"],
        ),
        AfterValidator(certificates),
    ] = ""
    google_cloud_project: Annotated[
        str,
        Field(
            min_length=1,
            validation_alias=or_file("GOOGLE_CLOUD_PROJECT", "environment.project"),
            description="the project in which jobs run, unless their spec names another",
        ),
    ]
    google_cloud_project_number: Annotated[
        str,
        Field(
            pattern=r"^\d*$",
            description="the number of that project, which must own the ledger's and the contexts' "
            "bucket: names of buckets are global. Without it, nothing is compared",
            examples=["123456789012"],
        ),
    ] = ""
    vertex_location: Annotated[
        str,
        Field(
            min_length=1,
            validation_alias=or_file("VERTEX_LOCATION", "environment.region"),
            description="the region in which jobs run, unless their spec names another",
            examples=["us-central1"],
        ),
        AfterValidator(region),
    ]
    ledger_bucket: Annotated[
        str,
        Field(
            pattern=rf"^{BUCKET}$",
            description="the functions' own bucket; a launch whose job names it is refused",
        ),
    ]
    launch_topic: Annotated[
        str,
        Field(
            max_length=255,
            pattern=r"^[A-Za-z][A-Za-z0-9._~+%-]+$",
            description="the topic's name",
        ),
    ] = "launch-requests"
    launch_agent_name: Annotated[
        str,
        Field(
            pattern=r"^[a-z][a-z0-9_-]*$",
            max_length=63,
            description="this deployment's name: a label of its jobs, and of its agent's record",
        ),
    ] = "vertex-launch"
    vertex_endpoint: Annotated[
        str, Field(pattern=URL, description="URL that replaces Vertex AI; by default Google's")
    ] = ""
    build_endpoint: Annotated[
        str,
        Field(
            pattern=URL,
            description="URL that replaces Cloud Build and Artifact Registry; by default Google's",
        ),
    ] = ""
    log_level: Annotated[
        str,
        Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR"),
    ] = "INFO"

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
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings passes all of them
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the launch-config, whose values `load` passes as initial."""
        return env_settings, init_settings


def variables(kind: type[Settings]) -> dict[str, list[str]]:
    """Return the names of each field: its variable, then its place in the launch-config if any."""
    return {
        name: aliases(field.validation_alias) or [name.upper()]
        for name, field in kind.model_fields.items()
    }
