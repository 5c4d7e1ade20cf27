"""A bound on the total time of a call."""

import threading

import pytest

from shared.core.within import within


def test_a_call_in_time_is_as_if_it_were_made_here() -> None:
    """Its result, or whatever it raises."""
    assert within(60, lambda: 7) == 7
    with pytest.raises(ValueError, match="odd"):
        within(60, lambda: int("odd"))


def test_a_call_that_goes_on_is_left_to_itself() -> None:
    """The caller does not wait for it, and its result is dropped."""
    goes_on, ended = threading.Event(), threading.Event()

    def call() -> None:
        goes_on.wait(60)
        ended.set()

    with pytest.raises(TimeoutError):
        within(0.01, call)
    assert not ended.is_set()
    goes_on.set()
    assert ended.wait(60)
