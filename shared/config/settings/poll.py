"""The settings of poll."""

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt, ValidationInfo, field_validator

from shared.config.names import or_file
from shared.config.settings.base import OverdueSeconds
from shared.config.settings.cadence import CadenceSettings
from shared.config.settings.queues import Entity, QueueNames

LAST_CALLS_SECONDS = 60  # calls that poll begins just before the end of its budget


class PollSettings(CadenceSettings):
    """The settings of poll."""

    entity: Annotated[Entity, Field(min_length=1)]
    queues: Annotated[QueueNames, Field(min_length=1)]

    max_jobs: Annotated[
        int,
        Field(
            ge=-1,
            validation_alias=or_file("LAUNCH_MAX_JOBS", "max_jobs"),
            description="launches that are open at the same time; -1: no limit",
        ),
    ] = 1
    max_schedulers: Annotated[
        int,
        Field(
            ge=-1,
            validation_alias=or_file("LAUNCH_MAX_SCHEDULERS", "max_schedulers"),
            description="schedulers of sweeps that are open at the same time, beside `max_jobs`; "
            "-1: no limit. Others stay in W&B's queue",
        ),
    ] = 1
    max_queued: Annotated[
        PositiveInt,
        Field(
            validation_alias="LAUNCH_MAX_QUEUED",
            description="launches that wait in the ledger; others stay in W&B's queue",
        ),
    ] = 100
    poll_connections: Annotated[int, Field(ge=1, le=64, description="connections to W&B")] = 32
    poll_budget_seconds: Annotated[
        PositiveFloat,
        Field(
            description="the time in which one call pops, writes and acks; shorter than the "
            "function's timeout"
        ),
    ] = 55
    # after the budget, which its validator compares
    poll_lease_seconds: Annotated[
        PositiveFloat,
        Field(
            description="the lease that admits one poll at a time; longer than the function's "
            "timeout, and than the budget with its last calls"
        ),
    ] = 150
    poll_window_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="the time in which one call begins rounds while the deployment is warm and "
            "slots are free; less than a minute, so that the next call finds poll ready",
        ),
    ] = 55
    overdue_seconds: OverdueSeconds = 60

    @field_validator("poll_lease_seconds")
    @classmethod
    def _outlasts_the_budget(cls, value: float, info: ValidationInfo) -> float:
        budget = info.data.get("poll_budget_seconds", 0)
        if value <= budget:
            raise ValueError(
                f"is {value:g} seconds, but must be longer than POLL_BUDGET_SECONDS ({budget:g}) "
                f"and the last calls that begin within it, about {LAST_CALLS_SECONDS} seconds. "
                "Otherwise two polls work at the same time"
            )
        return value
