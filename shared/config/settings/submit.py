"""The settings of submit."""

from typing import Annotated

from pydantic import (
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import NoDecode

from shared.config.building import Building, GitCredentials, ImageName, ImageReference
from shared.config.launch_config import KeySecret
from shared.config.names import or_file
from shared.config.policy import AdmissionPolicy
from shared.config.requests import RequestLimits
from shared.config.section import AnyText
from shared.config.settings.base import FirstRetrySeconds, Names, from_json
from shared.config.settings.places import PlaceSettings
from shared.config.settings.queues import Entity, QueueNames


class SubmitSettings(PlaceSettings):
    """The settings of submit. Without entity and queues, no request can name a queue."""

    entity: Entity = ""
    queues: QueueNames = ()

    secure_mode: Annotated[
        bool,
        Field(
            validation_alias=or_file("LAUNCH_SECURE_MODE", "secure_mode"),
            description="the image or the W&B job of a launch decides what runs: refuse overrides "
            "of the entry point, the Dockerfile and the folder, a container's `command`, and "
            "arguments without a job's entry point",
        ),
    ] = False
    policy: Annotated[
        AdmissionPolicy,
        NoDecode,
        BeforeValidator(from_json),
        Field(
            validation_alias=or_file("LAUNCH_POLICY", "policy"),
            description="the limits of a launch; the variable as JSON",
            examples=['{"regions": ["us-central1"]}'],
        ),
    ] = Field(default_factory=AdmissionPolicy)
    requests: Annotated[
        RequestLimits,
        NoDecode,
        BeforeValidator(from_json),
        Field(
            validation_alias=or_file("LAUNCH_REQUESTS", "requests"),
            description="what other systems' requests may name; the variable as JSON. By default "
            "the deployment's own queues and entity",
            examples=['{"sources": ["nightly-pipeline"]}'],
        ),
    ] = Field(default_factory=RequestLimits)
    key_secret: Annotated[
        KeySecret,
        Field(
            validation_alias=or_file("LAUNCH_KEY_SECRET", "key_secret"),
            description="the secret from which jobs read W&B's key; no CustomJob contains the key",
            examples=["projects/P/secrets/S"],
        ),
    ] = ""
    launch_macros: Annotated[
        Names,
        Field(
            description="names of submit's own variables that `${NAME}` in a queue stands for, "
            "separated by commas"
        ),
    ] = ()
    base_image: Annotated[
        AnyText,
        Field(
            validation_alias=or_file("LAUNCH_BASE_IMAGE", "builder.base_image"),
            description="the image in which a job's code runs, if neither the job nor its queue "
            "(`builder.base_image`) names one; with Python 3.7 or newer, and with git for a job "
            "of a repository",
            examples=["python:3.11"],
        ),
    ] = ""
    build_destination: Annotated[
        ImageName,
        Field(
            validation_alias=or_file(
                "LAUNCH_BUILD_DESTINATION", "builder.destination", "registry.uri"
            ),
            description="the name of built images, without a tag; by default `registry.uri` of "
            "the launch-config",
            examples=["REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE"],
        ),
    ] = ""
    git_credentials: Annotated[
        GitCredentials,
        NoDecode,
        BeforeValidator(from_json),
        Field(
            validation_alias=or_file("LAUNCH_GIT_CREDENTIALS", "builder.git_credentials"),
            description="the secret with which builds log in at a git host, by its host; the "
            "variable as JSON",
            examples=['{"github.com": "projects/P/secrets/S"}'],
        ),
    ] = ()
    builder: Annotated[
        AnyText,
        Field(
            validation_alias=or_file("LAUNCH_BUILDER", "builder.type"),
            description="`cloud-build`, or an agent's `kaniko` or `docker`, builds images of jobs' "
            "code; `noop` builds none",
        ),
    ] = ""
    scheduler_image: Annotated[
        ImageReference,
        Field(
            validation_alias=or_file("LAUNCH_SCHEDULER_IMAGE", "scheduler.image"),
            description="the image of a sweep's scheduler, with `wandb[launch]`",
        ),
    ] = ""
    scheduler_machine: Annotated[
        str,
        Field(
            validation_alias=or_file("LAUNCH_SCHEDULER_MACHINE", "scheduler.machine_type"),
            description="the machine type of a sweep's scheduler; without image and machine type, "
            "schedulers are refused",
            examples=["e2-standard-4"],
        ),
    ] = ""
    submit_budget_seconds: Annotated[
        PositiveFloat,
        Field(
            description="the time after which an invocation sends no create; with a create, "
            "shorter than the function's timeout"
        ),
    ] = 450
    submit_create_seconds: Annotated[
        PositiveFloat,
        Field(description="the longest time of a create, from connecting to its answer"),
    ] = 70
    # after those two, which its validator compares
    submit_lease_seconds: Annotated[
        PositiveFloat,
        Field(
            validate_default=True,
            description="the time for which a claim holds; longer than budget and create together",
        ),
    ] = 660
    submit_settle_seconds: Annotated[
        PositiveFloat,
        Field(
            description="the time after which a create without an answer has arrived, or never will"
        ),
    ] = 120
    submit_look_again_seconds: Annotated[
        PositiveFloat,
        Field(
            description="the time between the first look-up that finds no job and the second, "
            "before another create"
        ),
    ] = 120
    first_retry_seconds: FirstRetrySeconds = 15
    max_failures: Annotated[
        PositiveInt,
        Field(
            validation_alias="LAUNCH_MAX_FAILURES",
            description="failed attempts after which a launch ends",
        ),
    ] = 30
    max_requests: Annotated[
        int,
        Field(
            ge=-1,
            validation_alias="LAUNCH_MAX_REQUESTS",
            description="launches of other systems' requests that run at the same time, beside "
            "`max_jobs`; -1: no limit. Others wait in the ledger",
        ),
    ] = 100

    @field_validator("submit_lease_seconds")
    @classmethod
    def _outlasts_a_create(cls, value: float, info: ValidationInfo) -> float:
        budget = info.data.get("submit_budget_seconds", 0)
        create = info.data.get("submit_create_seconds", 0)
        if value <= budget + create:
            least = f"SUBMIT_BUDGET_SECONDS ({budget:g}) plus SUBMIT_CREATE_SECONDS ({create:g})"
            raise ValueError(
                f"is {value:g}: it has to be longer than {least}, or two jobs could be created"
            )
        return value

    @property
    def request_limits(self) -> RequestLimits:
        """Return the limits of requests, with this deployment's queues and entity as defaults."""
        return self.requests.within(self.entity, self.queues)

    @property
    def building(self) -> Building:
        """Return how images of jobs' code are built, or why they cannot be."""
        return Building.read(self.builder, self.build_destination, self.build_context_store)
