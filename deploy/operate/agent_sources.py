"""Find an agent's configuration in what people have, and the settings that stand around it.

The agent's own file, values of its Helm chart, a Kubernetes ConfigMap with its Deployment, several
YAML documents in one file, and the environment of an agent on a VM. The shapes are those of
wandb/helm-charts (charts/launch-agent) and of W&B's pages, old and new.
"""

import shlex
import sys
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.config.yaml_file import parse_documents, read_bytes
from shared.core.errors import SettingsError

STDIN = "-"
IN_CHART = ("launchConfig", "agentConfig")  # the second name is that of W&B's newer page
IN_MAP = "launch-config.yaml"
CHART = frozenset({*IN_CHART, "agent", "baseUrl", "additionalTargetNamespaces", "gitCreds"})


@dataclass(frozen=True, slots=True)
class Around:
    """A setting beside the agent's configuration.

    `kind` is `chart`, `map` or `variable`; `key` is written as in the source, after a dot below it.
    """

    kind: str
    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Source:
    """An agent's configuration, the place where it was found, and the settings around it."""

    place: str
    config: Mapping[str, Any]
    around: tuple[Around, ...] = ()


@dataclass(slots=True)
class _Found:
    configs: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    around: list[Around] = field(default_factory=list)


def read_source(path: Path, variables: Path | None = None) -> Source:
    """Read an agent's configuration; `-` is stdin. `variables` is a file of NAME=VALUE lines.

    Raises:
        SettingsError: it is not YAML, holds no configuration of an agent, or several.
    """
    name = "stdin" if str(path) == STDIN else str(path)
    found = _Found()
    documents = list(parse_documents(_content(path), name))
    for number, document in enumerate(documents, 1):
        place = name if len(documents) == 1 else f"{name}, document {number}"
        _read(place, document, found)
    if variables:
        found.around += _variables(_content(variables), str(variables))
    if len(found.configs) > 1:
        places = "; ".join(place for place, _ in found.configs)
        fix = "Move one at a time: give each in a file of its own"
        raise SettingsError(f"{name} holds {len(found.configs)} configurations ({places}). {fix}")
    if not found.configs and any(document is not None for document in documents):
        raise SettingsError(
            f"{name} has no keys of an agent: write entity: TEAM and queues: [NAME]"
        )
    place, config = found.configs[0] if found.configs else (name, {})
    return Source(place, config, tuple(found.around))


def _content(path: Path) -> bytes:
    return read_bytes(sys.stdin.buffer, "stdin") if str(path) == STDIN else read_bytes(path)


def _read(place: str, document: object, found: _Found) -> None:
    """Take a document's configuration, and what stands around it."""
    if not isinstance(document, Mapping):
        return
    kind = document.get("kind")
    if "apiVersion" in document and isinstance(kind, str):
        _read_object(f"{place}, {kind}", kind, document, found)
    elif chart := _chart_of(document):
        _read_chart(place, chart, found)
    else:
        found.configs.append((place, document))


def _read_object(place: str, kind: str, document: Mapping[str, Any], found: _Found) -> None:
    """Read an object of Kubernetes; those without a meaning for an agent give nothing."""
    if kind == "List":
        for item in _list(document.get("items")):
            _read(place, item, found)
    elif kind == "ConfigMap":
        data = _mapping(document.get("data"))
        for key, value in data.items():
            if key == IN_MAP or (IN_MAP not in data and str(key).endswith((".yaml", ".yml"))):
                _inner(f"{place}, {key}", value, found)
            else:
                found.around.append(Around("map", str(key), value))
    elif kind == "Secret":
        if value := _in_secret(document):
            _inner(f"{place}, {IN_MAP}", value, found)
        for section in ("data", "stringData"):
            names = _mapping(document.get(section)).keys() - {IN_MAP}
            found.around += [Around("map", f"Secret.{name}", "[secret]") for name in sorted(names)]
    elif values := _values_of(document):
        _read(place, values, found)
    else:
        for container in _containers(document):
            found.around += _environment(container.get("env"))


def _in_secret(document: Mapping[str, Any]) -> str:
    """Return the agent's file in a Secret; empty if there is none."""
    encoded = _mapping(document.get("data")).get(IN_MAP)
    plain = _mapping(document.get("stringData")).get(IN_MAP)
    try:
        return str(plain or b64decode(str(encoded or "")).decode())
    except ValueError as exc:
        raise SettingsError(f"the {IN_MAP} of a Secret is not base64 of a text") from exc


