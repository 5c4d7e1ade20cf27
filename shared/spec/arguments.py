"""The named arguments under `spec` and `run`: those of CustomJob(...) and CustomJob.run(...) of the installed SDK."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.core.errors import Reject
from shared.spec.fields import number, text

MAX_DISPLAY_NAME = 128
_TENSORBOARD = re.compile(r"projects/[^/]+/locations/[^/]+/tensorboards/[^/]+")
_BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}(/.*)?", re.DOTALL)
_NUMBERS = ("timeout", "max_wait_duration", "create_request_timeout")


@dataclass(frozen=True, slots=True)
class ArgumentNames:
    """The names that the installed SDK takes, read from its signatures by the adapter."""

    constructor: frozenset[str]
    run: frozenset[str]
    submit: frozenset[str]


def check_names(given: Mapping[str, Any], path: str, known: frozenset[str]) -> None:
    """Refuse a name that the SDK does not know, with the likeliest one that it does."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            fix = f"Did you mean {near[0]}?" if near else f"Known are: {', '.join(sorted(known))}."
            raise Reject(f"{path}.{str(name)[:80]}", "is no argument that CustomJob takes there", fix)


def staging_bucket(value: object, path: str) -> str:
    """Return the staging bucket. Raises Reject where it is missing or no gs:// address."""
    bucket = text(value, path, "").strip()
    if not bucket:
        raise Reject(path, "is empty", "Fill in a bucket in the job's region in the queue's configuration: gs://….")
    if not _BUCKET.fullmatch(bucket):
        raise Reject(path, f"is {bucket[:80]!r}, not a bucket", "Write it as gs://BUCKET or gs://BUCKET/FOLDER.")
    return bucket


def display_name(wanted: object, path: str, run_name: str, run_id: str) -> str:
    """Return the job's name: never empty, or the SDK would make one of the time; never longer than Vertex AI takes."""
    return (text(wanted, path, "").strip() or run_name.strip() or run_id)[:MAX_DISPLAY_NAME]


def check_run(run: Mapping[str, Any], path: str) -> None:
    """Refuse what the SDK would trip over only after, or on its way to, creating the job."""
    for name in _NUMBERS:
        if run.get(name) is not None:
            number(run[name], f"{path}.{name}")
    tensorboard = text(run.get("tensorboard"), f"{path}.tensorboard", "")
    if tensorboard and not _TENSORBOARD.fullmatch(tensorboard):
        fix = "Write projects/PROJECT/locations/REGION/tensorboards/ID."
        raise Reject(f"{path}.tensorboard", f"is {tensorboard[:80]!r}, not a resource name", fix)
    if tensorboard and run.get("experiment"):
        raise Reject(f"{path}.experiment", "cannot be set together with tensorboard", "Leave one of them out.")
    if tensorboard and not text(run.get("service_account"), f"{path}.service_account", ""):
        raise Reject(f"{path}.service_account", "is missing", "Vertex AI wants one for a job with a tensorboard.")
