"""Find names in a launch-config and in the environment that no setting has.

A name that almost matches a setting's is a mistake that would otherwise mean "no policy", so it
stops the function. Any other unknown name is reported once: it may belong to a newer version.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel

from shared.core.spelling import nearest

log = logging.getLogger(__name__)

EDITS = 2  # letters that a misspelt name has too much, too little, wrong or exchanged
SHORT = 4  # letters of a name in which one edit is enough
PREFIXES = ("LAUNCH_", "POLL_", "SUBMIT_", "STATUS_")  # of our own variables
# Keys that W&B's agent reads or has read, and that mean nothing here.
OF_THE_AGENT = frozenset(
    {
        "base_url",
        "builder.build-job-name",
        "builder.credentials",
        "builder.kaniko-config",
        "builder.kaniko-image",
        "builder.platform",
        "builder.secret-key",
        "builder.secret-name",
        "builder.uri",
        "metadata",
        "project",
        "queue",
        "registry.account_id",
        "registry.credentials",
        "registry.image_name",  # on some of W&B's pages; read as image-name
        "runner",
        "verbosity",
    }
)


def near(name: str, known: Iterable[str]) -> str:
    """Return the known name that a misspelt name means; empty if it is near to none."""
    most = 1 if len(name) <= SHORT else EDITS
    found = [(_edits(name.lower(), each.lower(), most), each) for each in known]
    distance, nearest = min(found, default=(EDITS + 1, ""))
    return nearest if distance <= most else ""


def keys(written: Mapping[str, Any], model: type[BaseModel]) -> dict[str, str]:
    """Return a launch-config's unknown keys, with the near key of each (`policy`) or empty."""
    known, found = dict(sections(model)), {}
    for section, name in _written(written, known):
        prefix = f"{section}." if section else ""
        if name not in known[section] and f"{prefix}{name}" not in OF_THE_AGENT:
            like = near(name, known[section])
            found[f"{prefix}{name}"] = like and f"{prefix}{like}"
    return found


def variables(environment: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return the environment's unknown variables, with the near name of each or empty."""
    names = frozenset(known)
    others = [name for name in environment if name.upper() not in names]
    found = {name: near(name, names) for name in others}
    return {name: like for name, like in found.items() if like or name.startswith(PREFIXES)}


def message(error: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Return pydantic's message about a model; of a key that it forbids, the known one."""
    if error["type"] == "string_type":  # YAML reads 123 as a number, and no as false
        return f"{error['msg']}; put a number, a date, yes or no in quotes"
    if error["type"] != "extra_forbidden":
        return str(error["msg"]).removeprefix("Value error, ")
    *places, name = error["loc"]
    models = [model]
    for place in places:
        if isinstance(place, str):
            models = [inner for each in models for inner in _models(each, place)]
    known = sorted({key for each in models for key in each.model_fields})
    like = nearest(str(name), known)
    return f"is not known; write {like}" if like else f"is not known; known: {', '.join(known)}"


def _models(model: type[BaseModel], place: str) -> Iterator[type[BaseModel]]:
    """Yield the models in a field, which is named as in an error; of a union, each."""
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        names = [alias] if isinstance(alias, str) else list(getattr(alias, "choices", ()))
        if place in (name, *names):
            yield from _models_of(field.annotation)


def _models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_of(inner)


@lru_cache
def report(place: str, names: frozenset[str]) -> None:
    """Log unknown names, once in a process."""
    log.warning("settings.unknown", extra={"fields": {"place": place, "names": sorted(names)}})


@lru_cache
def report_unusable(problem: str) -> None:
    """Log a part of the settings that the functions start without, once in a process."""
    log.warning("settings.unusable", extra={"fields": {"problem": problem}})


def sections(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each section (empty: the top level) with the names of its keys.

    A section that forbids unknown keys refuses them itself.
    """
    aliases = {name: field.alias or name for name, field in model.model_fields.items()}
    yield prefix, frozenset(aliases.values())
    for name, field in model.model_fields.items():
        kind = field.annotation
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            continue
        if kind.model_config.get("extra") != "forbid":
            yield from sections(kind, aliases[name])


def _written(written: Mapping[str, Any], known: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield each key with its section, within the known sections."""
    for name, value in written.items():
        yield "", str(name)
        if name in known and isinstance(value, Mapping):
            yield from ((str(name), str(inner)) for inner in value)


def _edits(one: str, other: str, most: int) -> int:
    """Return the edits between two names, at most `most` + 1; two exchanged letters are one."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, another in enumerate(other, 1):
            cost = before[j - 1] + (letter != another)
            row.append(min(cost, before[j] + 1, row[j - 1] + 1))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == another:
                row[j] = min(row[j], older[j - 2] + 1)
        if min(row) > most < min(before):  # no later row is nearer
            return most + 1
    return min(row[-1], most + 1)
