"""What the configuration file of a `wandb launch-agent` means here: key by key, and what is missing.

The keys are those that the agent of the installed `wandb` package reads, and its builders, registries and environments.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deploy.deployment import Deployment
from shared.core.errors import SettingsError
from shared.settings import (
    CONFIG_FILE,
    LaunchConfig,
    PollSettings,
    Settings,
    StatusSettings,
    SubmitSettings,
    read_launch_config,
    variables,
)

KINDS: tuple[type[Settings], ...] = (PollSettings, SubmitSettings, StatusSettings)
AS_IS, CHANGES, NOTHING, UNKNOWN = "as is", "changes", "no meaning here", "unknown"
NOT_SHOWN = "[not shown]"
_SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_KEY_SHAPE = re.compile(r"\b[0-9A-Za-z_]{40,}\b")  # W&B's keys, old and new, and many others
_USERINFO = re.compile(r"(?<=//)[^/@\s]*@")


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
    Known(("queue",), CHANGES, "Not read here: list its name under queues."),
    Known(("max_jobs",), AS_IS, "Launches open at the same time, over all queues; -1: no limit."),
    Known(("max_schedulers",), NOTHING, "No sweep scheduler runs here: an item of one is refused, and says so."),
    Known(("secure_mode",), AS_IS, "True refuses entry point overrides; Kubernetes' pods are none of ours."),
    Known(("stopped_run_timeout",), AS_IS, "Seconds from stop in W&B to cancel."),
    Known(("verbosity",), CHANGES, "The functions log to Cloud Logging; DEBUG says more than INFO.", "LOG_LEVEL"),
    Known(("project",), NOTHING, "The agent does not use it either: queues belong to an entity."),
    Known(("environment", "environment.type"), AS_IS, "Vertex queues are served from gcp alone."),
    Known(("environment.region",), AS_IS, "Where jobs run, unless their queue names another region."),
    Known(
        ("environment.project",),
        CHANGES,
        "Where jobs run, unless their queue names another project; the agent took its credentials' project instead.",
    ),
    Known(
        (
            "registry",
            *_below("registry", "type", "uri", "repository", "image-name", "region", "project", "credentials"),
        ),
        NOTHING,
        "Nothing is built, so nothing is pushed: an item names its image, and Vertex AI pulls it.",
    ),
    Known(("builder.type",), AS_IS, "Nothing is built: images run as they are.", value="noop"),
    Known(
        ("builder", "builder.type"),
        CHANGES,
        "Nothing is built: an item that names no docker image is refused, and says so.",
    ),
    Known(
        (
            *_below("builder", "destination", "platform", "credentials", "build-context-store", "build-job-name"),
            *_below("builder", "secret-name", "secret-key", "kaniko-image", "kaniko-config"),
        ),
        NOTHING,
        "Nothing is built.",
    ),
    Known(("runner",), NOTHING, "The agent reads it for Kubernetes and SageMaker alone."),
    Known(("policy", "policy.service_accounts"), AS_IS, "Not the agent's: the accounts that jobs may run as."),
)
FIXES = {
    "": "Write keys and values: entity: TEAM, queues: [NAME].",
    "entity": "Write the W&B entity that owns the queues: entity: TEAM.",
    "queues": "Write a list of names: queues: [NAME].",
    "max_jobs": "Write a whole number, or -1 for no limit.",
    "secure_mode": "Write true or false.",
    "stopped_run_timeout": "Write a number of seconds.",
    "environment": "Write environment: {type: gcp, region: REGION, project: PROJECT}.",
    "environment.type": "Write type: gcp. Queues that are not for Vertex AI stay with their agent.",
    "policy": "Write policy: {service_accounts: [NAME@PROJECT.iam.gserviceaccount.com]}.",
}
WHERE = {
    "WANDB_API_KEY": "bootstrap asks for it, and keeps it in Secret Manager",
    "GOOGLE_CLOUD_PROJECT": "environment.project in this file, and --project of the commands below",
    "VERTEX_LOCATION": "environment.region in this file, or --region of the commands below",
    "LEDGER_BUCKET": "bootstrap makes it, the build tells the functions: gs://{ledger}",
    "LAUNCH_ENTITY": "entity in this file; the agent took the key's owner",
    "LAUNCH_QUEUES": "queues in this file",
}
RUN_AS = "policy.service_accounts"


@dataclass(frozen=True, slots=True)
class Line:
    """What one key of the file means here."""

    key: str
    value: str
    effect: str
    meaning: str
    setting: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps the file from moving over."""

    key: str
    value: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.key or 'the file'} = {self.value}: {self.problem}. {self.fix}"


