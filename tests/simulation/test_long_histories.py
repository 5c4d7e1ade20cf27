"""Long histories at random, the same at each time; `make simulate` takes others."""

import pytest

from tests.simulation.machine import run_at_random


@pytest.mark.parametrize("histories", [6, pytest.param(60, marks=pytest.mark.long)])
def test_long_histories_come_to_rest(histories: int) -> None:
    """Several items, requests, people and agents; everything goes wrong, and all is well in the end."""
    explored = run_at_random(histories)
    assert explored.histories >= histories
    assert explored.faults > 2 * histories
