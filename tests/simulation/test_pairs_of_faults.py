"""The smallest history of an item, with every pair of faults; `make simulate` takes the others too."""

import pytest

from tests.simulation.faults import Fault
from tests.simulation.systematic import explore


@pytest.mark.long
def test_no_pair_of_faults_breaks_the_way_of_an_item() -> None:
    """Poll, submit and status, whichever two calls meet whichever two faults.

    A freeze lasts for twenty ticks: single ones are in test_single_faults, and others among the long histories.
    """
    result = explore("trains", faults=2, without=frozenset({Fault.FROZEN}))
    assert result.violation is None, result.replay
    assert result.whole
    assert result.histories > 10_000
