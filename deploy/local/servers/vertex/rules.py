"""Refuse the custom jobs that Vertex AI refuses, with every wrong field in one error."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.local.servers.vertex.behaviour import Behaviour
from deploy.local.servers.vertex.errors import invalid_argument
from deploy.local.servers.vertex.forms import form_errors
from deploy.local.servers.vertex.hardware import machine_errors
from deploy.local.servers.vertex.messages import strategy_of
from deploy.local.servers.vertex.refusals import REFUSALS

MAX_DISPLAY_NAME = 128
MAX_LABELS = 64
MAX_LABEL_LENGTH = 64
MAX_ENV = 100

_REQUIRED = "Required field is not set."
DAY = 24 * 3600
_REGION = re.compile(r"[a-z]+(-[a-z]+)+\d+")  # us-central1; us-central1-a is a zone
_NO_REGIONS = ("global", "us", "eu")  # Vertex AI has no CustomJobs in these locations


def check(parent: str, job: Any, behaviour: Behaviour) -> None:
    """Raise ApiError with all of Vertex AI's objections to a CustomJob message."""
    _, project, _, location = parent.split("/")
    _check_parent(project, location, behaviour)
    violations = dict(
        [
            *_name_errors(job.display_name),
            *_label_errors(job.labels),
            *_pool_errors(job.job_spec),
            *_scheduling_errors(job),
            *(form_errors(job, location) if behaviour.checks_forms else ()),
            *(machine_errors(job) if behaviour.checks_forms else ()),
        ]
    )
    if violations:
        listed = "".join(
            f"{number}.Field: {field}; Message: {problem}\t"
            for number, (field, problem) in enumerate(violations.items(), start=1)
        )
        raise invalid_argument(f"List of found errors:\t{listed}", violations)
    account = job.job_spec.service_account
    if account and behaviour.service_accounts and account not in behaviour.service_accounts:
        raise REFUSALS["act-as"].error(service_account=account)


def _check_parent(project: str, location: str, behaviour: Behaviour) -> None:
    """Refuse a location without CustomJobs, and a project that does not exist."""
    if location in _NO_REGIONS:
        raise REFUSALS["no-custom-jobs"].error(location=location)
    if not _REGION.fullmatch(location):
        raise REFUSALS["no-location"].error(location=location)
    if behaviour.projects and project not in behaviour.projects:
        raise REFUSALS["consumer-invalid"].error(project=project)


def _scheduling_errors(job: Any) -> Iterator[tuple[str, str]]:
    """Yield the problems of a job's timeout and wait duration."""
    scheduling = job.job_spec.scheduling
    for field in ("timeout", "max_wait_duration"):
        if getattr(scheduling, field).ToTimedelta().total_seconds() < 0:
            yield f"job_spec.scheduling.{field}", "The duration must not be negative."
    if (
        strategy_of(job) == "FLEX_START"
        and scheduling.timeout.ToTimedelta().total_seconds() > 7 * DAY
    ):
        yield (
            "job_spec.scheduling.timeout",
            "The timeout of a FLEX_START job must not exceed 7 days.",
        )


def _name_errors(display_name: str) -> Iterator[tuple[str, str]]:
    if not display_name:
        yield "custom_job.display_name", _REQUIRED
    elif len(display_name) > MAX_DISPLAY_NAME:
        yield (
            "custom_job.display_name",
            f"The display name must be at most {MAX_DISPLAY_NAME} characters long.",
        )


def _label_errors(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if len(labels) > MAX_LABELS:
        yield (
            "custom_job.labels",
            f"No more than {MAX_LABELS} user labels can be associated with one CustomJob.",
        )
    for key, value in labels.items():
        if not _fits(key) or not key[:1].isalpha():
            yield (
                f"custom_job.labels[{key}]",
                f'The label key "{key}" must start with a letter, be at most {MAX_LABEL_LENGTH} '
                "characters long and contain only lowercase letters, numeric characters, "
                "underscores and dashes.",
            )
        if not _fits(value):
            yield (
                f"custom_job.labels[{key}]",
                f'The label value "{value}" must be at most {MAX_LABEL_LENGTH} characters long '
                "and contain only lowercase letters, numeric characters, underscores and dashes.",
            )


def _fits(text: str) -> bool:
    allowed = all(char in "_-" or (char.isalnum() and char == char.lower()) for char in text)
    return allowed and len(text) <= MAX_LABEL_LENGTH


def _pool_errors(spec: Any) -> Iterator[tuple[str, str]]:
    path = "job_spec.worker_pool_specs"
    if not spec.worker_pool_specs:
        yield path, "At least one worker pool should be specified."
    for index, pool in enumerate(spec.worker_pool_specs):
        here = f"{path}[{index}]"
        if index == 0 and pool.replica_count < 1:
            yield f"{here}.replica_count", "The first worker pool must have a replica."
        elif index > 0 and pool.ByteSize() == 0:
            continue  # an empty pool skips any pool but the first
        elif pool.replica_count < 1:
            yield f"{here}.replica_count", "The replica count must be positive."
        if not pool.machine_spec.machine_type:
            yield f"{here}.machine_spec.machine_type", _REQUIRED
        yield from _task_errors(here, pool)
        if bool(pool.machine_spec.accelerator_type) != bool(pool.machine_spec.accelerator_count):
            yield (
                f"{here}.machine_spec.accelerator_type",
                "Both `accelerator_type` and `accelerator_count` should be specified or none.",
            )


def _task_errors(here: str, pool: Any) -> Iterator[tuple[str, str]]:
    kind = pool.WhichOneof("task")
    if kind is None:
        yield f"{here}.task", "One of `container_spec` and `python_package_spec` must be set."
        return
    task = getattr(pool, kind)
    required = {
        "container_spec": ("image_uri",),
        "python_package_spec": ("executor_image_uri", "package_uris", "python_module"),
    }
    for field in required[kind]:
        if not getattr(task, field):
            yield f"{here}.{kind}.{field}", _REQUIRED
    if len(task.env) > MAX_ENV:
        yield f"{here}.{kind}.env", f"At most {MAX_ENV} environment variables can be specified."
    for index, variable in enumerate(task.env):
        if not variable.name:
            yield f"{here}.{kind}.env[{index}].name", _REQUIRED
