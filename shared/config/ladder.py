"""The model of `ladder` in the launch-config: other places where a launch can find machines."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.core.reserved import BUCKET

Strategy = Literal["SPOT", "FLEX_START", "STANDARD"]


class Region(BaseModel):
    """A region, and the staging bucket of its jobs."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    region: Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")]
    staging_bucket: Annotated[str, Field(pattern=rf"^gs://{BUCKET}(/.*)?$")]


class Ladder(BaseModel):
    """The places that launches can move to; without any, each stays in its own."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    strategies: tuple[Strategy, ...] = ()
    regions: tuple[Region, ...] = ()
