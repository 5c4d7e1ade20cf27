"""Read a function's settings: the environment over the agent's launch-config.yaml."""

import os
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from shared.config import unknown
from shared.config.launch_config import CONFIG_FILE, LaunchConfig, read_launch_config
from shared.config.names import problem
from shared.config.settings.base import KEY_FILE, Settings, split_names, variables
from shared.config.settings.poll import PollSettings
from shared.config.settings.status import StatusSettings
from shared.config.settings.submit import SubmitSettings
from shared.core.errors import SettingsError
from shared.core.shorten import shown

S = TypeVar("S", bound=Settings)
KINDS: tuple[type[Settings], ...] = (PollSettings, SubmitSettings, StatusSettings)
_SECTIONS = ("environment", "builder", "registry", "scheduler")
_CONFIG = "LAUNCH_CONFIG"  # the variable that names the file


def load(kind: type[S]) -> S:
    """Return a function's current settings; a key that was replaced in its file is the new one.

    Raises:
        SettingsError: names each missing or wrong setting; never contains a secret.
    """
    path = Path(os.environ.get(_CONFIG, CONFIG_FILE))
    problems = _unknown_variables()
    values = _from_file(path, problems) | _from_key_file(problems)
    try:
        settings = kind(**values)
    except ValidationError as exc:
        errors = exc.errors(include_input=False, include_url=False)
        problems += [problem(kind, error) for error in errors]
    if problems:
        raise SettingsError("; ".join(problems))
    if isinstance(settings, SubmitSettings) and settings.building.problem:
        unknown.report_unusable(settings.building.problem)
    return settings


def _unknown_variables() -> list[str]:
    """Return a problem for each misspelt variable; each function gets those of all three."""
    known = {names[0] for kind in KINDS for names in variables(kind).values()}
    macros = set(split_names(os.environ.get("LAUNCH_MACROS", "")))
    strangers = unknown.variables(os.environ.keys() - macros, known | {_CONFIG, KEY_FILE})
    if others := frozenset(name for name, like in strangers.items() if not like):
        unknown.report("the environment", others)
    misspelt = {name: like for name, like in strangers.items() if like}
    return [f"{shown(name)}: is not known; write {like}" for name, like in misspelt.items()]


def _from_file(path: Path, problems: list[str]) -> dict[str, Any]:
    """Return the values of a launch-config.yaml, by the fields' aliases; none without a file."""
    if not path.exists():
        if path.name != CONFIG_FILE:
            problems.append(f"{_CONFIG}: {path} does not exist")
        return {}
    try:
        config = read_launch_config(path)
    except SettingsError as exc:
        problems.append(str(exc))
        return {}
    if problem := config.environment.problem:
        unknown.report_unusable(problem)
    values = config.model_dump(exclude_unset=True, by_alias=True)
    values["registry"] = {"uri": _image_of_registry(config)}
    for section in _SECTIONS:
        for key, value in values.pop(section, {}).items():
            if value:
                values[f"{section}.{key}"] = value
    return {f"{CONFIG_FILE}:{key}": value for key, value in values.items()}


def _image_of_registry(config: LaunchConfig) -> str:
    """Return the registry's name of images; a missing region or project is the deployment's."""
    where = config.environment
    return config.registry.image(
        os.environ.get("VERTEX_LOCATION") or where.region,
        os.environ.get("GOOGLE_CLOUD_PROJECT") or where.project,
    )


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