def _values_of(document: Mapping[str, Any]) -> object:
    """Return the chart's values in Flux's HelmRelease or Argo CD's Application."""
    spec = _mapping(document.get("spec"))
    sources = map(_mapping, [spec.get("source"), *_list(spec.get("sources"))])
    helm = next(filter(None, (_mapping(one.get("helm")) for one in sources)), {})
    values = spec.get("values") or helm.get("valuesObject") or helm.get("values")
    if isinstance(values, str):
        return next(iter(parse_documents(values.encode(), "the values")), None)
    return values


def _containers(document: object) -> Iterator[Mapping[str, Any]]:
    """Yield the containers of a Pod, or of an object with a template of one."""
    spec = _mapping(_mapping(document).get("spec"))
    if "template" in spec:
        yield from _containers(spec["template"])
    yield from filter(None, map(_mapping, _list(spec.get("containers"))))


def _chart_of(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the values of the agent's chart, also those below the name of a subchart."""
    if any(key in document for key in IN_CHART) or len(CHART & document.keys()) > 1:
        return document
    for value in document.values():
        if isinstance(value, Mapping) and any(key in value for key in IN_CHART):
            return value
    return None


def _read_chart(place: str, chart: Mapping[str, Any], found: _Found) -> None:
    for key, value in chart.items():
        if key in IN_CHART:
            _inner(f"{place}, {key}", value, found)
        elif key in ("additionalEnvVars", "additionalSecretEnvVars"):
            found.around += _environment(value)
        else:
            found.around += [Around("chart", name, one) for name, one in _flat(str(key), value)]


def _inner(place: str, value: object, found: _Found) -> None:
    """Take a configuration that is text within YAML, or YAML itself."""
    documents = parse_documents(value.encode(), place) if isinstance(value, str) else [value]
    for document in documents:
        if isinstance(document, Mapping):
            found.configs.append((place, document))
        elif document is not None:
            raise SettingsError(f"{place} has no keys: write entity: TEAM and queues: [NAME]")


def _environment(value: object) -> list[Around]:
    """Return a container's variables; one whose value is in a Secret has no value here."""
    named = [one for one in map(_mapping, _list(value)) if isinstance(one.get("name"), str)]
    if isinstance(value, Mapping):
        named = [{"name": str(name), "value": one} for name, one in value.items()]
    return [Around("variable", one["name"], one.get("value", "[from elsewhere]")) for one in named]


def _variables(content: bytes, name: str) -> list[Around]:
    """Return the variables of `env`, an --env-file, a shell's exports, /proc, or a systemd unit.

    Other lines belong to a value of several lines, or to another part of the unit.
    """
    text = content.decode("utf-8-sig", "replace").replace("\0", "\n")  # of /proc/PID/environ
    lines = ["".join(filter(str.isprintable, line)).strip() for line in text.splitlines()]
    in_unit = any(line.startswith("[") for line in lines)
    pairs: list[str] = []
    for line in lines:
        if not in_unit:
            pairs.append(line.removeprefix("export ").removeprefix("declare -x "))
        elif line.startswith("Environment="):
            pairs += _words(line.removeprefix("Environment="))
    found = [one for pair in pairs if (one := _variable(pair))]
    if not found and content.strip():
        raise SettingsError(f"{name} has no line NAME=VALUE")
    return found


def _variable(pair: str) -> Around | None:
    key, equals, value = pair.strip().partition("=")
    if not (equals and key.isidentifier()):
        return None
    words = _words(value)
    return Around("variable", key, words[0] if len(words) == 1 else value)


def _words(text: str) -> list[str]:
    """Return the words of a text, without their quotes."""
    try:
        return shlex.split(text)
    except ValueError:
        return [text]


def _flat(prefix: str, value: object, depth: int = 0) -> Iterable[tuple[str, Any]]:
    if not isinstance(value, Mapping) or not value or depth > 1:
        return [(prefix, value)]
    below = (_flat(f"{prefix}.{key}", one, depth + 1) for key, one in value.items())
    return [pair for each in below for pair in each]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