def lines(found: Mapping[str, Any]) -> Iterator[Line]:
    """Yield a line for each key of a file."""
    for key, value in _flat(found):
        known = next((k for k in KNOWN if key in k.keys and k.value in (None, value)), None)
        if known:
            yield Line(key, _shown(key, value), known.effect, known.meaning, known.setting or _variable(key))
        else:
            yield Line(key[:80], NOT_SHOWN, UNKNOWN, f"It is ignored.{_did_you_mean(key)}", "")


def problems(path: Path, found: object) -> list[Problem]:
    """Return what keeps a file from moving over: wrong values, and no queue to serve."""
    try:
        config = read_launch_config(path)
    except SettingsError as exc:
        if not isinstance(exc.__cause__, ValidationError):
            raise
        return [_problem(error["loc"], str(error["msg"]), found) for error in exc.__cause__.errors(include_url=False)]
    if config.queues and all(config.queues):
        return []
    single = found.get("queue") if isinstance(found, Mapping) else None
    fix = f"Write queues: [{_shown('queue', single)}] in place of queue." if single else FIXES["queues"]
    return [Problem("queues", "nothing", "there is no queue to serve", fix)]


def missing(config: LaunchConfig) -> dict[str, str]:
    """Return what the functions require and this file does not give, with where to set it."""
    given = config.model_dump(exclude={"environment"}) | {
        f"environment.{key}": value for key, value in config.environment.model_dump().items()
    }
    told = Deployment(config.environment.project or "PROJECT", config.environment.region or "REGION")
    needed: dict[str, str] = {}
    for kind in KINDS:
        for name, names in variables(kind).items():
            in_file = names[-1].partition(":")[2]
            if kind.model_fields[name].is_required() and not given.get(in_file):
                needed[names[0]] = WHERE[names[0]].format(ledger=told.ledger_bucket)
    if not config.policy.service_accounts:
        needed[RUN_AS] = f"{RUN_AS} in this file: each account that a queue names under run.service_account"
    return needed


def _flat(found: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each key, those of a section that we know after a dot."""
    for name, value in found.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value and any(one.startswith(f"{key}.") for k in KNOWN for one in k.keys):
            yield from _flat(value, f"{key}.")
        else:
            yield key, value


def _variable(key: str) -> str:
    """Return the environment variable that stands over a key of the file."""
    for kind in KINDS:
        for names in variables(kind).values():
            if names[-1] == f"{CONFIG_FILE}:{key}":
                return names[0]
    return ""


def _did_you_mean(key: str) -> str:
    near = difflib.get_close_matches(key.replace("-", "_"), [one for k in KNOWN for one in k.keys], n=1, cutoff=0.7)
    return f" Did you mean {near[0]}?" if near else ""


def _problem(loc: tuple[int | str, ...], message: str, found: object) -> Problem:
    key = ".".join(str(step) for step in loc)
    value: Any = found
    for step in loc:
        within = isinstance(value, Mapping) or (isinstance(value, list) and isinstance(step, int))
        value = value[step] if within else value
    known = ".".join(str(step) for step in loc if isinstance(step, str))
    fix = FIXES.get(known) or FIXES[known.partition(".")[0]]
    return Problem(key[:80], _shown(key, value), message.removeprefix("Value error, "), fix + _did_you_mean(known))


def _shown(key: str, value: object) -> str:
    """Return a value for a person, without anything that might be a secret."""
    if _SECRET.search(key) and value:
        return NOT_SHOWN
    if isinstance(value, list):
        return ", ".join(_shown(key, one) for one in value) or "nothing"
    if isinstance(value, Mapping):
        return "{…}" if value else "nothing"
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    return _KEY_SHAPE.sub(NOT_SHOWN, _USERINFO.sub(f"{NOT_SHOWN}@", str(value)))[:120]
