"""Labels: those of the queue's configuration, and ours, by which submit and status find a job."""

import re

from shared.core.errors import Reject
from shared.core.launch import Launch
from shared.core.shorten import quoted, shown
from shared.runspec.fields import mapping, one_word
from shared.runspec.words import as_object

RUN_ID = "wandb-run-id"  # the agent's own label
MAX_LABELS = 64
_KEY = re.compile(r"[^\W\d_A-Z][\w-]{0,63}")
_VALUE = re.compile(r"[\w-]{0,64}")
_RULE = (
    "Write lower-case letters, digits, _ and -, at most 64 of them; a key starts with a letter. "
    "In a queue, ${project_name:label} writes the value of a macro in this form."
)


def job_labels(launch: Launch, agent: str) -> dict[str, str]:
    """Return the labels that find one attempt's job; list filters need underscores in keys."""
    return {
        "launch_key": launch.key,
        "launch_attempt": str(launch.entry.attempt),
        "launch_agent": agent,
    }


def all_labels(
    wanted: object, path: str, launch: Launch, agent: str
) -> tuple[dict[str, str], list[str]]:
    """Return a job's labels, and a warning for each label that ours replaces. Raises Reject."""
    given = mapping(wanted, path, as_object(wanted))
    users = {key: one_word(value, f"{path}.{shown(key)}") for key, value in given.items()}
    for key, value in users.items():
        if not (_valid(key, _KEY) and _valid(value, _VALUE)):
            problem = f"is not a valid label: {quoted(key)}: {quoted(value)}"
            raise Reject(f"{path}.{shown(key)}", problem, _RULE)
    ours = {RUN_ID: label_value(launch.entry.run.run_id), **job_labels(launch, agent)}
    if len(users | ours) > MAX_LABELS:
        fix = f"Write at most {MAX_LABELS - len(ours)}: W&B Launch adds {len(ours)}."
        raise Reject(path, f"has {len(users)} labels", fix)
    replaced = [
        f"the label {key} is reserved; its value was replaced" for key in users.keys() & ours.keys()
    ]
    return users | ours, sorted(replaced)


def label_value(value: str) -> str:
    """Return a text, such as a run id with capitals, as a valid label value."""
    return re.sub(r"[^a-z0-9_-]", "-", value.lower())[:63]


def _valid(text: str, pattern: re.Pattern[str]) -> bool:
    return bool(pattern.fullmatch(text)) and text == text.lower()
