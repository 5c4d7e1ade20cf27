"""The proof that the ledger's protocol loses and doubles no launch, and that the proof would notice."""

import pytest

from tests.model.ledger_protocol import ITEM, REQUEST, Bug, check, found_from, main
from tests.model.world import World


@pytest.mark.parametrize(
    ("start", "states"),
    [
        pytest.param(ITEM._replace(hands=1), 41_226, id="item that nobody cancels"),
        pytest.param(ITEM, 86_823, id="item", marks=pytest.mark.long),
        pytest.param(REQUEST, 84_311, id="request", marks=pytest.mark.long),
    ],
)
def test_the_protocol_never_doubles_loses_or_sticks(start: World, states: int) -> None:
    """Every interleaving of processes that freeze and go on keeps the invariants, and can come to an end.

    The number shows that none was left out. Each state stands for those in which two of a kind have changed places.
    """
    result = check(start=start)
    assert (result.states, result.violation, result.unfinishable) == (states, "", 0)


@pytest.mark.parametrize("bug", Bug)
def test_each_planted_bug_is_found(bug: Bug) -> None:
    """A protocol with this mistake has a history that breaks an invariant."""
    result = check(bug, found_from(bug))
    assert result.violation
    assert result.history


def test_a_process_that_goes_on_after_its_lease_needs_its_budget_check() -> None:
    """The shortest history: it freezes between its claim and its create, and others look twice and launch again."""
    nobody_cancels = ITEM._replace(hands=1)  # a changed bucket rules it out
    history = check(Bug.NO_BUDGET_CHECK, nobody_cancels).history
    freezes, second_create = history.index("a submit's lease ends"), history.index("submit 1 creates")
    assert freezes < history.index("submit 2 notes that it found no job") < second_create


def test_the_command_prints_the_shortest_violating_history(capsys: pytest.CaptureFixture[str]) -> None:
    """A reader sees what happened step by step, and how many states were seen."""
    assert main(["close_before_report"]) == 1
    states, violation, *history = capsys.readouterr().out.splitlines()
    assert states.endswith(" states seen")
    assert violation == "closed before its report, after 7 steps:"
    assert (history[0], len(history)) == ("poll 1 pops", 7)
