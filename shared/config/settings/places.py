"""The settings of submit that name buckets."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from shared.config.ladder import Ladder
from shared.config.names import or_file
from shared.config.section import AnyText
from shared.config.settings.base import Settings, from_json
from shared.core.building import CONTEXTS
from shared.core.reserved import BUCKET, FIX, HOLDS, ReservedPlaces, bucket_name

_BucketName = Annotated[str, Field(pattern=rf"^({BUCKET})?$")]


class PlaceSettings(Settings):
    """The buckets of a deployment; only those of the ladder are for jobs."""

    sources_bucket: Annotated[
        _BucketName,
        Field(description="the bucket with the sources of this deployment's own builds"),
    ] = ""
    contexts_bucket: Annotated[
        _BucketName,
        Field(
            description="the bucket from which a build of an image reads the code, unless "
            "`LAUNCH_BUILD_CONTEXT_STORE` names another; by default the one that `bootstrap` "
            "creates"
        ),
    ] = ""
    # after those two, which the validators read
    build_context_store: Annotated[
        AnyText,
        Field(
            validation_alias=or_file("LAUNCH_BUILD_CONTEXT_STORE", "builder.build-context-store"),
            description="the folder from which a build of an image reads the code; by default in "
            "`CONTEXTS_BUCKET`",
            examples=["gs://BUCKET/FOLDER"],
        ),
    ] = ""
    ladder: Annotated[
        Ladder,
        NoDecode,
        BeforeValidator(from_json),
        Field(
            validation_alias=or_file("LAUNCH_LADDER", "ladder"),
            description="other places where a launch can look for machines; the variable as JSON",
            examples=['{"strategies": ["SPOT", "STANDARD"]}'],
        ),
    ] = Field(default_factory=Ladder)

    @field_validator("sources_bucket", "contexts_bucket")
    @classmethod
    def _differs(cls, value: str, info: ValidationInfo) -> str:
        for name in ("ledger_bucket", "sources_bucket"):
            if value and value == info.data.get(name):
                raise ValueError(f"is {value!r}, as {name.upper()} is. Write a bucket of its own")
        return value

    @field_validator("build_context_store")
    @classmethod
    def _is_for_contexts(cls, value: str, info: ValidationInfo) -> str:
        bucket = value.removeprefix("gs://").partition("/")[0]
        own = bucket == info.data.get("contexts_bucket")
        if not own and (problem := _reserved(info.data).problem(value)):
            raise ValueError(f"{problem}. Leave it out, or write a bucket for contexts")
        return value

    @field_validator("ladder")
    @classmethod
    def _is_for_jobs(cls, value: Ladder, info: ValidationInfo) -> Ladder:
        reserved = _reserved(info.data)
        for number, region in enumerate(value.regions):
            if problem := reserved.problem(region.staging_bucket):
                raise ValueError(f"regions.{number}.staging_bucket {problem}. {FIX}")
        return value

    @property
    def context_store(self) -> str:
        """Return the folder, gs://…, from which a build reads the code."""
        derived = bucket_name(self.google_cloud_project, self.launch_agent_name, "contexts")
        return self.build_context_store or f"gs://{self.contexts_bucket or derived}"

    @property
    def context_owner(self) -> str:
        """Return the number of the project that must own this store; an operator's may be any."""
        return "" if self.build_context_store else self.google_cloud_project_number

    @property
    def reserved(self) -> ReservedPlaces:
        """Return the places that no job may use."""
        return _reserved(dict(self))


def _reserved(settings: Mapping[str, Any]) -> ReservedPlaces:
    """Return the reserved places that these settings name; a setting may be absent."""
    buckets = {holds: settings.get(f"{role}_bucket") for role, holds in HOLDS.items()}
    own = {bucket: holds for holds, bucket in buckets.items() if bucket}
    if store := settings.get("build_context_store"):
        own[f"{store.removeprefix('gs://').rstrip('/')}/{CONTEXTS}"] = HOLDS["contexts"]
    return ReservedPlaces(settings.get("google_cloud_project") or "", own)
