"""The named arguments under `spec` and `run`: those of CustomJob(...) and CustomJob.run(...) of the installed SDK."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.core.errors import Reject
from shared.core.shape import Shape
from shared.runspec.fields import text, wrong
from shared.runspec.shapes import decimal, fit_all, nearest, whole

MAX_DISPLAY_NAME = 128
MAX_SECONDS = 315_576_000_000  # ten thousand years: the longest that Google's Duration can be
_TENSORBOARD = re.compile(r"projects/[^/]+/locations/[^/]+/tensorboards/[^/]+")
_DURATIONS = ("timeout", "max_wait_duration")  # seconds; the SDK takes whole ones only
PARTS = ("spec", "run", "builder")
_UNITS = {"m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class ArgumentNames:
    """The names that the installed SDK takes, and what each takes, read from its signatures by the adapter."""

    constructor: frozenset[str]
    run: frozenset[str]
    submit: frozenset[str]
    shapes: Mapping[str, Shape] = field(
        default_factory=dict
    )  # no name means two things in these three


def check_names(given: Mapping[str, Any], path: str, known: frozenset[str]) -> None:
    """Refuse a name that the SDK does not know, with the likeliest one that it does."""
    for name in given:
        if name not in known:
            near = nearest(str(name), known)
            fix = f"Did you mean {near}?" if near else f"Known are: {', '.join(sorted(known))}."
            raise Reject(
                f"{path}.{str(name)[:80]}", "is no argument that CustomJob takes there", fix
            )


def check_parts(others: Iterable[str], path: str, names: ArgumentNames) -> None:
    """Refuse a key beside spec, run and builder, with the place where it belongs or the key that was meant.

    Without this a misspelt `runs` would launch a job of the wrong strategy and account.
    """
    for name in others:
        fix = _belongs(name, names)
        raise Reject(f"{path}.{name[:80]}", "is not known: spec, run and builder are", fix)


def _belongs(name: str, names: ArgumentNames) -> str:
    """Say where a key belongs, or which key was meant."""
    plain = _plain(name)
    written = "" if plain == name else f" and is written {plain}"
    places = (("spec", names.constructor), ("run", names.run | names.submit))
    for part, known in places:
        if plain in known:
            return f"{name[:80]} belongs under {part}{written}."
    if near := nearest(plain, PARTS):
        return f"Did you mean {near}?"
    for part, known in places:
        if near := nearest(plain, known):
            return f"Did you mean {near}? It belongs under {part}."
    return "Arguments of CustomJob(...) belong under spec, those of CustomJob.run(...) under run."


def _plain(name: str) -> str:
    """Return a key in the SDK's spelling: workerPoolSpecs and worker-pool-specs are worker_pool_specs."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:80]).replace("-", "_").lower()


def display_name(wanted: object, path: str, run_name: str, run_id: str) -> str:
    """Return the job's name: never empty, or the SDK would make one of the time; never longer than Vertex AI takes."""
    own = text(wanted, path, "").strip()
    if len(own) > MAX_DISPLAY_NAME:
        fix = f"Vertex AI takes at most {MAX_DISPLAY_NAME}. Left out, it is the run's name, shortened."
        raise Reject(path, f"has {len(own)} characters: {own[:40]!r}…", fix)
    return own or (run_name.strip() or run_id)[:MAX_DISPLAY_NAME]


def run_arguments(run: Mapping[str, Any], path: str, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Return the arguments of submit as the SDK takes them; refuse what it trips over on its way to creating a job."""
    given = dict(run)
    for name in _DURATIONS:
        if given.get(name) is not None:
            given[name] = seconds(given[name], f"{path}.{name}")
    _check_request_timeout(given, f"{path}.create_request_timeout")
    fitted = fit_all(given, path, shapes)
    tensorboard = text(fitted.get("tensorboard"), f"{path}.tensorboard", "")
    if tensorboard and not _TENSORBOARD.fullmatch(tensorboard):
        fix = "Write projects/PROJECT/locations/REGION/tensorboards/ID."
        raise Reject(f"{path}.tensorboard", f"is {tensorboard[:80]!r}, not a resource name", fix)
    if tensorboard and fitted.get("experiment"):
        raise Reject(
            f"{path}.experiment",
            "cannot be set together with tensorboard",
            "Leave one of them out.",
        )
    if tensorboard and not text(fitted.get("service_account"), f"{path}.service_account", ""):
        raise Reject(
            f"{path}.service_account",
            "is missing",
            "Vertex AI wants one for a job with a tensorboard.",
        )
    return fitted


def seconds(value: object, path: str) -> int:
    """Read a duration: a number of seconds, as the SDK takes it, or Vertex AI's own way to write it, "3600s".

    Neither knows other units; they are refused with what to write instead.
    """
    if isinstance(value, str):
        read = re.fullmatch(
            r"(-?\d{1,15})(?:\.0+)?(s|m|h|d)?", value.strip().lower().replace(" ", "")
        )
        if not read:
            raise Reject(
                path,
                f"should be a number of seconds, but is {value[:80]!r}",
                'Write 3600 or "3600s".',
            )
        if read[2] in _UNITS:
            meant = int(read[1]) * _UNITS[read[2]]
            raise Reject(
                path,
                f"is {value[:80]!r}: Vertex AI counts in seconds",
                f'Write {meant} or "{meant}s".',
            )
        value = read[1]
    if isinstance(value, bool):
        raise wrong(path, "a number of seconds", value)
    whole_seconds = whole(value, path)
    if not 0 <= whole_seconds <= MAX_SECONDS:
        raise Reject(
            path, f"is {whole_seconds} seconds", "Write a number of seconds that is not below zero."
        )
    return whole_seconds


def _check_request_timeout(given: dict[str, Any], path: str) -> None:
    value = given.get("create_request_timeout")
    if value is None:
        return
    if isinstance(value, str):
        value = value.strip().removesuffix("s")
    given["create_request_timeout"] = decimal(value, path)
    if given["create_request_timeout"] <= 0:
        raise Reject(
            path, f"is {given['create_request_timeout']}", "Write a number of seconds above zero."
        )
