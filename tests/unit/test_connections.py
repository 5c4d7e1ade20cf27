"""The work of one call is done over as many connections as its settings say: each needs memory and a call at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.poll import round as round_
from functions.status import carry_out, listing, observe
from functions.status.reconcile import Status
from shared.core.threads import threads
from tests.unit import polling, test_reconcile


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of all pools of threads, in order."""
    sizes: list[int] = []

    def noted(count: int) -> ThreadPoolExecutor:
        sizes.append(count)
        return threads(count)

    for module in (round_, listing, observe, carry_out):
        monkeypatch.setattr(module, "threads", noted)
    return sizes


def test_poll_takes_items_over_its_connections(pools: list[int]) -> None:
    """One pool a round."""
    polling.Scene().poll(connections=5)
    assert pools == [5]


def test_status_lists_asks_and_acts_over_its_connections(pools: list[int]) -> None:
    """One pool for each."""
    scene = test_reconcile.Scene()
    scene.submitted()
    parts = (scene.ledger, scene.vertex, scene.wandb, scene.publisher, scene.clock, scene.builds)
    Status(*parts, parents=(test_reconcile.PARENT,), connections=7).run(test_reconcile.budget(scene.clock))
    assert pools == [7, 7, 7]
