"""The count of the items that wait in a queue of W&B, from the stand-in's pages."""

from collections.abc import Iterator

import pytest

from deploy.local.servers.wandb.app import create_app
from deploy.local.servers.wandb.state import State
from deploy.local.serving import serving
from shared.adapters.wandb import Graphql, WandbRunQueue
from shared.adapters.wandb.waiting import PAGES
from shared.core.message import Queue

KEY = "k" * 40
QUEUE = Queue(entity="team", name="vertex")


@pytest.fixture
def served() -> Iterator[tuple[State, WandbRunQueue]]:
    """Serve W&B with one queue."""
    state = State(api_keys=[KEY])
    state.make_queue("team", "vertex")
    with serving(create_app(state)) as url:
        yield state, WandbRunQueue(Graphql(url, KEY))


@pytest.mark.parametrize(
    ("items", "popped", "waiting"), [(0, 0, 0), (3, 1, 2), (230, 4, 226), (100 * PAGES + 1, 0, None)]
)
def test_the_items_of_all_pages_are_counted(
    served: tuple[State, WandbRunQueue], items: int, popped: int, waiting: int | None
) -> None:
    """Those that were popped do not wait; a queue of too many items has no count."""
    state, queue = served
    for _ in range(items):
        state.push("team", "vertex", {"entity": "team"})
    for _ in range(popped):
        assert queue.pop(QUEUE, "")
    assert queue.count_waiting(QUEUE) == waiting


def test_a_queue_that_does_not_exist_has_no_count(served: tuple[State, WandbRunQueue]) -> None:
    """Zero would say that it is empty."""
    assert served[1].count_waiting(Queue(entity="team", name="other")) is None
