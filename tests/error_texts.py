"""Every error of ours says something, and is on a page, error_texts.txt, as its reader sees it.

A fixture of every test looks at each error that the test causes, also at one that the product catches. So an error with
another field, value or fix fails the test that causes it. After a wanted change, `python -m tests.error_texts` writes
the page anew; `python -m tests.error_texts tests/unit/test_policy.py` adds what these tests cause. Read its diff.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from shared.core.errors import LaunchError, Reject

PAGE = Path(__file__).with_name("error_texts.txt")
MOST = 10  # errors of one test on the page: some try every machine with every accelerator
NEW = "PYTEST_NEW_ERROR_TEXTS"  # a folder: the tests write their errors there instead
_FOLDER = re.compile(r"/[^ :;,'\"]*/pytest-of-[^ :;,'\"]+/")  # each test has another
_ABSENT = re.compile(r"\bneeds None\b|(^| )None( |$)|: None\b")  # where a text has no value


@contextmanager
def compared(*, steady: bool) -> Iterator[None]:
    """Look at all errors of the block; those of a steady test are on the page. Raises AssertionError at its end."""
    odd: list[str] = []
    seen: dict[str, None] = {}
    refuse = Reject.__init__

    def look(error: LaunchError, *words: Any) -> None:
        if not all(isinstance(word, str) for word in words) or _ABSENT.search(" ".join(words)):
            odd.append(f"{type(error).__name__}{words}")
        Exception.__init__(error, *words)
        if steady:
            seen[_line(str(error))] = None

    def look_at_refusal(error: Reject, field: Any, problem: Any, fix: Any = "") -> None:
        if not (field and problem and all(isinstance(word, str) for word in (field, problem, fix))):
            odd.append(f"Reject{(field, problem, fix)}")
        refuse(error, field, problem, fix)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LaunchError, "__init__", look)
        patch.setattr(Reject, "__init__", look_at_refusal)
        yield
    assert not odd, f"errors without a text: {'; '.join(odd[:5])}"
    shown = list(seen)[:MOST]
    if folder := os.environ.get(NEW):
        with Path(folder, str(os.getpid())).open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in shown)
    elif new := [line for line in shown if line not in known()]:
        raise AssertionError(f"not in tests/error_texts.txt: {' | '.join(new[:3])}")


@cache
def known() -> frozenset[str]:
    """Return the lines of the page."""
    return frozenset(PAGE.read_text(encoding="utf-8").splitlines())


def _line(text: str) -> str:
    text = _FOLDER.sub("(folder)/", text)
    return text if text.isprintable() else ascii(text)


def main() -> None:
    """Run tests, and write the errors that they cause."""
    chosen = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "-q", "-n", "4", "-m", "not long", *(chosen or ["tests/unit"])]
        ended = subprocess.run(command, env={**os.environ, NEW: folder}, check=False)
        written = {line for file in Path(folder).iterdir() for line in file.read_text(encoding="utf-8").splitlines()}
    if ended.returncode:
        sys.exit("Some tests failed: the page stays as it is.")
    PAGE.write_text("".join(f"{line}\n" for line in sorted(written | (known() if chosen else set()))), encoding="utf-8")


if __name__ == "__main__":
    main()
