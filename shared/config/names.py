"""The names of settings: environment variables, and places in the launch-config."""

from typing import Any

from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from shared.config import unknown
from shared.config.launch_config import CONFIG_FILE


def or_file(variable: str, *keys: str) -> Any:
    """Name a setting that the launch-config can set too, under a name that no variable can have."""
    return AliasChoices(variable, *(f"{CONFIG_FILE}:{key}" for key in keys))


def problem(kind: type[BaseSettings], error: Any) -> str:
    """Describe the error of one setting, under the name of its environment variable."""
    first = str(error["loc"][0]) if error["loc"] else ""
    known = ((name, aliases(field.validation_alias)) for name, field in kind.model_fields.items())
    names = next((each for name, each in known if first in (name, *each)), [])
    variable, *places = names or [first.upper()]
    other = _other_place(places[0]) if places else ""
    message = unknown.message(error, kind)
    if error["type"] == "missing":
        message = "is missing"
    within = "".join(f"{step}: " for step in error["loc"][1:] if isinstance(step, str))
    return f"{variable}{other}: {within}{message}"


def _other_place(name: str) -> str:
    file, _, key = name.partition(":")
    return f" (or {key} in {file})" if key else f" (or {file})"


def aliases(alias: Any) -> list[str]:
    """Return the names of a validation alias."""
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [alias] if isinstance(alias, str) else []
