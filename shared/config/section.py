"""What all sections of a launch-config.yaml have in common."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from shared.core.shorten import shown

_SHOWN = 200  # characters of a value of another type


def _as_text(value: object) -> str:
    """Return a value of any type as text; its reader reports one that means nothing."""
    return value if isinstance(value, str) else shown(str(value), _SHOWN)


AnyText = Annotated[str, BeforeValidator(_as_text)]


class Section(BaseModel):
    """Keys and their values. A key without a value counts as absent, as in W&B's agent."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _set(cls, written: object) -> object:
        if not isinstance(written, dict):
            return written
        return {key: value for key, value in written.items() if value is not None}
