"""The settings of the cadence, which poll and status share (ADR 23)."""

from typing import Annotated

from pydantic import Field, PositiveFloat

from shared.config.settings.base import Settings
from shared.core.cadence import Mode


class CadenceSettings(Settings):
    """How often poll and status work between two calls of Cloud Scheduler."""

    cadence: Annotated[
        Mode,
        Field(
            validation_alias="LAUNCH_CADENCE",
            description="`adaptive`: fast while work goes on; `always`: fast all the time; "
            "`never`: one round a call",
        ),
    ] = Mode.ADAPTIVE
    warm_seconds: Annotated[
        PositiveFloat,
        Field(
            validation_alias="LAUNCH_WARM_SECONDS",
            description="how long a deployment stays warm after a pop, the end of a launch, or a "
            "job that was pending or stopping",
        ),
    ] = 900
    round_seconds: Annotated[
        PositiveFloat,
        Field(
            validation_alias="LAUNCH_ROUND_SECONDS",
            description="from one round to the next while warm: of poll while slots are free, of "
            "status while none is",
        ),
    ] = 5
    slowest_round_seconds: Annotated[
        PositiveFloat,
        Field(
            validation_alias="LAUNCH_SLOWEST_ROUND_SECONDS",
            description="429, 503 and timeouts double the time between two rounds up to this",
        ),
    ] = 60
