"""Long histories at random, the same at each time; `make simulate` takes others."""

from tests.simulation.machine import run_at_random


def test_long_histories_come_to_rest() -> None:
    """Several items, requests, people and agents; everything goes wrong, and all is well in the end."""
    explored = run_at_random(60)
    assert explored.histories >= 60
    assert explored.faults > 100
