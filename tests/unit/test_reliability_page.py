"""docs/explanation/reliability.md: each failure has its row, each row its tests, and each planted bug its row."""

import ast
import re
from pathlib import Path

import pytest

from tests.simulation.bugs import BUGS

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "explanation" / "reliability.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")]
NUMBERED = {int(row.split("|")[1]): row for row in ROWS if row.split("|")[1].strip().isdecimal()}
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_there_are_twenty_failures_each_with_a_test() -> None:
    """Numbered from 1, once each."""
    assert list(NUMBERED) == list(range(1, 21))
    assert len(re.findall(r"^\| \d+ \|", PAGE, re.MULTILINE)) == 20
    assert [number for number, row in NUMBERED.items() if not TEST.search(row)] == []


@pytest.mark.parametrize(("path", "test"), sorted({found for row in ROWS for found in TEST.findall(row)}))
def test_a_named_test_is_there(path: str, test: str) -> None:
    """Under this name, in this file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_path_of_a_test_in_a_table_is_well_formed() -> None:
    """No name is misspelt so that the test above would not see it."""
    assert [
        part for row in ROWS for part in re.findall(r"`(tests/[^`]*::[^`]*)`", row) if not TEST.match(f"`{part}`")
    ] == []


def test_each_planted_bug_has_its_row() -> None:
    """With the invariant that it breaks, and the history in which it is found."""
    table = PAGE.partition("| planted | breaks | in the history |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]
    planted = {name: (broken, scenario) for name, broken, scenario, _ in rows}
    assert planted == {name: (bug.violates, bug.scenario) for name, bug in BUGS.items()}
