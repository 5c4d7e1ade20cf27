"""The proof that the ledger's protocol neither loses nor doubles a launch, and that the proof would notice."""

import pytest

from tests.model.ledger_protocol import Bug, check, main


def test_the_protocol_never_doubles_loses_or_sticks() -> None:
    """Every interleaving keeps the invariants and can come to an end; the number shows that none was left out.

    Each of these states stands for those in which two of a kind have changed places: 221,268 in all.
    """
    result = check()
    assert (result.states, result.violation, result.unfinishable) == (49_497, "", 0)


@pytest.mark.parametrize("bug", Bug)
def test_each_planted_bug_is_found(bug: Bug) -> None:
    """A protocol with this mistake has a history that breaks an invariant."""
    result = check(bug)
    assert result.violation
    assert result.history


def test_the_command_prints_the_shortest_violating_history(capsys: pytest.CaptureFixture[str]) -> None:
    """A reader sees what happened step by step, and how many states were seen."""
    assert main(["close_before_report"]) == 1
    states, violation, *history = capsys.readouterr().out.splitlines()
    assert states.endswith(" states seen")
    assert violation == "closed before W&B was told, after 11 steps:"
    assert (history[0], len(history)) == ("poll 1 pops", 11)
