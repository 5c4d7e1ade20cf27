"""Recognize a sweep's scheduler: the item that `wandb launch-sweep` enqueues.

W&B gives a scheduler the id of its sweep as run id. Such an item takes no slot of its sweep's runs,
and its failure cancels the sweep. So it must schedule exactly this sweep of its queue's entity, by
W&B's own command in the operator's image. A scheduler with an image, a job or a machine of its own
is an ordinary launch.
"""

import ast
from collections.abc import Mapping
from typing import Any

from shared.core.asjson import as_mapping
from shared.core.errors import Reject
from shared.core.message import Queue
from shared.core.shorten import quoted

SCHEDULER_URI = "placeholder-uri-scheduler"
COMMAND = ["wandb", "scheduler"]
_LOCAL = "local-process"  # the resource that the agent runs inside itself
_AGAIN = "Enqueue the sweep with `wandb launch-sweep`."


def is_scheduler(raw: Mapping[str, Any], queue: Queue) -> bool:
    """Tell whether an item is the scheduler of a sweep, in the operator's image; never raises."""
    own_image = raw.get("image_uri") or as_mapping(raw.get("docker")).get("docker_image")
    if raw.get("uri") != SCHEDULER_URI or raw.get("resource") != _LOCAL:
        return False
    return not (raw.get("job") or own_image) and schedules_its_sweep(raw, queue)


def schedules_its_sweep(raw: Mapping[str, Any], queue: Queue) -> bool:
    """Tell whether a scheduler's command is about the sweep with its run id; never raises."""
    try:
        check_scheduler(raw, queue)
    except Reject:
        return False
    return True


def check_scheduler(raw: Mapping[str, Any], queue: Queue) -> None:
    """Check that a scheduler schedules the sweep with its run id, on its own queue.

    As W&B's command reads its arguments, every word after `--` is a name and the next its value.

    Raises:
        Reject: naming the field, the value and the fix.
    """
    entity, project, sweep = (raw.get(name) or "" for name in ("entity", "project", "run_id"))
    if entity != queue.entity:
        problem = f"is {quoted(entity)}, and this scheduler's queue belongs to {queue.entity}"
        raise Reject("entity", problem, "Enqueue the sweep on a queue of its own entity.")
    overrides = as_mapping(raw.get("overrides"))
    is_id = isinstance(sweep, str) and sweep and not sweep.startswith("-")
    if not is_id or overrides.get("entry_point") != [*COMMAND, sweep]:
        problem = "is not `wandb scheduler SWEEP` with the sweep of run_id"
        raise Reject("overrides.entry_point", problem, _AGAIN)
    if raw.get("sweep_id") not in (None, "", sweep):
        raise Reject("sweep_id", f"is {quoted(raw['sweep_id'])}, not {quoted(sweep)}", _AGAIN)
    its_own = {"entity": entity, "project": project, "queue": queue.name, "sweep_id": sweep}
    for name, value in _options(overrides.get("args")):
        if name == "project" and value.lower() == str(project).lower():
            continue  # W&B writes it in lower case
        if name in its_own and value != its_own[name]:
            problem = f"has --{name} {quoted(value)}, not {quoted(its_own[name])}"
            raise Reject("overrides.args", problem, _AGAIN)


def bare(word: str) -> str:
    """Return an argument without the quotes of Python's repr, which W&B's client writes."""
    if not (len(word) > 1 and word[0] == word[-1] and word[0] in "'\""):
        return word
    try:
        return str(ast.literal_eval(word))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return word[1:-1]


def _options(args: object) -> list[tuple[str, str]]:
    """Return the names and values of arguments, as `wandb scheduler` reads them."""
    words = [bare(str(word)) for word in args] if isinstance(args, list) else []
    return [
        (word[2:].replace("-", "_"), value)
        for word, value in zip(words, [*words, ""][1:], strict=True)
        if word.startswith("--")
    ]
