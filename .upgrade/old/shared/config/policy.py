"""The model of `policy` in the launch-config: the limits of a launch."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_SHOWN = 200  # characters of a value that a refusal quotes


def _something(value: object) -> object:
    if value is None:
        raise ValueError("Input should be the allowed values; remove the key for no limit")
    return value


_Account = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]


def _with_registry(prefix: str) -> str:
    """Refuse a prefix without a registry: `python` would allow python/anything of Docker Hub."""
    host = prefix.partition("/")[0]
    if re.search(r"\s", prefix) or not (host == "localhost" or "." in host or ":" in host):
        raise ValueError(
            f"is {prefix[:_SHOWN]!r}: write the registry first, docker.io for Docker Hub"
        )
    return prefix


_ImagePrefix = Annotated[str, AfterValidator(_with_registry)]
_Limit = BeforeValidator(_something)


class AdmissionPolicy(BaseModel):
    """The limits of a launch. A missing key limits nothing; a key allows its values, nothing else.

    An empty list is accepted where it has a meaning: no service account, no accelerator. Without a
    list of service accounts, IAM alone decides: submit can act only as those bound by `bootstrap`.
    docs/how-to/limit-launches.md is generated from the fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    service_accounts: Annotated[
        tuple[_Account, ...] | None,
        _Limit,
        Field(
            description="`run.service_account`; `[]`: a job may name none. A job that names none "
            "runs as Vertex AI's own agent, which no rule forbids. Without this key IAM alone "
            "decides: submit can act as the accounts that `bootstrap` bound",
            examples=["[trainer@p.iam.gserviceaccount.com]"],
        ),
    ] = None
    images: Annotated[
        tuple[_ImagePrefix, ...] | None,
        _Limit,
        Field(
            min_length=1,
            description="the beginning of each container's image, registry first, part by part: "
            "`…/team` does not match `…/team-b`; `python:3` is `docker.io/library/python:3`. For "
            "an image that is built: its own name and its base image; no rule limits the content "
            "of a job's own Dockerfile after FROM",
            examples=["[us-docker.pkg.dev/p/team]"],
        ),
    ] = None
    machine_types: Annotated[
        tuple[_Word, ...] | None,
        _Limit,
        Field(
            min_length=1,
            description="the machine type of each pool",
            examples=["[n1-standard-4, g2-standard-8]"],
        ),
    ] = None
    accelerator_types: Annotated[
        tuple[_Word, ...] | None,
        _Limit,
        Field(
            description="the accelerator type of each pool; `[]`: none. `machine_types` limits "
            "accelerators that a machine type includes",
            examples=["[NVIDIA_L4]"],
        ),
    ] = None
    max_replicas: Annotated[
        int | None,
        _Limit,
        Field(
            ge=1,
            description="the replicas of all pools together; a pool without a count counts as one",
            examples=["8"],
        ),
    ] = None
    projects: Annotated[
        tuple[_Word, ...] | None,
        _Limit,
        Field(
            min_length=1,
            description="the project in which the job runs, from its spec or the deployment",
            examples=["[my-project]"],
        ),
    ] = None
    regions: Annotated[
        tuple[_Word, ...] | None,
        _Limit,
        Field(
            min_length=1,
            description="the region in which the job runs, from its spec or the deployment",
            examples=["[us-central1, europe-west4]"],
        ),
    ] = None
