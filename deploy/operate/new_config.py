"""Write the launch-config that an agent's file becomes, and compare the two."""

import difflib
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from deploy.operate.agent_keys import KEYS
from deploy.operate.agent_shown import NOT_SHOWN, hidden, hides
from deploy.operate.agent_sources import Around
from deploy.operate.agent_surroundings import beside
from shared.config.building import BUILDERS
from shared.config.launch_config import CONFIG_FILE, GCP, LaunchConfig
from shared.config.section import Section

_DEEPEST = 8  # levels of a file that a comparison shows; YAML can nest a value in itself
_NAMES = ("key_secret",)  # whose value is the name of a secret
_OURS = ("policy.", "requests.", "ladder.", "builder.git_credentials")  # no key of the agent
_LIMITS = ("policy", "requests", "ladder")
_READ = ("entity", "queues", "builder", "registry", "environment")  # as the model reads it


def new_config(written: Mapping[str, Any], config: LaunchConfig) -> dict[str, Any]:
    """Return the new file's content: what the functions read, in the order of the old file.

    `written` holds valid values only, and `config` is its model.
    """
    new: dict[str, Any] = {}
    for name in dict.fromkeys((*written, *LaunchConfig.model_fields)):
        if name not in LaunchConfig.model_fields:
            continue
        value = _section(name, config) if name in _READ else written.get(name)
        if name in _LIMITS:  # an empty list there allows nothing, and each value has a known form
            kept = value
        else:
            kept = _without_secrets(value) if not hides("", value) else None
        if kept not in (None, "", [], {}):
            new[name] = kept
    return new


def with_variables(written: Mapping[str, Any], around: tuple[Around, ...]) -> dict[str, Any]:
    """Return a file with the variables that win over it, or fill a gap in it."""
    new = dict(written)
    for one in around:
        becomes = beside(one.kind, one.key).becomes
        value = str(one.value).strip() if isinstance(one.value, str | int) else ""
        section, dot, name = becomes.rpartition(".")
        if not (becomes and value):
            continue
        if dot:
            there = new.get(section) or {}
            is_open = isinstance(there, dict) and there.get("type") in (None, GCP)
            if is_open and not there.get(name):
                new[section] = {**there, name: value}
        elif becomes != "max_jobs":
            new[name] = value
        elif value.removeprefix("-").isdecimal():
            new[name] = int(value)
    return new


def text_of(new: Mapping[str, Any], place: str) -> str:
    """Return the new file as text, which the functions' own model has read."""
    body = _yaml(new)
    LaunchConfig.model_validate(yaml.safe_load(body) or {})
    return f"# Made by `vertex-launch migrate` from {hidden(place)}.\n{body}"


def difference(written: Mapping[str, Any], new: Mapping[str, Any], place: str, to: str) -> str:
    """Return a unified diff of the old and the new file, both in one layout, without secrets."""
    before = {hidden(str(key)): _printable(value, str(key)) for key, value in written.items()}
    old, now = (_yaml(content).splitlines() for content in (before, new))
    return "\n".join(difflib.unified_diff(old, now, hidden(place), to or CONFIG_FILE, lineterm=""))


def _yaml(content: Mapping[str, Any]) -> str:
    if not content:
        return ""
    return yaml.dump(content, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=10_000)


class _Plain(yaml.SafeDumper):
    """Writes a value out each time: an alias would count towards the file's limit."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML passes the value
        return True


def _section(name: str, config: LaunchConfig) -> Any:
    """Return a section as the functions understand it."""
    if name == "entity":
        return config.entity
    if name == "queues":
        return list(config.queues)
    if name == "environment":
        return None if config.environment.problem else _dumped(config.environment)
    builder, building = config.builder, config.building()
    is_moved = not building.problem and not builder.destination and building.destination
    if name == "registry":  # one that the functions cannot use stays where its problem names it
        unread = builder.type in BUILDERS and building.problem and not builder.destination
        return _dumped(config.registry) if unread else None
    section = _dumped(builder)
    if is_moved:
        section = {"type": builder.type, "destination": building.destination, **section}
    if builder.git_credentials:
        section["git_credentials"] = {
            one.host: one.secret.removesuffix("/versions/latest") for one in builder.git_credentials
        }
    return section


def _dumped(section: Section) -> dict[str, Any]:
    dumped: dict[str, Any] = BaseModel.model_dump(section, by_alias=True, exclude_unset=True)
    return {key: value for key, value in dumped.items() if isinstance(value, str) and value}


def _without_secrets(value: Any) -> Any:
    """Return a value without texts that look like a secret: the file goes into a build's source."""
    if isinstance(value, dict):
        return {key: _without_secrets(one) for key, one in value.items() if not hides("", one)}
    if isinstance(value, list):
        return [_without_secrets(one) for one in value if not hides("", one)]
    return value


def _printable(value: Any, path: str, depth: int = 0) -> Any:
    """Return a value of the old file for people: those of unknown keys are not shown."""
    key = path.rpartition(".")[2]
    is_ours = any(f"{path}.".startswith(f"{k}.") for k in KEYS if k.startswith(_OURS))
    if depth > _DEEPEST:
        return "[…]"
    if isinstance(value, Mapping) and (is_ours or any(k.startswith(f"{path}.") for k in KEYS)):
        names = ((str(name), one) for name, one in value.items())
        return {hidden(name): _printable(one, f"{path}.{name}", depth + 1) for name, one in names}
    if isinstance(value, list) and (is_ours or path in KEYS):
        return [_printable(one, path, depth + 1) for one in value]
    is_known = is_ours or path in KEYS
    if value and (not is_known or isinstance(value, Mapping | list)):
        return NOT_SHOWN
    if hides("" if key in _NAMES or is_ours else key, value):
        return NOT_SHOWN
    return value if value is None or isinstance(value, bool | int | float) else str(value)
