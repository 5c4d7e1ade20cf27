"""Product modules stay short enough to read at once, and product lines short enough for two columns."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PRODUCT = ("main.py", "functions", "shared", "deploy")
MODULE_LENGTH = 250  # lines
LINE_LENGTH = 100  # characters
MODULES = sorted(
    file.relative_to(ROOT).as_posix()
    for root in PRODUCT
    for file in ([ROOT / root] if (ROOT / root).is_file() else (ROOT / root).rglob("*.py"))
)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_is_short(module: str) -> None:
    """A longer one has more than one reason to change."""
    assert len((ROOT / module).read_text(encoding="utf-8").splitlines()) <= MODULE_LENGTH


def test_lines_are_short() -> None:
    """As ruff measures them, which leaves out addresses; no `noqa` makes a line longer."""
    limit = ["--isolated", "--no-cache", "--select", "E501", "--line-length", str(LINE_LENGTH), "--ignore-noqa"]
    checked = [sys.executable, "-m", "ruff", "check", *limit, "--output-format", "concise", *PRODUCT]
    done = subprocess.run(checked, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert [line for line in done.stdout.splitlines() if ": E501 " in line] == []


def test_no_file_that_git_ignores_is_tracked() -> None:
    """Logs and scratch files of a run, once added, would stay in every clone."""
    listing = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("git, or a clone of the repository, is missing")
    found = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout == ""
