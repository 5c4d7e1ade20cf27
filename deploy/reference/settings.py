"""The table of settings, from the fields of the three functions' settings."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from deploy.reference.markdown import code, table
from shared.config.settings import (
    KEY_FILE,
    PollSettings,
    Settings,
    StatusSettings,
    SubmitSettings,
    variables,
)

FUNCTIONS: dict[str, type[Settings]] = {
    "poll": PollSettings,
    "submit": SubmitSettings,
    "status": StatusSettings,
}
# variables that no field has: our own code or Google's clients read them before any field
OTHERS = (
    (
        KEY_FILE,
        "none",
        "path of a file with W&B's API key, which each call reads again; in the cloud, Secret "
        "Manager writes it. `WANDB_API_KEY` wins",
    ),
    (
        "LAUNCH_CONFIG",
        "`launch-config.yaml`",
        "path of the agent's configuration file, if it exists",
    ),
    ("PUBSUB_EMULATOR_HOST", "none", "`HOST:PORT` that replaces Pub/Sub; Google's client reads it"),
    ("STORAGE_EMULATOR_HOST", "none", "URL that replaces GCS; Google's clients read it, too"),
)
GUIDES = {
    "LAUNCH_POLICY": "limit-launches.md",
    "LAUNCH_REQUESTS": "launch-from-another-system.md",
    "LAUNCH_KEY_SECRET": "keep-the-key-out-of-jobs.md",
    "LAUNCH_EVENTS_TOPIC": "follow-launches-with-events.md",
    "LAUNCH_LADDER": "run-where-machines-are-rare.md",
    "LAUNCH_BUILDER": "build-images.md",
    "LAUNCH_SCHEDULER_IMAGE": "run-sweeps.md",
    "WANDB_CA_FILE": "reach-a-private-wandb.md",
}


@dataclass
class Setting:
    """One variable, with the functions that read it."""

    variable: str
    key: str  # in the launch-config; empty if it has none
    info: FieldInfo
    functions: list[str] = field(default_factory=list)

    @property
    def row(self) -> tuple[str, ...]:
        """Return its cells."""
        names = code(self.variable) + (f" or {code(self.key)}" if self.key else "")
        functions = "all" if len(self.functions) == len(FUNCTIONS) else ", ".join(self.functions)
        meaning = self.info.description or ""
        if self.info.examples:
            meaning += f". Example: {code(str(self.info.examples[0]))}"
        if guide := GUIDES.get(self.variable):
            meaning += f" ([how to](../how-to/{guide}))"
        return names, functions, _default(self.info.get_default(call_default_factory=True)), meaning


def settings() -> list[Setting]:
    """Return every setting once, those of all functions first."""
    found: dict[str, Setting] = {}
    for function, kind in FUNCTIONS.items():
        for name, names in variables(kind).items():
            variable = names[0]
            key = names[1].partition(":")[2] if len(names) > 1 else ""
            info = kind.model_fields[name]
            setting = found.setdefault(variable, Setting(variable, key, info))
            setting.functions.append(function)
    return sorted(found.values(), key=lambda setting: len(setting.functions) < len(FUNCTIONS))


def settings_table() -> str:
    """Return the table of docs/reference/settings.md."""
    rows = [setting.row for setting in settings()]
    rows += [(code(variable), "all", default, meaning) for variable, default, meaning in OTHERS]
    return table(("variable, or key of the launch-config", "functions", "default", "meaning"), rows)


def limits_table(model: type[BaseModel]) -> str:
    """Return the table of a section of the launch-config that limits launches."""
    rows = [
        (code(name), info.description or "", code(str((info.examples or [""])[0])))
        for name, info in model.model_fields.items()
    ]
    return table(("key", "limits", "example"), rows)


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "*required*"
    if isinstance(value, BaseModel) or value in ("", ()):
        return "none"
    return code(str(value).lower() if isinstance(value, bool) else str(value))
