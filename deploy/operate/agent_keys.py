"""The keys of an agent's configuration file, and their meanings here.

They are the keys of the agent in the installed `wandb` package, and of its builders, registries
and environments.
"""

from dataclasses import dataclass

from shared.config.ladder import Ladder
from shared.config.launch_config import AdmissionPolicy
from shared.config.requests import RequestLimits

AS_IS, MOVED, CHANGES = "kept", "moved", "changes"
NOTHING, DECIDE = "no meaning here", "your decision"
_OURS = "Not for the agent's own copy: an agent does not start with this key."


@dataclass(frozen=True, slots=True)
class Known:
    """The meaning of some of the agent's keys: of all values, or of `value` only.

    `setting` is the setting that replaces them.
    """

    keys: tuple[str, ...]
    effect: str
    meaning: str
    setting: str = ""
    value: object = None


def _below(section: str, *keys: str) -> tuple[str, ...]:
    return tuple(f"{section}.{key}" for key in keys)


KNOWN = (
    Known(("entity",), AS_IS, "The entity that owns the queues."),
    Known(("queues",), AS_IS, "The queues that poll serves."),
    Known(("queue",), MOVED, "The agent adds it to queues; so does the new file."),
    Known(("max_jobs",), AS_IS, "Launches open at the same time, over all queues; -1: no limit."),
    Known(
        ("max_schedulers",),
        AS_IS,
        "Schedulers of sweeps open at the same time, beside max_jobs; -1: no limit.",
    ),
    Known(("secure_mode",), AS_IS, "True refuses to choose the program in an item or a queue."),
    Known(("stopped_run_timeout",), AS_IS, "Seconds from stop in W&B to cancel."),
    Known(
        ("verbosity",),
        CHANGES,
        "The functions log to Cloud Logging; DEBUG logs more than INFO.",
        "LOG_LEVEL",
    ),
    Known(("project",), NOTHING, "The agent does not use it either: queues belong to an entity."),
    Known(
        ("environment", "environment.type"), AS_IS, "Queues for Vertex AI need the environment gcp."
    ),
    Known(
        ("environment.region",),
        AS_IS,
        "The region of the jobs, unless their queue names another region.",
    ),
    Known(
        ("environment.project",),
        CHANGES,
        "The project of the jobs; the agent used the project of its credentials.",
    ),
    Known(
        ("registry.uri",),
        MOVED,
        "The name of code jobs' images: builder.destination of the new file.",
        "LAUNCH_BUILD_DESTINATION",
    ),
    Known(
        _below("registry", "repository", "image-name", "image_name", "region", "project"),
        MOVED,
        "A part of the name of code jobs' images: builder.destination of the new file.",
        "LAUNCH_BUILD_DESTINATION",
    ),
    Known(
        ("registry", *_below("registry", "credentials", "type")),
        NOTHING,
        "builder.destination names the images; Vertex AI pulls them.",
    ),
    Known(("registry.account_id",), NOTHING, "It is for AWS."),
    Known(
        ("builder.type",),
        AS_IS,
        "No builds: images run as they are, code runs in a base image.",
        value="noop",
    ),
    Known(
        ("builder", "builder.type"),
        CHANGES,
        "Cloud Build builds the images of code jobs, once for the same code.",
    ),
    Known(
        ("builder.destination",),
        AS_IS,
        "The name of those images; the tag is a hash of the content.",
    ),
    Known(
        ("builder.build-context-store",),
        AS_IS,
        "The folder from which a build reads the code; by default a bucket that bootstrap creates.",
    ),
    Known(
        ("builder.base_image",),
        AS_IS,
        "The base image for a job's code, if neither the job nor its queue names one.",
    ),
    Known(
        ("builder.git_credentials",),
        AS_IS,
        "The secrets with which builds log in at git hosts. " + _OURS,
    ),
    Known(
        (
            *_below("builder", "platform", "credentials", "build-job-name"),
            *_below("builder", "secret-name", "secret-key", "kaniko-image", "kaniko-config"),
        ),
        NOTHING,
        "Cloud Build builds for the machines of Vertex AI, with its own service account.",
    ),
    Known(
        ("builder.uri",),
        MOVED,
        "On one of W&B's pages. The agent does not read it: builder.destination of the new file.",
        "LAUNCH_BUILD_DESTINATION",
    ),
    Known(("base_url",), MOVED, "Pass it as _WANDB_BASE_URL of the build.", "WANDB_BASE_URL"),
    Known(("metadata",), NOTHING, "On older pages of W&B; no agent reads it."),
    Known(("runner",), NOTHING, "Only for Kubernetes and SageMaker, in older agents."),
    Known(("scheduler", "scheduler.image"), AS_IS, "The image of sweeps' schedulers. " + _OURS),
    Known(("scheduler.machine_type",), AS_IS, "The machine type of sweeps' schedulers. " + _OURS),
    Known(
        ("key_secret",),
        AS_IS,
        "The secret from which jobs read W&B's key; no CustomJob contains it. " + _OURS,
    ),
    Known(
        ("ladder", *_below("ladder", *Ladder.model_fields)),
        AS_IS,
        "Other places for a launch without capacity. " + _OURS,
    ),
    Known(
        ("policy", *_below("policy", *AdmissionPolicy.model_fields)),
        AS_IS,
        "Limits of a launch. " + _OURS,
    ),
    Known(
        ("requests", *_below("requests", *RequestLimits.model_fields)),
        AS_IS,
        "What other systems' requests may name. " + _OURS,
    ),
)
KEYS = tuple(key for known in KNOWN for key in known.keys)
FIXES = {
    "entity": "Write the W&B entity that owns the queues: entity: TEAM.",
    "queues": "Write a list of names: queues: [NAME].",
    "max_jobs": "Write a whole number, -1 for no limit, or leave it out for 1.",
    "max_schedulers": "Write a whole number, -1 for no limit, or leave it out for 1.",
    "secure_mode": "Write true or false, or leave it out for false.",
    "stopped_run_timeout": "Write a number of seconds, or leave it out for 60.",
    "environment": "Write environment: {type: gcp, region: REGION, project: PROJECT}.",
    "environment.type": "Write type: gcp. Queues that are not for Vertex AI stay with their agent.",
    "key_secret": "Write the secret's name: key_secret: projects/PROJECT/secrets/SECRET.",
    "builder": (
        "Write builder: {type: noop}, or "
        "{type: cloud-build, destination: REGION-docker.pkg.dev/P/REPO/IMAGE}."
    ),
    "builder.git_credentials": (
        "Write git_credentials: {github.com: projects/PROJECT/secrets/SECRET}, or leave it out."
    ),
    "registry": (
        "Write registry: {uri: REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE}, or leave it out."
    ),
    "scheduler": "Write scheduler: {image: IMAGE, machine_type: e2-standard-4}, or leave it out.",
    "ladder": (
        "Write ladder: {regions: [{region: REGION, staging_bucket: gs://BUCKET}]}, or leave it out."
    ),
    "ladder.strategies": "Write strategies: [SPOT, FLEX_START, STANDARD], or leave it out.",
    "policy": "Write policy: {service_accounts: [NAME@PROJECT.iam.gserviceaccount.com]}.",
    "policy.images": (
        "Write the beginnings of allowed images, the registry first: "
        "images: [REGION-docker.pkg.dev/PROJECT]."
    ),
    "policy.machine_types": "Write machine_types: [n1-standard-4], or leave it out for no limit.",
    "policy.accelerator_types": (
        "Write accelerator_types: [NVIDIA_L4], [] for none, or leave it out for no limit."
    ),
    "policy.tpu_topologies": (
        "Write tpu_topologies: [2x2], [] for none, or leave it out for no limit."
    ),
    "policy.boot_disk_types": "Write boot_disk_types: [pd-ssd], or leave it out for no limit.",
    "policy.max_boot_disk_gb": (
        "Write a whole number of at least 100, or leave it out for no limit."
    ),
    "policy.nfs_mounts": (
        'Write nfs_mounts: ["SERVER:/PATH"], [] for none, or leave it out for no limit.'
    ),
    "policy.lustre_mounts": (
        'Write lustre_mounts: ["INSTANCE_IP:FILESYSTEM:VOLUME_HANDLE"], [] for none, '
        "or leave it out for no limit."
    ),
    "policy.environment_variables": (
        "Write patterns of names: environment_variables: [TRAIN_*], or leave it out for no limit."
    ),
    "policy.buckets": "Write buckets: [gs://BUCKET/FOLDER], or leave it out for no limit.",
    "policy.enable_web_access": "Write false, or leave it out for no limit.",
    "policy.wandb_entities": "Write wandb_entities: [TEAM], or leave it out for no limit.",
    "policy.wandb_projects": "Write wandb_projects: [TEAM/PROJECT], or leave it out for no limit.",
    "policy.max_replicas": "Write a whole number of at least 1, or leave it out for no limit.",
    "policy.projects": (
        "Write projects: [PROJECT, 'NUMBER'], a number in quotes, or leave it out for no limit."
    ),
    "policy.regions": "Write regions: [REGION], or leave it out for no limit.",
    "requests": "Write requests: {sources: [NAME], queues: [ENTITY/QUEUE]}, or leave it out.",
    "requests.sources": "Write sources: [NAME], [] for none, or leave it out for any.",
    "requests.queues": (
        "Write queues: [ENTITY/QUEUE], [] for none, or leave it out for this deployment's queues."
    ),
    "requests.entities": "Write entities: [ENTITY], or leave it out for this deployment's entity.",
    "requests.projects": "Write projects: [PROJECT], or leave it out for any project.",
}
