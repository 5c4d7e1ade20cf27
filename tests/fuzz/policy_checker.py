"""Compare Vertex AI's own message with a policy, by code that shares nothing with the product's check.

It reads the CustomJob that Google's unmodified SDK sends, and the Dockerfile of an image that is built.
"""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import proto
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform
from google.protobuf.descriptor import FieldDescriptor

from shared.adapters.vertex.submit.arguments import typed
from shared.config.policy import AdmissionPolicy
from shared.core.ports import CustomJobCall

OURS = re.compile(
    r"WANDB_(BASE_URL|API_KEY|PROJECT|ENTITY|LAUNCH|RUN_ID|DOCKER|NAME|USERNAME|SWEEP_ID|RESUME|ARTIFACTS"
    r"|LAUNCH_QUEUE_NAME|LAUNCH_QUEUE_ENTITY|LAUNCH_TRACE_ID|(CONFIG|LAUNCH_FILE_OVERRIDES)(_[0-9]+)?)"
)
USERS_VALUE = "of the author"  # of variables in the cases; W&B Launch sets none to it
# fields without a resource name of Google Cloud
FREE_TEXT = (
    *("display_name", "labels", "env", "command", "args", "image_uri", "output_uri_prefix", "domain", "server", "path"),
    *("mount_point", "instance_ip", "filesystem", "machine_type", "tpu_topology", "boot_disk_type"),
)
IMAGE = re.compile(
    r"(?:(?P<host>localhost(?::\d+)?|[^/@]*[.:A-Z][^/@]*)/)?(?P<path>[a-z0-9][a-z0-9._/-]*)(?::(?P<tag>[\w.-]+))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)


class _SentError(Exception):
    """The SDK has made the message; nothing leaves this process."""


class _Capture:
    """Vertex AI's client, as far as `submit` calls it."""

    def create_custom_job(self, parent: str, custom_job: Any, timeout: float | None) -> None:
        """Keep the message."""
        self.parent, self.job = parent, custom_job
        raise _SentError


def start_the_sdk() -> None:
    """Configure the SDK without credentials, as the adapter does for an endpoint."""
    logging.getLogger("google.cloud.aiplatform.jobs").setLevel(logging.WARNING)
    aiplatform.init(
        project="p",
        location="us-central1",
        api_transport="rest",
        api_endpoint="http://127.0.0.1:9",
        credentials=AnonymousCredentials(),
    )


def message(call: CustomJobCall) -> tuple[str, Any]:
    """Return the parent and the message that the SDK sends for a call.

    The SDK would look an experiment up; the full name of one that exists is set here instead.
    """
    arguments = typed(call.submit)
    experiment = [arguments.pop(name, None) for name in ("experiment", "experiment_run")]
    job = aiplatform.CustomJob(project=call.project, location=call.location, **call.constructor)
    capture: Any = _Capture()
    job.api_client = capture
    with suppress(_SentError):
        job.submit(**arguments)
    for name, value in zip(("experiment", "experiment_run"), experiment, strict=True):
        setattr(capture.job.job_spec, name, value or "")
    return capture.parent, capture.job


def outside(call: CustomJobCall, policy: AdmissionPolicy) -> set[str]:
    """Return the rules that the message of a call breaks."""
    parent, job = message(call)
    spec = job.job_spec
    _, project, _, location = parent.split("/")
    pools = [pool for pool in spec.worker_pool_specs if pool != type(pool)()]
    containers = [pool.container_spec for pool in pools]
    images = [container.image_uri for container in containers]
    if call.recipe:
        images += re.findall(r"(?m)^FROM (.*)$", call.recipe.text)
    variables = [(one.name, one.value == USERS_VALUE) for container in containers for one in container.env]
    runs = [{one.name: one.value for one in container.env} for container in containers]
    places = [spec.base_output_directory.output_uri_prefix, str(call.constructor["staging_bucket"])]
    strings = [text for name, text in _strings(job) if name not in FREE_TEXT]
    peers = [one for peer in spec.psc_interface_config.dns_peering_configs if (one := peer.target_project)]
    named = [project, *peers, *(one for text in strings for one in re.findall(r"projects/([^/]*)", text))]
    resources = [spec.network, spec.tensorboard, spec.persistent_resource_id, spec.experiment, spec.experiment_run]
    resources += [job.encryption_spec.kms_key_name, spec.psc_interface_config.network_attachment]
    resources += [one for pool in pools for one in pool.machine_spec.reservation_affinity.values]
    resources += [one.volume_handle for pool in pools for one in pool.lustre_mounts]
    named += [text.split("/")[0] for text in resources if "/" in text and not text.startswith("projects/")]
    values: dict[str, list[Any]] = {
        "service_accounts": [spec.service_account] if spec.service_account else [],
        "machine_types": [pool.machine_spec.machine_type for pool in pools],
        "accelerator_types": [pool.machine_spec.accelerator_type.name for pool in pools if _accelerates(pool)],
        "tpu_topologies": [one for pool in pools if (one := pool.machine_spec.tpu_topology)],
        "boot_disk_types": [one for pool in pools if (one := pool.disk_spec.boot_disk_type)],
        "nfs_mounts": [f"{one.server}:{one.path}" for pool in pools for one in pool.nfs_mounts],
        "lustre_mounts": [
            f"{one.instance_ip}:{one.filesystem}:{one.volume_handle}" for pool in pools for one in pool.lustre_mounts
        ],
        "projects": named,
        "regions": [location],
        "wandb_entities": [run.get("WANDB_ENTITY") for run in runs],
        "wandb_projects": [f"{run.get('WANDB_ENTITY')}/{run.get('WANDB_PROJECT')}" for run in runs],
    }
    broken = {
        rule
        for rule, found in values.items()
        if getattr(policy, rule) is not None and not set(found) <= set(getattr(policy, rule))
    }
    others: dict[str, Callable[[Any], bool]] = {
        "images": lambda limit: all(any(_begins(image, prefix) for prefix in limit) for image in images),
        "max_replicas": lambda limit: sum(_machines(pool) for pool in pools) <= limit,
        "max_boot_disk_gb": lambda limit: all((pool.disk_spec.boot_disk_size_gb or 100) <= limit for pool in pools),
        "environment_variables": lambda limit: all(_may_be_set(*one, limit) for one in variables),
        "buckets": lambda limit: all(any(_is_in(place, folder) for folder in limit) for place in places),
        "enable_web_access": lambda limit: limit or not (spec.enable_web_access or spec.enable_dashboard_access),
    }
    for rule, holds in others.items():
        limit = getattr(policy, rule)
        if limit is not None and not holds(limit):
            broken.add(rule)
    assert values.keys() | others.keys() == AdmissionPolicy.model_fields.keys()
    return broken


def _accelerates(pool: Any) -> bool:
    return bool(int(pool.machine_spec.accelerator_type))


def _machines(pool: Any) -> float:
    return float("inf") if pool.replica_count < 0 else max(1, pool.replica_count)


def _parts(image: str) -> list[str]:
    """Return registry, path and tag or digest of an image in parts; empty for no name of an image."""
    read = IMAGE.fullmatch(image)
    if read is None or ".." in image:
        return []
    host = (read["host"] or "docker.io").lower()
    path = read["path"].split("/")
    if host == "index.docker.io":
        host = "docker.io"
    if host == "docker.io" and len(path) == 1:
        path.insert(0, "library")
    return [host, *path, *([f"@{read['digest']}"] if read["digest"] else [f":{read['tag'] or ''}"])]


def _begins(image: str, prefix: str) -> bool:
    whole = _parts(image)
    if "@" in prefix:
        return bool(whole) and whole == _parts(prefix)
    begin = prefix.rstrip("/").split("/")
    last, colon, tag = begin[-1].partition(":")
    if colon and len(begin) > 1:
        return whole == [*begin[:-1], last, f":{tag}"]
    return bool(whole) and whole[: len(begin)] == begin and len(whole) > len(begin)


def _may_be_set(name: str, is_users: bool, patterns: tuple[str, ...]) -> bool:
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        return False
    globs = [re.escape(each).replace(r"\*", ".*").replace(r"\?", ".") for each in patterns]
    return bool(OURS.fullmatch(name) and not is_users) or any(re.fullmatch(each, name) for each in globs)


def _is_in(place: str, folder: str) -> bool:
    parts, wanted = place.split("/"), folder.rstrip("/").split("/")
    return ".." not in parts and parts[: len(wanted)] == wanted


def _strings(holder: proto.Message) -> Iterator[tuple[str, str]]:
    """Yield every string of a message, with the name of its field."""
    raw = type(holder).pb(holder)
    yield from _raw_strings(raw, "")


def _raw_strings(raw: Any, within: str) -> Iterator[tuple[str, str]]:
    for field, value in raw.ListFields():
        name = within if within in FREE_TEXT else field.name
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if field.message_type.GetOptions().map_entry:
                continue  # labels
            for one in value if field.is_repeated else [value]:
                yield from _raw_strings(one, name)
        elif field.type == FieldDescriptor.TYPE_STRING:
            for one in value if field.is_repeated else [value]:
                yield name, one


def summary(counts: Counter[str]) -> str:
    """Return the figures of a run in one line."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
