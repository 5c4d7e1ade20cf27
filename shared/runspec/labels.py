"""Labels: those of the queue's configuration, and ours, by which a job is found again."""

import re

from shared.core.errors import Reject
from shared.core.launch import Launch
from shared.runspec.fields import mapping, text

RUN_ID = "wandb-run-id"  # the agent's own label
MAX_LABELS = 64
_KEY = re.compile(r"[^\W\d_A-Z][\w-]{0,63}")
_VALUE = re.compile(r"[\w-]{0,64}")
_RULE = "Vertex AI takes lower-case letters, digits, _ and -, at most 64 of them, and a key starts with a letter."


def job_labels(launch: Launch, agent: str) -> dict[str, str]:
    """Return the labels that one attempt's job is found by; underscores, because they stand in list filters."""
    return {
        "launch_key": launch.key,
        "launch_attempt": str(launch.entry.attempt),
        "launch_agent": agent,
    }


def all_labels(
    wanted: object, path: str, launch: Launch, agent: str
) -> tuple[dict[str, str], list[str]]:
    """Return a job's labels and a warning for each of the user's that ours replaces. Raises Reject."""
    users = {
        key: _value(value, f"{path}.{key[:80]}") for key, value in mapping(wanted, path).items()
    }
    for key, value in users.items():
        if not (
            _KEY.fullmatch(key)
            and key == key.lower()
            and _VALUE.fullmatch(value)
            and value == value.lower()
        ):
            raise Reject(
                f"{path}.{key[:80]}", f"is no valid label: {key[:80]!r}: {value[:80]!r}", _RULE
            )
    ours = {RUN_ID: label_value(launch.entry.run.run_id), **job_labels(launch, agent)}
    if len(users | ours) > MAX_LABELS:
        raise Reject(
            path,
            f"has {len(users)} labels",
            f"At most {MAX_LABELS - len(ours)} fit beside our own.",
        )
    replaced = [f"the label {key} is ours and was replaced" for key in users.keys() & ours.keys()]
    return users | ours, sorted(replaced)


def label_value(value: str) -> str:
    """Make a label value of a text that may not be one, such as a run id in capitals."""
    return re.sub(r"[^a-z0-9_-]", "-", value.lower())[:63]


def _value(value: object, path: str) -> str:
    """Take a number or a flag for its text: YAML writes `version: 3` and `debug: true` without quotes."""
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return text(value, path)
