"""Read the configuration file of a `wandb launch-agent`: meanings of keys, and problems."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deploy.operate.agent_keys import FIXES, KEYS, KNOWN
from shared.config import unknown
from shared.config.launch_config import (
    AGENTS_BUILDERS,
    CONFIG_FILE,
    LaunchConfig,
    MisspeltKeys,
    builder_problem,
    read_launch_config,
)
from shared.config.settings import KINDS, variables
from shared.config.yaml_file import read_yaml
from shared.core.errors import SettingsError
from shared.core.redaction import is_secret, redacted

UNKNOWN, UNSET, WRONG = "unknown", "not set", "wrong"
NOT_SHOWN = "[not shown]"
_KEY_SHAPE = re.compile(r"\b[0-9A-Za-z_]{40,}\b")  # W&B's keys, old and new, and many others
_USERINFO = re.compile(r"(?<=//)[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class Line:
    """The meaning of one key of the file."""

    key: str
    value: str
    effect: str
    meaning: str
    setting: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A value that prevents the migration of the file."""

    key: str
    value: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.key} = {self.value}: {self.problem}. {self.fix}"


@dataclass(frozen=True, slots=True)
class AgentFile:
    """A file as it is written, as the functions read it, and its problems.

    `config` omits the wrong values, so that one run reports everything.
    """

    written: Mapping[str, Any]
    config: LaunchConfig
    problems: tuple[Problem, ...]


def read(path: Path) -> AgentFile:
    """Read an agent's file.

    Raises:
        SettingsError: it is not YAML, or has no keys.
    """
    errors: list[Any] = []
    try:
        read_launch_config(path)
    except MisspeltKeys:
        pass  # _misspelt finds them again, beside the other problems
    except SettingsError as exc:
        mark = getattr(exc.__cause__, "problem_mark", None)
        if mark:
            raise SettingsError(f"{exc}, line {mark.line + 1}") from exc
        if not isinstance(exc.__cause__, ValidationError):
            raise
        errors = exc.__cause__.errors(include_url=False)
    written = read_yaml(path) or {}
    if not isinstance(written, Mapping):
        raise SettingsError(f"{path} has no keys: write entity: TEAM and queues: [NAME]")
    wrong = frozenset(tuple(str(step) for step in error["loc"]) for error in errors)
    whole = frozenset(
        loc[:1] for loc in wrong if loc[0] == "ladder"
    )  # a place needs all its fields
    config = LaunchConfig.model_validate(_without(written, wrong | whole))
    problems = [_problem(error["loc"], str(error["msg"]), written) for error in errors]
    problems += _misspelt(written)
    return AgentFile(
        written, config, (*problems, *_no_queue(written, config, wrong), *_no_build(config))
    )


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
            effect = "refused" if key in wrong else "ignored"
            meaning = f"It is {effect}.{_did_you_mean(key)}"
            yield Line(_shown("", key), NOT_SHOWN, UNKNOWN, meaning, "")


def _misspelt(written: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for each key that almost matches a known one."""
    for key, like in unknown.keys(written, LaunchConfig).items():
        if like:
            yield Problem(_shown("", key), NOT_SHOWN, "it is not known", f"Write {like}.")


def _no_queue(
    written: Mapping[str, Any], config: LaunchConfig, wrong: frozenset[tuple[str, ...]]
) -> Iterator[Problem]:
    """Yield a problem if `queue` names a queue that `queues` lacks, or if there is no queue."""
    single = written.get("queue")
    if single and single not in config.queues:
        names = _shown("queues", [*config.queues, single])
        yield Problem(
            "queue", _shown("queue", single), "it would not be served", f"Write queues: [{names}]."
        )
    elif not all((*config.queues, config.queues)) and not any(loc[0] == "queues" for loc in wrong):
        yield Problem(
            "queues",
            _shown("queues", written.get("queues")),
            "there is no queue to serve",
            FIXES["queues"],
        )


def _no_build(config: LaunchConfig) -> Iterator[Problem]:
    """Yield a problem if the builder cannot build images."""
    kind, destination = config.builder.type, config.builder.destination or config.registry.uri
    problem = builder_problem(kind, destination)
    if kind in AGENTS_BUILDERS and not destination:
        problem = "has no destination, so jobs' code would run in a base image without a build"
    if problem:
        yield Problem("builder.type", _shown("", kind), _shown("", problem), FIXES["builder"])


def _inside(value: object) -> dict[str, Any]:
    """Return the entries of a section or a list, by their names in a validation error."""
    if isinstance(value, Mapping):
        return {str(name): entry for name, entry in value.items()}
    if isinstance(value, list):
        return {str(index): entry for index, entry in enumerate(value)}
    return {}


def _without(value: Any, wrong: frozenset[tuple[str, ...]], at: tuple[str, ...] = ()) -> Any:
    """Return a section or list without its wrong entries; drop lists that become empty."""
    if not any(loc[: len(at)] == at for loc in wrong):
        return value
    kept = {}
    for name, entry in _inside(value).items():
        if (*at, name) in wrong:
            continue
        rest = _without(entry, wrong, (*at, name))
        if rest == [] and entry:
            continue
        kept[name] = rest
    return list(kept.values()) if isinstance(value, list) else kept


def _flat(found: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each key with its value; the keys of known sections follow a dot."""
    for name, value in found.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value and any(one.startswith(f"{key}.") for one in KEYS):
            yield from _flat(value, f"{key}.")
        else:
            yield key, value


def _variable(key: str) -> str:
    """Return the environment variable that overrides a key of the file."""
    all_names = (names for kind in KINDS for names in variables(kind).values())
    return next((names[0] for names in all_names if f"{CONFIG_FILE}:{key}" in names[1:]), "")


def _did_you_mean(key: str) -> str:
    """Return a question if a key is unknown, but similar to a known key of its section."""
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
        _shown("", key),
        shown,
        _shown("", message.removeprefix("Value error, ")),
        fix + _did_you_mean(known),
    )


def _shown(key: str, value: object) -> str:
    """Return the printable form of a value, without possible secrets."""
    if is_secret(key) and value:
        return NOT_SHOWN
    if isinstance(value, list):
        entries = ("[…]" if isinstance(one, list) else _shown(key, one) for one in value)
        return ", ".join(entries) or "nothing"
    if isinstance(value, Mapping):
        return "{…}" if value else "nothing"
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    shown = _USERINFO.sub(f"{NOT_SHOWN}@", str(value))
    return _KEY_SHAPE.sub(NOT_SHOWN, redacted(shown))[:120]
