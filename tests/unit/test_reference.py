"""The generated pages: they are as the code makes them, and no field or class is left out."""

from pathlib import Path

import pytest

from deploy.__main__ import COMMANDS
from deploy.reference import errors, settings
from deploy.reference.markdown import table
from deploy.reference.pages import BEGIN, END, Page, pages, update
from shared.core.errors import Retry


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.path.name)
def test_a_generated_page_is_current(page: Page) -> None:
    """After a change of the code, `make reference` writes it again."""
    assert page.generated() == page.current()


def test_every_setting_has_a_description() -> None:
    """Of each function; a setting of all functions comes first, and once."""
    rows = settings.settings()
    assert [row.variable for row in rows if not row.info.description] == []
    assert len({row.variable for row in rows}) == len(rows)
    assert rows[0].row == ("`WANDB_API_KEY`", "all", "*required*", "W&B's API key")
    assert [row.row[1] for row in rows if row.variable == "OVERDUE_SECONDS"] == ["poll, status"]


def test_every_command_is_on_its_page() -> None:
    """With its options, and the exit codes of all."""
    page = next(page for page in pages() if page.path.name == "commands.md").generated()
    assert [name for name in COMMANDS if f"## {name}\n" not in page] == []
    assert "| `--replay` |" in page
    assert "| 4 | unknown" in page


def test_an_error_without_a_row_is_named() -> None:
    """Each class of shared/core/errors.py has to say what it means."""
    with pytest.raises(ValueError, match="has no row for Retry"):
        errors.errors_table([row for row in errors.ROWS if row.error is not Retry])


def test_a_stale_page_is_reported_or_written(tmp_path: Path) -> None:
    """Only its block changes; a check writes nothing."""
    path = tmp_path / "page.md"
    path.write_text(f"before\n{BEGIN}old\n{END}\nafter\n", encoding="utf-8")
    page = Page(path, lambda: "new\n")
    assert update([page], check=True) == [f"{path} is stale: run `make reference`"]
    assert "old" in path.read_text(encoding="utf-8")
    assert update([page], check=False) == [f"wrote {path}"]
    assert path.read_text(encoding="utf-8") == f"before\n{BEGIN}new\n{END}\nafter\n"
    assert update([page], check=True) == []


def test_a_page_without_a_block_is_refused(tmp_path: Path) -> None:
    """Rather than written over."""
    path = tmp_path / "page.md"
    path.write_text("all by hand\n", encoding="utf-8")
    with pytest.raises(ValueError, match="needs the lines"):
        Page(path, lambda: "new\n").generated()


def test_a_cell_cannot_break_its_table() -> None:
    """Bars are escaped, and lines joined."""
    assert table(("a",), [("x|y\nz",)]) == "| a |\n|---|\n| x\\|y z |\n"
