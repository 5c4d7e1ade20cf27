"""docs/explanation/security.md: each row has an attack, and each attack is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "explanation" / "security.md").read_text(encoding="utf-8")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
TABLES = PAGE.partition("## Author of an item")[2]
ROWS = [line for line in TABLES.splitlines() if line.startswith("| ") and not line.endswith("| test |")]


def test_each_row_names_an_attack() -> None:
    """What is claimed is shown."""
    assert len(ROWS) > 30
    assert [row for row in ROWS if not TEST.search(row)] == []


@pytest.mark.parametrize(("path", "test"), sorted(set(TEST.findall(PAGE))))
def test_a_named_attack_is_there(path: str, test: str) -> None:
    """Under this name, in this file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_no_file_of_attacks_is_left_out() -> None:
    """Each file of tests/security has a row."""
    named = {path for path, _ in TEST.findall(PAGE)}
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "security").glob("test_*.py")}
    trees = "tests/security/test_build_trees.py"  # a property of the step that test_builds.py attacks
    doors = "tests/security/test_builds_at_the_door.py"  # the same attacks, through submit
    assert files - named <= {trees, doors}
