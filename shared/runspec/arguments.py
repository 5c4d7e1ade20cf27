"""The arguments under `spec` and `run`: those of CustomJob(...) and CustomJob.run(...)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.core.errors import Reject
from shared.core.shape import Shape
from shared.core.shorten import quoted
from shared.runspec.fields import text, wrong
from shared.runspec.shapes import decimal, fit_all, whole

MAX_DISPLAY_NAME = 128
MAX_SECONDS = 315_576_000_000  # ten thousand years: the limit of Google's Duration
_TENSORBOARD = re.compile(r"projects/[^/]+/locations/[^/]+/tensorboards/[^/]+")
_DURATIONS = ("timeout", "max_wait_duration")  # in seconds; the SDK accepts whole seconds only
_UNITS = {"m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class ArgumentNames:
    """The arguments of the installed SDK, with types; the adapter reads its signatures."""

    constructor: frozenset[str]
    run: frozenset[str]
    submit: frozenset[str]
    # by name: no name has two meanings in these three
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    locations: frozenset[str] = frozenset()  # in which the SDK creates resources


def display_name(wanted: object, path: str, run_name: str, run_id: str) -> str:
    """Return the job's name: never empty (the SDK would use the time), never too long."""
    own = text(wanted, path, "").strip()
    if len(own) > MAX_DISPLAY_NAME:
        fix = (
            f"Vertex AI accepts at most {MAX_DISPLAY_NAME}. Shorten it, "
            "or leave it out: the job then gets the run's name, shortened."
        )
        raise Reject(path, f"has {len(own)} characters: {quoted(own, 40)}", fix)
    return own or (run_name.strip() or run_id)[:MAX_DISPLAY_NAME]


def run_arguments(run: Mapping[str, Any], path: str, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Return the arguments of submit; refuse those that would make the SDK fail."""
    given = dict(run)
    for name in _DURATIONS:
        if given.get(name) is not None:
            given[name] = seconds(given[name], f"{path}.{name}")
    _check_request_timeout(given, f"{path}.create_request_timeout")
    fitted = fit_all(given, path, shapes)
    tensorboard = text(fitted.get("tensorboard"), f"{path}.tensorboard", "")
    if tensorboard and not _TENSORBOARD.fullmatch(tensorboard):
        fix = "Write projects/PROJECT/locations/REGION/tensorboards/ID."
        raise Reject(f"{path}.tensorboard", f"is {quoted(tensorboard)}, not a resource name", fix)
    if tensorboard and fitted.get("experiment"):
        problem = "cannot be set together with tensorboard"
        raise Reject(f"{path}.experiment", problem, "Leave one of them out.")
    if tensorboard and not text(fitted.get("service_account"), f"{path}.service_account", ""):
        fix = "Write a service account: Vertex AI requires it for a job with a tensorboard."
        raise Reject(f"{path}.service_account", "is missing", fix)
    return fitted


def seconds(value: object, path: str) -> int:
    """Return a duration in seconds: 3600, as the SDK accepts it, or "3600s", as Vertex AI does.

    Other units are refused; the fix is the same duration in seconds.
    """
    if isinstance(value, str):
        written = value.strip().lower().replace(" ", "")
        read = re.fullmatch(r"(-?\d{1,15})(?:\.0+)?(s|m|h|d)?", written)
        if not read:
            problem = f"should be a number of seconds, but is {quoted(value)}"
            raise Reject(path, problem, 'Write 3600 or "3600s".')
        if read[2] in _UNITS:
            meant = int(read[1]) * _UNITS[read[2]]
            problem = f"is {quoted(value)}, but Vertex AI counts in seconds"
            raise Reject(path, problem, f'Write {meant} or "{meant}s".')
        value = read[1]
    if isinstance(value, bool):
        raise wrong(path, "a number of seconds", value)
    whole_seconds = whole(value, path)
    if not 0 <= whole_seconds <= MAX_SECONDS:
        fix = f"Write a number of seconds from 0 to {MAX_SECONDS}."
        raise Reject(path, f"is {whole_seconds} seconds", fix)
    return whole_seconds


def _check_request_timeout(given: dict[str, Any], path: str) -> None:
    value = given.get("create_request_timeout")
    if value is None:
        return
    if isinstance(value, str):
        value = value.strip().removesuffix("s")
    timeout = given["create_request_timeout"] = decimal(value, path)
    if timeout < 1:  # the job would be created, and its answer lost, each time
        raise Reject(path, f"is {timeout}", "Write a number of seconds from 1.")
