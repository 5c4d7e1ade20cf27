"""Small histories, each with every fault at every call that crosses a port."""

import pytest

from tests.simulation.faults import Fault
from tests.simulation.scenarios import SCENARIOS, SHORT
from tests.simulation.systematic import explore, replay

LEFT_TO_SIMULATE = ("six items", "always preempted", "two of one build")  # a fifth of the time
EACH_TIME = (  # one of each kind; `make long` takes the others too
    "trains",
    "create without an answer",
    "stopped",
    "cancelled",
    "cancelled before it is launched",
    "request",
    "built",
)
SPOILT = [
    pytest.param(name, marks=() if name in EACH_TIME else pytest.mark.long)
    for name in SHORT
    if name not in LEFT_TO_SIMULATE
]


@pytest.mark.parametrize("name", SPOILT)
def test_no_single_fault_breaks_anything(name: str) -> None:
    """Nothing lost, nothing doubled, nothing stuck; and the number shows that each call of the history was spoilt."""
    result = explore(name, faults=1)
    assert result.violation is None, result.replay
    assert result.whole
    assert result.histories > 150, "a history has dozens of calls, and each can meet several faults"


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in SHORT or name in LEFT_TO_SIMULATE])
def test_a_long_history_holds(name: str) -> None:
    """Without a fault, because a fault at each of its calls takes too long here."""
    _, violation = replay(name, ())
    assert violation is None


def test_the_history_of_the_ladder_leads_to_another_region() -> None:
    """So that what is spoilt there are the calls of a climb."""
    simulation, _ = replay("finds machines elsewhere", ())
    regions = [name.split("/")[3] for name in simulation.world.vertex.jobs]
    assert regions == ["us-central1", "europe-west4"]


def test_every_fault_is_met() -> None:
    """None of them is only a name; test_surviving has the one that takes hours."""
    assert set(explore("people at any time", faults=1).faults) == set(Fault) - {Fault.HOURS}
