"""Read a function's settings: the environment over the agent's launch-config.yaml."""

import os
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from shared.config.launch_config import CONFIG_FILE, read_launch_config
from shared.config.names import problem
from shared.config.settings.base import KEY_FILE, Settings
from shared.core.errors import SettingsError

S = TypeVar("S", bound=Settings)
_SECTIONS = ("environment", "builder", "registry", "scheduler")


def load(kind: type[S]) -> S:
    """Return a function's current settings; a key that was replaced in its file is the new one.

    Raises:
        SettingsError: names each missing or wrong setting; never contains a secret.
    """
    path = Path(os.environ.get("LAUNCH_CONFIG", CONFIG_FILE))
    problems: list[str] = []
    values = _from_file(path, problems) | _from_key_file(problems)
    try:
        settings = kind(**values)
    except ValidationError as exc:
        errors = exc.errors(include_input=False, include_url=False)
        problems += [problem(kind, error) for error in errors]
    if problems:
        raise SettingsError("; ".join(problems))
    return settings


def _from_file(path: Path, problems: list[str]) -> dict[str, Any]:
    """Return the values of a launch-config.yaml, by the fields' aliases; none without a file."""
    if not path.exists():
        if path.name != CONFIG_FILE:
            problems.append(f"LAUNCH_CONFIG: {path} does not exist")
        return {}
    try:
        config = read_launch_config(path)
    except SettingsError as exc:
        problems.append(str(exc))
        return {}
    values = config.model_dump(exclude_unset=True, by_alias=True)
    for section in _SECTIONS:
        for key, value in values.pop(section, {}).items():
            if value:
                values[f"{section}.{key}"] = value
    return {f"{CONFIG_FILE}:{key}": value for key, value in values.items()}


def _from_key_file(problems: list[str]) -> dict[str, str]:
    """Return the key from its file; nothing if the variable has it, or no file is named."""
    path = os.environ.get(KEY_FILE, "")
    if not path or os.environ.get("WANDB_API_KEY"):
        return {}
    key, failure = "", "is empty"
    try:
        key = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as exc:
        failure = f"cannot be read: {getattr(exc, 'strerror', None) or type(exc).__name__}"
    if not key:
        fix = (
            "It holds W&B's API key: in the cloud the newest version of a secret, "
            "which has to be enabled"
        )
        problems.append(f"{KEY_FILE}: {path} {failure}. {fix}")
    return {f"{KEY_FILE}:": key or "unknown"}
