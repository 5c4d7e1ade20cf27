"""The keys of an agent's configuration file, and what each means here.

They are those that the agent of the installed `wandb` package reads, and its builders, registries and environments.
"""

from dataclasses import dataclass

from shared.config.ladder import Ladder
from shared.config.launch_config import AdmissionPolicy

AS_IS, CHANGES, NOTHING = "as is", "changes", "no meaning here"
_OURS = "Not for an agent's own file: with it no agent starts."


@dataclass(frozen=True, slots=True)
class Known:
    """What some of the agent's keys mean here: all their values, or this one; `setting` is what takes their place."""

    keys: tuple[str, ...]
    effect: str
    meaning: str
    setting: str = ""
    value: object = None


def _below(section: str, *keys: str) -> tuple[str, ...]:
    return tuple(f"{section}.{key}" for key in keys)


KNOWN = (
    Known(("entity",), AS_IS, "It owns the queues."),
    Known(("queues",), AS_IS, "Each of them is polled."),
    Known(("queue",), CHANGES, "Only the list under queues is read."),
    Known(("max_jobs",), AS_IS, "Launches open at the same time, over all queues; -1: no limit."),
    Known(
        ("max_schedulers",),
        AS_IS,
        "Schedulers of sweeps open at the same time, beside max_jobs; -1: no limit.",
    ),
    Known(("secure_mode",), AS_IS, "True refuses entry point overrides."),
    Known(("stopped_run_timeout",), AS_IS, "Seconds from stop in W&B to cancel."),
    Known(
        ("verbosity",),
        CHANGES,
        "The functions log to Cloud Logging; DEBUG says more than INFO.",
        "LOG_LEVEL",
    ),
    Known(("project",), NOTHING, "The agent does not use it either: queues belong to an entity."),
    Known(("environment", "environment.type"), AS_IS, "Vertex queues are served from gcp alone."),
    Known(
        ("environment.region",), AS_IS, "Where jobs run, unless their queue names another region."
    ),
    Known(
        ("environment.project",),
        CHANGES,
        "Where jobs run, likewise; the agent took its credentials' project.",
    ),
    Known(
        ("registry.uri",),
        AS_IS,
        "What images of jobs' code are called, where they are built and have no destination.",
    ),
    Known(
        (
            "registry",
            *_below(
                "registry", "credentials", "type", "repository", "image-name", "region", "project"
            ),
        ),
        NOTHING,
        "The destination, or else registry.uri, says where images are pushed; Vertex AI pulls them.",
    ),
    Known(("registry.account_id",), NOTHING, "It is for AWS."),
    Known(
        ("builder.type",),
        AS_IS,
        "Nothing is built: images run as they are, code in a base image.",
        value="noop",
    ),
    Known(
        ("builder", "builder.type"),
        CHANGES,
        "Cloud Build builds the images of jobs' code, once for the same code.",
    ),
    Known(
        ("builder.destination",),
        AS_IS,
        "What those images are called; each has a tag of its content.",
    ),
    Known(
        ("builder.build-context-store",),
        AS_IS,
        "Where a build finds the code; without it, the launch's staging bucket.",
    ),
    Known(
        ("builder.base_image",),
        AS_IS,
        "What a job's code runs in, where neither the job nor its queue says.",
    ),
    Known(
        (
            *_below("builder", "platform", "credentials", "build-job-name"),
            *_below("builder", "secret-name", "secret-key", "kaniko-image", "kaniko-config"),
        ),
        NOTHING,
        "Cloud Build builds, for Vertex AI's machines, as a service account of its own.",
    ),
    Known(("runner",), NOTHING, "Older agents read it, for Kubernetes and SageMaker alone."),
    Known(("scheduler", "scheduler.image"), AS_IS, "What a sweep's scheduler runs in. " + _OURS),
    Known(("scheduler.machine_type",), AS_IS, "What a sweep's scheduler runs on. " + _OURS),
    Known(
        ("key_secret",),
        AS_IS,
        "Jobs read W&B's key from this secret; it is in no CustomJob. " + _OURS,
    ),
    Known(
        ("ladder", *_below("ladder", *Ladder.model_fields)),
        AS_IS,
        "Where else there may be machines. " + _OURS,
    ),
    Known(
        ("policy", *_below("policy", *AdmissionPolicy.model_fields)),
        AS_IS,
        "What a launch may ask for. " + _OURS,
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
    "builder": "Write builder: {type: noop}, or {type: cloud-build, destination: REGION-docker.pkg.dev/P/REPO/IMAGE}.",
    "registry": "Write registry: {uri: REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE}, or leave it out.",
    "scheduler": "Write scheduler: {image: IMAGE, machine_type: e2-standard-4}, or leave it out.",
    "ladder": "Write ladder: {regions: [{region: REGION, staging_bucket: gs://BUCKET}]}, or leave it out.",
    "ladder.strategies": "Write strategies: [SPOT, FLEX_START, STANDARD], or leave it out.",
    "policy": "Write policy: {service_accounts: [NAME@PROJECT.iam.gserviceaccount.com]}.",
    "policy.images": "Write what images may begin with, the registry first: images: [REGION-docker.pkg.dev/PROJECT].",
    "policy.machine_types": "Write machine_types: [n1-standard-4], or leave it out for no limit.",
    "policy.accelerator_types": "Write accelerator_types: [NVIDIA_L4], [] for none, or leave it out for no limit.",
    "policy.max_replicas": "Write a whole number from 1 on, or leave it out for no limit.",
    "policy.projects": "Write projects: [PROJECT], or leave it out for no limit.",
    "policy.regions": "Write regions: [REGION], or leave it out for no limit.",
}
