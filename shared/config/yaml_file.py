"""Read a YAML file that somebody has written by hand: in bounded time and memory, whatever is in it."""

from pathlib import Path
from typing import Any

import yaml

from shared.core.errors import SettingsError

MAX_BYTES = 100_000  # PyYAML takes a second for them, and a launch-config has a few hundred
MAX_ALIASES = 10  # with `<<` each may multiply what those before it stand for
_SHOWN = 200  # characters of what YAML's library says, which quotes the file
# what YAML's library lets out of what Python says of a date's 13th month, of !!int x, of !!bool x, of !!timestamp x,
# of 1:1:…:1.5
_OF_VALUES = (ValueError, LookupError, AttributeError, OverflowError)


class _Loader(yaml.SafeLoader):
    """Builds plain values; aliases are counted, since a few dozen of them can stand for more than any memory holds."""

    aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > MAX_ALIASES:
                raise yaml.YAMLError(
                    f"it has more than {MAX_ALIASES} aliases (*name): write out what they stand for"
                )
        return super().compose_node(parent, index)


def read_yaml(path: Path) -> Any:
    """Return what a YAML file says, None where it is empty.

    Raises:
        SettingsError: where it is no YAML, or is too large or too intricate to be meant.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SettingsError(
                f"{path} has more than {MAX_BYTES:,} bytes, which no such file needs"
            )
        return yaml.load(content.decode(), _Loader)  # noqa: S506 - a SafeLoader
    except (OSError, yaml.YAMLError, *_OF_VALUES) as exc:
        said = str(exc).strip().splitlines() or [type(exc).__name__]
        raise SettingsError(f"{path} cannot be read as YAML: {said[0][:_SHOWN]}") from exc
    except RecursionError as exc:
        raise SettingsError(f"{path} is nested too deeply") from exc
