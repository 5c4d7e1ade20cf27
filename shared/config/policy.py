"""The model of `policy` in the launch-config: the limits of a launch."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from shared.core.image import Image
from shared.core.shorten import quoted

_SHOWN = 200  # characters of a value that a refusal quotes


def _something(value: object) -> object:
    if value is None:
        raise ValueError("Input should be the allowed values; remove the key for no limit")
    return value


_Account = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
_Name = Annotated[str, Field(pattern=r"^[^/\s]+$")]
# W&B's clients write projects in lower case
_RunProject = Annotated[str, Field(pattern=r"^[^/\s]+/[^/]+$"), AfterValidator(str.lower)]
_VariablePattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9_*?\[\]!-]+$")]
_Bucket = Annotated[str, Field(pattern=r"^gs://[a-z0-9][a-z0-9._-]+(/.*)?$")]
_NfsMount = Annotated[str, Field(pattern=r"^[^:\s]+:/[^:]*$")]
_LustreMount = Annotated[str, Field(pattern=r"^[^:\s]+:[^:\s]+:[^:\s]+$")]


def _image_prefix(text: str) -> str:
    """Refuse a prefix without a registry: `python` would allow python/anything of Docker Hub."""
    try:
        Image.prefix(text)
    except ValueError as exc:
        shown = quoted(text, _SHOWN)
        raise ValueError(f"is {shown}, which {exc}: write the registry first") from exc
    return text


_ImagePrefix = Annotated[str, AfterValidator(_image_prefix)]
_Limit = BeforeValidator(_something)


class AdmissionPolicy(BaseModel):
    """The limits of a launch. A missing key limits nothing; a key allows its values, nothing else.

    An empty list is accepted where it has a meaning: no service account, no mount. Without a list
    of service accounts, IAM alone decides: submit can act only as those bound by `bootstrap`.
    docs/how-to/limit-launches.md is generated from the fields.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

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
            "`…/team` does not match `…/team-b`; `python:3` is `docker.io/library/python:3`. A tag "
            "allows that tag without a digest. For an image that is built: its own name and its "
            "base image; no rule limits the content of a job's own Dockerfile after FROM",
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
    tpu_topologies: Annotated[
        tuple[_Word, ...] | None,
        _Limit,
        Field(
            description="the TPU topology of each pool; `[]`: a pool may name none. A topology "
            "can span machines that `max_replicas` does not count",
            examples=["[2x2]"],
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
    boot_disk_types: Annotated[
        tuple[_Word, ...] | None,
        _Limit,
        Field(
            description="the boot disk type of each pool; `[]`: a pool may name none. A pool that "
            "names none gets the default of its machine type",
            examples=["[pd-standard, pd-ssd]"],
        ),
    ] = None
    max_boot_disk_gb: Annotated[
        int | None,
        _Limit,
        Field(
            ge=100,
            description="the boot disk size of each machine, in GB; Vertex AI's default is 100",
            examples=["500"],
        ),
    ] = None
    nfs_mounts: Annotated[
        tuple[_NfsMount, ...] | None,
        _Limit,
        Field(
            description="the NFS mounts of each pool, as SERVER:PATH; `[]`: none. A folder of an "
            "allowed path is another path",
            examples=['["10.0.0.2:/data"]'],
        ),
    ] = None
    lustre_mounts: Annotated[
        tuple[_LustreMount, ...] | None,
        _Limit,
        Field(
            description="the Lustre mounts of each pool, as INSTANCE_IP:FILESYSTEM:VOLUME_HANDLE; "
            "`[]`: none",
            examples=['["10.0.0.3:scratch:volume-1"]'],
        ),
    ] = None
    environment_variables: Annotated[
        tuple[_VariablePattern, ...] | None,
        _Limit,
        Field(
            description="the names of the variables in each container's `env`, as shell patterns "
            "(`*`, `?`, `[a-z]`); `[]`: none. The variables that W&B Launch adds are always "
            "allowed. A pattern that matches `LD_PRELOAD`, `PYTHONPATH` or `BASH_ENV` lets a "
            "variable change the program that runs",
            examples=["[TRAIN_*, NCCL_DEBUG]"],
        ),
    ] = None
    buckets: Annotated[
        tuple[_Bucket, ...] | None,
        _Limit,
        Field(
            min_length=1,
            description="`spec.staging_bucket` and `spec.base_output_dir`, part by part: "
            "`gs://b/team` does not match `gs://b/team-b`. IAM limits the buckets that a job's own "
            "code uses",
            examples=["[gs://team, gs://shared/team]"],
        ),
    ] = None
    enable_web_access: Annotated[
        bool | None,
        _Limit,
        Field(
            description="`run.enable_web_access`; `false`: no job has interactive shells",
            examples=["false"],
        ),
    ] = None
    projects: Annotated[
        tuple[_Word, ...] | None,
        _Limit,
        Field(
            min_length=1,
            description="the project in which the job runs, from its spec or the deployment, and "
            "the project in each resource name: account, network, network attachment, DNS peering, "
            "tensorboard, experiment, encryption key, persistent resource, reservation, Lustre "
            "volume. The rule compares texts, so list a project's number too if a name contains "
            "it: Vertex AI requires the number for a network",
            examples=["[my-project, '123456789012']"],
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
    wandb_entities: Annotated[
        tuple[_Name, ...] | None,
        _Limit,
        Field(
            min_length=1,
            description="the W&B entity of the run",
            examples=["[team]"],
        ),
    ] = None
    wandb_projects: Annotated[
        tuple[_RunProject, ...] | None,
        _Limit,
        Field(
            min_length=1,
            description="the W&B project of the run, as ENTITY/PROJECT",
            examples=["[team/cats]"],
        ),
    ] = None
