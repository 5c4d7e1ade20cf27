"""The settings of status."""

from typing import Annotated

from pydantic import Field, PositiveFloat

from shared.config.names import or_file
from shared.config.settings.base import URL, FirstRetrySeconds, OverdueSeconds
from shared.config.settings.cadence import CadenceSettings


class StatusSettings(CadenceSettings):
    """The settings of status."""

    stopped_run_timeout: Annotated[
        float,
        Field(
            ge=0,
            validation_alias=or_file("LAUNCH_STOPPED_RUN_TIMEOUT", "stopped_run_timeout"),
            description="the time from a stop in W&B to the cancel, in which the script can end",
        ),
    ] = 60
    start_timeout: Annotated[
        float,
        Field(
            ge=0,
            validation_alias="WANDB_LAUNCH_START_TIMEOUT",
            description="the time after which a PENDING job without a run is cancelled; 0: never. "
            "A QUEUED job waits for quota without a limit",
        ),
    ] = 1800
    init_grace_seconds: Annotated[
        float,
        Field(ge=0, description="the time after a job's end in which W&B has to show its run"),
    ] = 60
    error_grace_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="the time after a failed job's end in which Vertex AI has to show an error",
        ),
    ] = 180
    max_internal_errors: Annotated[
        int,
        Field(
            ge=0,
            validation_alias="LAUNCH_MAX_INTERNAL_ERRORS",
            description="how often a job is launched again that Vertex AI fails with an internal "
            "error before a container runs",
        ),
    ] = 3
    stuck_seconds: Annotated[
        PositiveFloat,
        Field(
            description="the time after which a job that stays CANCELLING, PAUSED or UPDATING is "
            "reported"
        ),
    ] = 86_400
    overdue_seconds: OverdueSeconds = 60
    first_retry_seconds: FirstRetrySeconds = 15
    listing_lag_seconds: Annotated[
        float, Field(ge=0, description="a listing may lack a job that is younger than this")
    ] = 120
    status_budget_seconds: Annotated[
        PositiveFloat,
        Field(description="the time in which one call works; half of it, at most, lists jobs"),
    ] = 45
    status_window_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="the time in which one call begins ticks while the deployment is warm",
        ),
    ] = 55
    watch_seconds: Annotated[
        PositiveFloat,
        Field(
            validation_alias="LAUNCH_WATCH_SECONDS",
            description="from one tick to the next while slots are free and a job is young or "
            "stops",
        ),
    ] = 10
    young_seconds: Annotated[
        PositiveFloat,
        Field(
            validation_alias="LAUNCH_YOUNG_SECONDS",
            description="a job is young for this time after its create",
        ),
    ] = 600
    wake_up_topic: Annotated[
        str,
        Field(
            max_length=255,
            pattern=r"^[A-Za-z][A-Za-z0-9._~+%-]+$",
            validation_alias="LAUNCH_WAKE_UP_TOPIC",
            description="the topic on which status wakes poll when a launch has freed a slot",
        ),
    ] = "launch-wake-up"
    log_excerpt: Annotated[
        bool,
        Field(
            validation_alias="LAUNCH_LOG_EXCERPT",
            description="show the end of a failed job's log at its item, without keys; `false` "
            "reads no log",
        ),
    ] = True
    events_topic: Annotated[
        str,
        Field(
            validation_alias="LAUNCH_EVENTS_TOPIC",
            max_length=255,
            pattern=r"^([A-Za-z][A-Za-z0-9._~+%-]+)?$",
            description="the topic that receives the events of launches; empty: no events",
            examples=["launch-events"],
        ),
    ] = ""
    logging_endpoint: Annotated[
        str, Field(pattern=URL, description="URL that replaces Cloud Logging; by default Google's")
    ] = ""

    @property
    def wake_up_path(self) -> str:
        """Return the resource name of that topic."""
        return f"projects/{self.google_cloud_project}/topics/{self.wake_up_topic}"

    @property
    def events_path(self) -> str:
        """Return the resource name of the topic of events."""
        return f"projects/{self.google_cloud_project}/topics/{self.events_topic}"

    @property
    def origin(self) -> str:
        """Return the source of this deployment's events, as a CloudEvent names it."""
        return f"/projects/{self.google_cloud_project}/launch/{self.launch_agent_name}"
