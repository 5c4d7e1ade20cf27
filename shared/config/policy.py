"""The model of `policy` in the launch-config: what a launch may ask for."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_SHOWN = 200  # characters of a value that a refusal quotes


def _something(value: object) -> object:
    if value is None:
        raise ValueError("Input should be what is allowed: without the key there is no limit")
    return value


_Account = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]


def _with_registry(prefix: str) -> str:
    """Refuse a prefix without a registry, or `python` would allow python/anything of Docker Hub."""
    host = prefix.partition("/")[0]
    if re.search(r"\s", prefix) or not (host == "localhost" or "." in host or ":" in host):
        raise ValueError(
            f"is {prefix[:_SHOWN]!r}: the registry comes first, docker.io for Docker Hub"
        )
    return prefix


_ImagePrefix = Annotated[str, AfterValidator(_with_registry)]
_AtLeastOne = Field(min_length=1)


class AdmissionPolicy(BaseModel):
    """Limits of what a launch may ask for. One that is not written is none; one that is written allows nothing else.

    An empty list is taken where it means something: no service account may be named, no accelerator. Without a list of
    service accounts IAM alone decides: submit may act as none that `bootstrap` was not told of.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    service_accounts: Annotated[tuple[_Account, ...] | None, BeforeValidator(_something)] = None
    images: Annotated[tuple[_ImagePrefix, ...] | None, BeforeValidator(_something), _AtLeastOne] = (
        None
    )
    machine_types: Annotated[tuple[_Word, ...] | None, BeforeValidator(_something), _AtLeastOne] = (
        None
    )
    accelerator_types: Annotated[tuple[_Word, ...] | None, BeforeValidator(_something)] = None
    max_replicas: Annotated[int | None, BeforeValidator(_something), Field(ge=1)] = None
    projects: Annotated[tuple[_Word, ...] | None, BeforeValidator(_something), _AtLeastOne] = None
    regions: Annotated[tuple[_Word, ...] | None, BeforeValidator(_something), _AtLeastOne] = None
