"""What the configuration file of a `wandb launch-agent` means here, key by key, and what keeps it from moving over.

The keys are those that the agent of the installed `wandb` package reads, and its builders, registries and environments.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from shared.core.errors import SettingsError
from shared.launch_config import CONFIG_FILE, LaunchConfig, Policy, read_launch_config
from shared.settings import PollSettings, Settings, StatusSettings, SubmitSettings, variables

KINDS: tuple[type[Settings], ...] = (PollSettings, SubmitSettings, StatusSettings)
AS_IS, CHANGES, NOTHING, UNKNOWN, UNSET, WRONG = "as is", "changes", "no meaning here", "unknown", "not set", "wrong"
NOT_SHOWN = "[not shown]"
_SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_OURS = "Not for an agent's own file: with it no agent starts."
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
    Known(("queue",), CHANGES, "Only the list under queues is read."),
    Known(("max_jobs",), AS_IS, "Launches open at the same time, over all queues; -1: no limit."),
    Known(("max_schedulers",), AS_IS, "Schedulers of sweeps open at the same time, beside max_jobs; -1: no limit."),
    Known(("secure_mode",), AS_IS, "True refuses entry point overrides."),
    Known(("stopped_run_timeout",), AS_IS, "Seconds from stop in W&B to cancel."),
    Known(("verbosity",), CHANGES, "The functions log to Cloud Logging; DEBUG says more than INFO.", "LOG_LEVEL"),
    Known(("project",), NOTHING, "The agent does not use it either: queues belong to an entity."),
    Known(("environment", "environment.type"), AS_IS, "Vertex queues are served from gcp alone."),
    Known(("environment.region",), AS_IS, "Where jobs run, unless their queue names another region."),
    Known(("environment.project",), CHANGES, "Where jobs run, likewise; the agent took its credentials' project."),
    Known(("registry", "registry.credentials"), NOTHING, "Nothing is built, so nothing is pushed."),
    Known(
        _below("registry", "type", "uri", "repository", "image-name", "region", "project", "account_id"),
        NOTHING,
        "Nothing is built, so nothing is pushed: an item names its image, and Vertex AI pulls it.",
    ),
    Known(("builder.type",), AS_IS, "Nothing is built: images run as they are.", value="noop"),
    Known(("builder", "builder.type"), CHANGES, "Nothing is built: a job's code runs in a base image, or is refused."),
    Known(("builder.base_image",), AS_IS, "What a job's code runs in, where neither the job nor its queue says."),
    Known(
        (
            *_below("builder", "destination", "platform", "credentials", "build-context-store", "build-job-name"),
            *_below("builder", "secret-name", "secret-key", "kaniko-image", "kaniko-config"),
        ),
        NOTHING,
        "Nothing is built.",
    ),
    Known(("runner",), NOTHING, "Older agents read it, for Kubernetes and SageMaker alone."),
    Known(("scheduler", "scheduler.image"), AS_IS, "What a sweep's scheduler runs in. " + _OURS),
    Known(("scheduler.machine_type",), AS_IS, "What a sweep's scheduler runs on. " + _OURS),
    Known(("key_secret",), AS_IS, "Jobs read W&B's key from this secret; it is in no CustomJob. " + _OURS),
    Known(("policy", *_below("policy", *Policy.model_fields)), AS_IS, "What a launch may ask for. " + _OURS),
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
    "policy": "Write policy: {service_accounts: [NAME@PROJECT.iam.gserviceaccount.com]}.",
    "policy.images": "Write what images may begin with, the registry first: images: [REGION-docker.pkg.dev/PROJECT].",
    "policy.machine_types": "Write machine_types: [n1-standard-4], or leave it out for no limit.",
    "policy.accelerator_types": "Write accelerator_types: [NVIDIA_L4], [] for none, or leave it out for no limit.",
    "policy.max_replicas": "Write a whole number from 1 on, or leave it out for no limit.",
    "policy.projects": "Write projects: [PROJECT], or leave it out for no limit.",
    "policy.regions": "Write regions: [REGION], or leave it out for no limit.",
}


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
        return f"{self.key} = {self.value}: {self.problem}. {self.fix}"


@dataclass(frozen=True, slots=True)
class AgentFile:
    """A file as it is written, what it tells the functions, and what keeps it from moving over.

    `config` is without the wrong values, so that all the rest can be told at once.
    """

    written: Mapping[str, Any]
    config: LaunchConfig
    problems: tuple[Problem, ...]


def read(path: Path) -> AgentFile:
    """Read an agent's file.

    Raises:
        SettingsError: where it is no YAML, or has no keys.
    """
    errors: list[Any] = []
    try:
        read_launch_config(path)
    except SettingsError as exc:
        mark = getattr(exc.__cause__, "problem_mark", None)
        if mark:
            raise SettingsError(f"{exc}, line {mark.line + 1}") from exc
        if not isinstance(exc.__cause__, ValidationError):
            raise
        errors = exc.__cause__.errors(include_url=False)
    written = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not isinstance(written, Mapping):
        raise SettingsError(f"{path} has no keys: write entity: TEAM, queues: [NAME]")
    wrong = frozenset(tuple(str(step) for step in error["loc"]) for error in errors)
    config = LaunchConfig.model_validate(_without(written, wrong))
    problems = [_problem(error["loc"], str(error["msg"]), written) for error in errors]
    return AgentFile(written, config, (*problems, *_no_queue(written, config, wrong)))


def lines(file: AgentFile) -> Iterator[Line]:
    """Yield a line for each key of a file."""
    wrong = {problem.key for problem in file.problems}
    for key, value in _flat(file.written):
        known = next((k for k in KNOWN if key in k.keys and k.value in (None, value)), None)
        if known:
            effect, meaning = known.effect, known.meaning
            if any(f"{one}.".startswith(f"{key}.") for one in wrong):
                effect = WRONG
            elif value is None:
                effect, meaning = UNSET, f"As if it were left out. {meaning}"
            yield Line(key, _shown(key, value), effect, meaning, known.setting or _variable(key))
        else:
            meaning = f"It is {'refused' if key in wrong else 'ignored'}.{_did_you_mean(key)}"
            yield Line(_shown("", key), NOT_SHOWN, UNKNOWN, meaning, "")


def _no_queue(written: Mapping[str, Any], config: LaunchConfig, wrong: frozenset[tuple[str, ...]]) -> Iterator[Problem]:
    """Yield a problem where a queue would not be served: one that only `queue` names, and where there is none."""
    single = written.get("queue")
    if single and single not in config.queues:
        names = _shown("queues", [*config.queues, single])
        yield Problem("queue", _shown("queue", single), "it would not be served", f"Write queues: [{names}].")
    elif not all((*config.queues, config.queues)) and not any(loc[0] == "queues" for loc in wrong):
        yield Problem("queues", _shown("queues", written.get("queues")), "there is no queue to serve", FIXES["queues"])


def _inside(value: object) -> dict[str, Any]:
    """Return what stands in a section or a list, under the names by which a validation error has it."""
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    return {str(name): one for name, one in pairs}


def _without(value: Any, wrong: frozenset[tuple[str, ...]], at: tuple[str, ...] = ()) -> Any:
    """Return a copy of a section or a list without the places that are wrong, and without a list of nothing else."""
    if not any(loc[: len(at)] == at for loc in wrong):
        return value
    kept = {name: _without(one, wrong, (*at, name)) for name, one in _inside(value).items() if (*at, name) not in wrong}
    kept = {name: one for name, one in kept.items() if one != [] or not _inside(value)[name]}
    return list(kept.values()) if isinstance(value, list) else kept


def _flat(found: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each key, those of a section that we know after a dot."""
    for name, value in found.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value and any(one.startswith(f"{key}.") for one in KEYS):
            yield from _flat(value, f"{key}.")
        else:
            yield key, value


