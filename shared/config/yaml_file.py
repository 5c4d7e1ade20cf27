"""Read a YAML file written by hand, in bounded time and memory for any content."""

import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from shared.core.errors import SettingsError
from shared.core.shorten import shown

MAX_BYTES = 100_000  # PyYAML takes a second for them; a launch-config has a few hundred
MAX_ALIASES = 10  # with `<<` each can multiply the content of those before it
_SHOWN = 200  # characters of a message of PyYAML, which quotes the file
_BAD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
# PyYAML lets these pass: for a 13th month, !!int x, !!bool x, !!timestamp x, 1:1:…:1.5
_OF_VALUES = (ValueError, LookupError, AttributeError, OverflowError)


class _Loader(yaml.SafeLoader):
    """Builds plain values; counts aliases: a few dozen can expand beyond any memory."""

    aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > MAX_ALIASES:
                raise yaml.YAMLError(
                    f"it has more than {MAX_ALIASES} aliases (*name): write their values out"
                )
        return super().compose_node(parent, index)

    def compose_scalar_node(self, anchor: dict[Any, yaml.Node]) -> yaml.ScalarNode:
        """Refuse characters that cannot be sent, or that a terminal obeys."""
        node = super().compose_scalar_node(anchor)
        if bad := _BAD.search(node.value):
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"it has the character {bad[0]!a} in line {line}. Remove it")
        return node

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        """Refuse a key that appears twice: PyYAML drops the first value without a word."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise yaml.YAMLError(f"the key {key.value} appears twice, again in line {line}")
                seen.add(key.value)
        return node


def read_yaml(path: Path) -> Any:
    """Return the value of a YAML file; None if it is empty.

    Raises:
        SettingsError: it is not one document of YAML, or exceeds a bound.
    """
    return _parsed(read_bytes(path), str(path), lambda text: yaml.load(text, _Loader))  # noqa: S506 # nosec


def parse_documents(content: bytes, name: str) -> list[Any]:
    """Return the values of all documents in YAML; errors call the content by this name.

    Raises:
        SettingsError: it is not YAML, or exceeds a bound.
    """
    if len(content) > MAX_BYTES:
        raise SettingsError(f"{name} has more than {MAX_BYTES:,} bytes. Shorten it")
    return list(_parsed(content, name, lambda text: list(yaml.load_all(text, _Loader))))


def read_bytes(file: Path | BinaryIO, name: str = "") -> bytes:
    """Return a file's content, at most MAX_BYTES of it. Raises SettingsError."""
    name = name or str(file)
    try:
        with file.open("rb") if isinstance(file, Path) else nullcontext(file) as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as exc:
        raise SettingsError(f"{name} cannot be read as YAML: {exc}") from exc
    if len(content) > MAX_BYTES:
        raise SettingsError(f"{name} has more than {MAX_BYTES:,} bytes. Shorten it")
    return content


def _parsed(content: bytes, name: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(content.decode())  # a SafeLoader
    except (yaml.YAMLError, *_OF_VALUES) as exc:
        lines = str(exc).strip().splitlines() or [type(exc).__name__]
        mark = getattr(exc, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        fix = ". Indent with spaces: YAML allows no tabs" if "'\\t'" in str(exc) else ""
        problem = f"{shown(lines[0], _SHOWN)}{line}{fix}"
        raise SettingsError(f"{name} cannot be read as YAML: {problem}") from exc
    except RecursionError as exc:
        raise SettingsError(f"{name} is nested too deeply") from exc
