"""The settings of each function: environment variables, and keys of the launch-config."""

from shared.config.settings.base import (
    KEY_FILE,
    Settings,
    joined_names,
    split_names,
    variables,
)
from shared.config.settings.loading import KINDS, load
from shared.config.settings.poll import PollSettings
from shared.config.settings.status import StatusSettings
from shared.config.settings.submit import SubmitSettings

__all__ = [
    "KEY_FILE",
    "KINDS",
    "PollSettings",
    "Settings",
    "StatusSettings",
    "SubmitSettings",
    "joined_names",
    "load",
    "split_names",
    "variables",
]
