"""Read the configuration file of a `wandb launch-agent`: meanings of keys, and problems."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from deploy.operate.agent_keys import AS_IS, CHANGES, FIXES, KEYS, KNOWN, MOVED, NOTHING
from deploy.operate.agent_shown import NOT_SHOWN, hidden, hides, printable
from deploy.operate.agent_sources import Source
from deploy.operate.agent_surroundings import beside
from deploy.operate.new_config import new_config, with_variables
from shared.config import unknown
from shared.config.building import AGENTS_BUILDERS
from shared.config.launch_config import CONFIG_FILE, LaunchConfig
from shared.config.settings import KINDS, variables
from shared.config.settings.base import region

UNKNOWN, UNSET, WRONG = "unknown", "not set", "your decision"
_PLACES = ("environment.region", "environment.project")
# settings whose values are no secrets
_PUBLIC = (
    "WANDB_BASE_URL",
    "WANDB_LAUNCH_START_TIMEOUT",
    "LAUNCH_ENTITY",
    "LAUNCH_MAX_JOBS",
    "GOOGLE_CLOUD_PROJECT",
    "VERTEX_LOCATION",
)


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
    """An agent's configuration, as the functions read it, and what it becomes.

    `config` and `new` omit the wrong values, so that one run reports everything.
    """

    source: Source
    config: LaunchConfig
    new: Mapping[str, Any]
    problems: tuple[Problem, ...]


def read(source: Source) -> AgentFile:
    """Read an agent's configuration."""
    written = source.config
    errors: list[Any] = []
    try:
        LaunchConfig.model_validate(written)
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
    wrong = frozenset(tuple(str(step) for step in error["loc"]) for error in errors)
    whole = frozenset(
        loc[:1] for loc in wrong if loc[0] == "ladder"
    )  # a place needs all its fields
    kept = with_variables(_with_queue(_without(written, wrong | whole)), source.around)
    config = LaunchConfig.model_validate(kept)
    problems = [
        _problem(error["loc"], unknown.message(error, LaunchConfig), written) for error in errors
    ]
    problems += _misspelt(written)
    problems += _no_queue(config, wrong, written)
    problems += _unusable(config)
    new = new_config(kept, config)
    return AgentFile(
        source, config, new, (*problems, *_secrets(kept, {problem.key for problem in problems}))
    )


def _with_queue(kept: dict[str, Any]) -> dict[str, Any]:
    """Add the single `queue` to the list, as the agent does."""
    single, queues = kept.get("queue"), kept.get("queues") or []
    if not isinstance(single, str) or not single:
        return kept
    queues = [queues] if isinstance(queues, str) else queues
    return {**kept, "queues": [*queues, *({single} - set(queues))]}


def lines(file: AgentFile) -> Iterator[Line]:
    """Yield a line for each key of a file."""
    wrong = {problem.key for problem in file.problems}
    for key, value in _flat(file.source.config):
        known = next((k for k in KNOWN if key in k.keys and k.value in (None, value)), None)
        if known:
            effect, meaning = known.effect, known.meaning
            if any(f"{one}.".startswith(f"{key}.") for one in wrong):
                effect = WRONG
            elif key in _PLACES and file.config.environment.problem:
                effect, meaning = NOTHING, "It is of another cloud."
            elif value is None:
                effect, meaning = UNSET, f"As if it were left out. {meaning}"
            yield Line(key, printable(key, value), effect, meaning, known.setting or _variable(key))
        else:
            effect = "refused" if key in wrong else "ignored"
            meaning = f"It is {effect}.{_did_you_mean(key)}"
            yield Line(printable("", key), NOT_SHOWN, UNKNOWN, meaning, "")
    for one in file.source.around:
        found = beside(one.kind, one.key)
        shown = printable(one.key, one.value) if found.setting in _PUBLIC else NOT_SHOWN
        effect = UNSET if one.value in (None, "", [], {}) else found.effect
        yield Line(printable("", one.key), shown, effect, found.meaning, found.setting)


def _misspelt(written: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for each key that almost matches a known one."""
    for key, like in unknown.keys(written, LaunchConfig).items():
        if like:
            yield Problem(printable("", key), NOT_SHOWN, "it is not known", f"Write {like}.")


def _no_queue(
    config: LaunchConfig, wrong: frozenset[tuple[str, ...]], written: Mapping[str, Any]
) -> Iterator[Problem]:
    """Yield a problem if there is no queue, or one without a name."""
    if not all((*config.queues, config.queues)) and not any(loc[0] == "queues" for loc in wrong):
        shown = printable("queues", written.get("queues"))
        yield Problem("queues", shown, "there is no queue to serve", FIXES["queues"])


def _unusable(config: LaunchConfig) -> Iterator[Problem]:
    """Yield a problem for an environment or a builder that the functions cannot use."""
    if problem := config.environment.problem:
        key = "environment.type"
        shown = printable("", config.environment.type)
        yield Problem(key, shown, printable("", problem.partition(". ")[0]), FIXES[key])
    try:
        region(config.environment.region)
    except ValueError as exc:
        problem, _, fix = str(exc).partition(". ")
        shown = printable("", config.environment.region)
        yield Problem("environment.region", shown, printable("", problem), fix)
    builder, building = config.builder, config.building()
    problem = building.problem
    if builder.type in AGENTS_BUILDERS and not (building.destination or problem):
        problem = "has no destination, so jobs' code would run in a base image without a build"
    if problem:
        yield Problem(
            "builder.type", printable("", builder.type), hidden(problem), FIXES["builder"]
        )


def _secrets(kept: Mapping[str, Any], wrong: Collection[str]) -> Iterator[Problem]:
    """Yield a problem for each value that looks like a secret: the new file has none."""
    for key, value in _flat(kept):
        known = [k for k in KNOWN if key in k.keys and k.effect in (AS_IS, CHANGES, MOVED)]
        values = value if isinstance(value, list) else [value]
        if known and key not in wrong and any(hides("", one) for one in values):
            problem = "it looks like a secret, so the new file does not have it"
            yield Problem(key, NOT_SHOWN, problem, "Write the value itself, without a login.")


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
    shown = printable(key, value) if known in KEYS else NOT_SHOWN
    return Problem(
        printable("", key),
        shown,
        printable("", message),
        fix + _did_you_mean(known),
    )
