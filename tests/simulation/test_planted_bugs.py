"""The test of the test: each mistake that is planted is found, by the invariant that it breaks."""

import re
from pathlib import Path

import pytest

from tests.simulation import invariants, logs, simulation
from tests.simulation.__main__ import main
from tests.simulation.bugs import BUGS, Bug
from tests.simulation.invariants import Violation
from tests.simulation.machine import run_at_random
from tests.simulation.systematic import explore, read_plan, replay

SEARCHED_FOR = (  # hundreds of histories come before the one that shows it: `make long`
    "looks up in its own region",
    "one look-up only",
    "takes a failed publication for events that are out",
    "deletes before the close",
)
PLANTED = [
    pytest.param(bug, id=name, marks=pytest.mark.long if name in SEARCHED_FOR else ()) for name, bug in BUGS.items()
]


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug: Bug) -> None:
    """Within a few hundred histories of a single fault at the most; and the same history shows it again."""
    result = explore(bug.scenario, bug.faults, bug.deployment)
    assert result.violation is not None
    assert result.violation.name == bug.violates
    _, again = replay(*read_plan(result.replay), bug.deployment)
    assert str(again) == str(result.violation)


def test_every_invariant_is_broken_by_a_planted_bug() -> None:
    """So that none of them is one that cannot fail."""
    sources = "".join(
        Path(str(module.__file__)).read_text(encoding="utf-8") for module in (invariants, logs, simulation)
    )
    names = set(re.findall(r'Violation\(\s*"([^"]+)"', sources)) | set(logs.NEVER.values())
    assert len(names) > 15
    assert names == {bug.violates for bug in BUGS.values()}


def test_a_long_history_can_be_seen_again(capsys: pytest.CaptureFixture[str]) -> None:
    """What is found at random ends in a line for the command, which shows the history step by step."""
    bug, broken = "no claim", "a create without a claim that outlasts it"
    with pytest.raises(Violation, match=broken) as found:
        run_at_random(10, deployment=BUGS[bug].deployment, shorten=False)
    history = str(found.value).rpartition("--replay '")[2].partition("'")[0]
    assert main(["--bug", bug, "--replay", history]) == 1
    *steps, last = capsys.readouterr().out.splitlines()
    assert f"VIOLATED {broken}" in last
    assert any("ledger.write" in step for step in steps)


@pytest.mark.parametrize("history", ["trains,5=nonsense", "item:trains,nonsense"])
def test_a_history_that_says_nothing_is_refused(history: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, as for any wrong argument, and the word that was not understood."""
    with pytest.raises(SystemExit, match="2"):
        main(["--replay", history])
    assert "'nonsense'" in capsys.readouterr().err


def test_the_command_says_what_it_explored(capsys: pytest.CaptureFixture[str]) -> None:
    """And ends with 1 where an invariant is broken, with the history and the way to see it again."""
    assert main(["--seconds", "0.1", "--seed", "1"]) == 0
    assert "0 violations" in capsys.readouterr().out
    assert main(["--seconds", "60", "--bug", "no claim"]) == 1
    shown = capsys.readouterr().out
    assert "VIOLATED a create without a claim that outlasts it" in shown
    assert "--bug 'no claim' --replay 'trains" in shown
