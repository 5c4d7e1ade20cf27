"""Every error of ours says something: its texts are texts, and a refusal names a field and a problem.

A fixture of every test looks at each error that the test causes, also at one that the product catches.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shared.core.errors import LaunchError, Reject

_ABSENT = re.compile(r"\bneeds None\b|(^| )None( |$)|: None\b")  # where a text has no value


@contextmanager
def compared() -> Iterator[None]:
    """Look at all errors of the block; raises AssertionError at its end."""
    odd: list[str] = []
    refuse = Reject.__init__

    def look(error: LaunchError, *words: Any) -> None:
        if not all(isinstance(word, str) for word in words) or _ABSENT.search(" ".join(words)):
            odd.append(f"{type(error).__name__}{words}")
        Exception.__init__(error, *words)

    def look_at_refusal(error: Reject, field: Any, problem: Any, fix: Any = "") -> None:
        if not (field and problem and all(isinstance(word, str) for word in (field, problem, fix))):
            odd.append(f"Reject{(field, problem, fix)}")
        refuse(error, field, problem, fix)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LaunchError, "__init__", look)
        patch.setattr(Reject, "__init__", look_at_refusal)
        yield
    assert not odd, f"errors without a text: {'; '.join(odd[:5])}"
