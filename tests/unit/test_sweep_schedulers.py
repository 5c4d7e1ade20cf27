"""Which item is its sweep's scheduler: each word of its command counts, as W&B's command reads it."""

from typing import Any

import pytest

from shared.core.errors import Reject
from shared.core.message import Queue
from shared.core.scheduler import SCHEDULER_URI, bare, check_scheduler, is_scheduler
from tests.unit.specs import put

QUEUE = Queue(entity="team", name="vertex")
ARGS = ["--queue", "vertex", "--project", "'cats'", "--sweep-id", "sw1", "--entity", "team", "--num-workers", "8"]
ITEM: dict[str, Any] = {
    "uri": SCHEDULER_URI,
    "resource": "local-process",
    "entity": "team",
    "project": "Cats",
    "run_id": "sw1",
    "sweep_id": "sw1",
    "overrides": {"entry_point": ["wandb", "scheduler", "sw1"], "args": ARGS},
}
AGAIN = "Enqueue the sweep with `wandb launch-sweep`."
COMMAND = f"overrides.entry_point: is not `wandb scheduler SWEEP` with the sweep of run_id. {AGAIN}"


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the item with one field changed; the path has dots."""
    return dict(put(ITEM, tuple(path.split(".")), value))


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("sweep_id", None, ""),
        ("sweep_id", "", ""),
        ("overrides.args", None, ""),
        ("overrides.args", "--queue other", ""),
        ("overrides.args", ["--queue"], "overrides.args: has --queue '', not 'vertex'. " + AGAIN),
        ("overrides.args", ["--queue", "other"], f"overrides.args: has --queue 'other', not 'vertex'. {AGAIN}"),
        ("overrides.args", ["--entity", "x"], f"overrides.args: has --entity 'x', not 'team'. {AGAIN}"),
        ("overrides.args", ["--sweep_id", "x"], f"overrides.args: has --sweep_id 'x', not 'sw1'. {AGAIN}"),
        ("overrides.args", ["--sweep-id", "x"], f"overrides.args: has --sweep_id 'x', not 'sw1'. {AGAIN}"),
        ("overrides.args", ["--project", "dogs"], f"overrides.args: has --project 'dogs', not 'Cats'. {AGAIN}"),
        ("overrides.args", ["--project", "CATS"], ""),
        ("overrides.args", ["-queue", "x", "--other", "x", 7, "x"], ""),
        ("overrides.entry_point", ["wandb", "scheduler", "sw2"], COMMAND),
        ("overrides.entry_point", ["wandb", "scheduler"], COMMAND),
        ("overrides.entry_point", ["wandb", "agent", "sw1"], COMMAND),
        ("overrides", None, COMMAND),
        ("run_id", None, COMMAND),
        ("run_id", 5, COMMAND),
        ("run_id", "-sw1", COMMAND),
        ("sweep_id", "sw2", f"sweep_id: is 'sw2', not 'sw1'. {AGAIN}"),
        ("entity", "other", "entity: is 'other', and this scheduler's queue belongs to team. "
         "Enqueue the sweep on a queue of its own entity."),
        ("entity", None, "entity: is '', and this scheduler's queue belongs to team. "
         "Enqueue the sweep on a queue of its own entity."),
    ],
    ids=str,
)  # fmt: skip
def test_a_scheduler_schedules_its_own_sweep_on_its_own_queue(path: str, value: Any, why: str) -> None:
    """The refusal names the field, its value and the value that would be right."""
    item, refusal = changed(path, value), ""
    try:
        check_scheduler(item, QUEUE)
    except Reject as exc:
        refusal = str(exc)
    assert refusal == why
    assert is_scheduler(item, QUEUE) == (not why)


@pytest.mark.parametrize(("sweep", "is_one"), [("x", True), ("-x", False), ("", False)])
def test_the_id_of_a_sweep_is_no_option(sweep: str, is_one: bool) -> None:
    """Also if the command has the same word."""
    command = {"entry_point": ["wandb", "scheduler", sweep], "args": []}
    assert is_scheduler({**ITEM, "run_id": sweep, "sweep_id": sweep, "overrides": command}, QUEUE) == is_one


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("uri", "https://h"),
        ("uri", None),
        ("resource", "gcp-vertex"),
        ("job", "team/cats/train:v1"),
        ("image_uri", "i"),
        ("docker", {"docker_image": "i"}),
    ],
)
def test_an_item_with_its_own_image_or_machine_is_an_ordinary_launch(path: str, value: Any) -> None:
    """It takes a slot."""
    assert is_scheduler(ITEM, QUEUE)
    assert not is_scheduler(changed(path, value), QUEUE)


@pytest.mark.parametrize(
    ("word", "left"), [("'a'", "a"), ('"a"', "a"), ("'a\"", "'a\""), ("'", "'"), ("", ""), ("aba", "aba"), ("''", "")]
)
def test_only_a_pair_of_quotes_is_removed(word: str, left: str) -> None:
    """W&B's client quotes arguments for a shell."""
    assert bare(word) == left
