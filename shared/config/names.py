"""What settings are called: environment variables, and places in the launch-config beneath them."""

from typing import Any

from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from shared.config.launch_config import CONFIG_FILE


def or_file(variable: str, *keys: str) -> Any:
    """Name a setting that may also come from the launch-config; no environment variable can have such a name."""
    return AliasChoices(variable, *(f"{CONFIG_FILE}:{key}" for key in keys))


def problem(kind: type[BaseSettings], error: Any) -> str:
    """Say what is wrong with one setting, under the name of its environment variable."""
    first = str(error["loc"][0]) if error["loc"] else ""
    field = next(
        (
            f
            for name, f in kind.model_fields.items()
            if first in (name, *aliases(f.validation_alias))
        ),
        None,
    )
    names = aliases(field.validation_alias) if field else []
    variable = names[0] if names else first.upper()
    file, _, key = names[1].partition(":") if len(names) > 1 else ("", "", "")
    other = f" (or {key} in {file})" if key else f" (or {file})" if file else ""
    said = (
        "is missing"
        if error["type"] == "missing"
        else str(error["msg"]).removeprefix("Value error, ")
    )
    within = "".join(f"{step}: " for step in error["loc"][1:] if isinstance(step, str))
    return f"{variable}{other}: {within}{said}"


def aliases(alias: Any) -> list[str]:
    """Return the names that a validation alias stands for."""
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [alias] if isinstance(alias, str) else []
