"""The reference's table of what an item and its queue can say: complete, and each row shown by a test that is there."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from wandb.sdk.launch._project_spec import LaunchProject

from shared.adapters.vertex.submit import argument_names

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "reference" / "run-spec.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| (source|override|spec|run) \| `(\w+)[^|]*\| [^|]+ \| \[(test_\w+)\]\(\.\./\.\./(tests/[\w/]+\.py)\) \|$",
    re.MULTILINE,
)
ROWS: list[tuple[str, str, str, str]] = ROW.findall(PAGE)


def named(where: str) -> set[str]:
    """Return what the table's rows of one kind are about."""
    return {name for kind, name, _, _ in ROWS if kind == where}


def test_every_argument_of_the_installed_sdk_is_in_the_table() -> None:
    """A newer SDK's new argument is taken without a change of ours, but here it has to be written down."""
    names = argument_names()
    assert named("spec") == names["constructor"]
    assert named("run") == names["run"] | names["submit"]


def test_every_override_of_the_installed_wandb_is_in_the_table() -> None:
    """As its own LaunchProject reads them."""
    read = set(re.findall(r'overrides\.get\("(\w+)"', inspect.getsource(LaunchProject.init_overrides)))
    assert read >= {"args", "entry_point"}
    assert named("override") == read


def test_every_source_of_the_installed_wandb_is_in_the_table() -> None:
    """A docker image, or a job of one of three kinds."""
    jobs = [line for line in PAGE.splitlines() if "| `job`, made of" in line]
    assert named("source") == {"docker", "job"}
    assert [re.findall(r"made of an? (\w+)", line)[0] for line in jobs] == ["image", "artifact", "git"]


@pytest.mark.parametrize(("name", "test", "path"), sorted({(name, test, path) for _, name, test, path in ROWS}))
def test_a_row_names_a_test_that_speaks_of_it(name: str, test: str, path: str) -> None:
    """The test is in its module, and the module has the name somewhere in its code."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert name in (ROOT / path).read_text(encoding="utf-8")