def _variable(key: str) -> str:
    """Return the environment variable that stands over a key of the file."""
    all_names = (names for kind in KINDS for names in variables(kind).values())
    return next((names[0] for names in all_names if names[-1] == f"{CONFIG_FILE}:{key}"), "")


def _did_you_mean(key: str) -> str:
    """Return a question where a key is none of ours, but near one of its section."""
    section, dot, name = key.rpartition(".")
    names = [one.rpartition(".")[2] for one in KEYS if one.rpartition(".")[0] == section]
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.7)
    return f" Did you mean {section}{dot}{near[0]}?" if near and key not in KEYS else ""


def _problem(loc: tuple[int | str, ...], message: str, written: object) -> Problem:
    key = ".".join(str(step) for step in loc)
    value: Any = written
    for step in loc:
        value = _inside(value).get(str(step))
    known = ".".join(step for step in loc if isinstance(step, str))
    fix = FIXES.get(known) or FIXES[known.partition(".")[0]]
    shown = _shown(key, value) if known in KEYS else NOT_SHOWN
    return Problem(
        _shown("", key), shown, _shown("", message.removeprefix("Value error, ")), fix + _did_you_mean(known)
    )


def _shown(key: str, value: object) -> str:
    """Return a value for a person, without anything that might be a secret."""
    if _SECRET.search(key) and value:
        return NOT_SHOWN
    if isinstance(value, list):
        return ", ".join("[…]" if isinstance(one, list) else _shown(key, one) for one in value) or "nothing"
    if isinstance(value, Mapping):
        return "{…}" if value else "nothing"
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    return _KEY_SHAPE.sub(NOT_SHOWN, _USERINFO.sub(f"{NOT_SHOWN}@", str(value)))[:120]
