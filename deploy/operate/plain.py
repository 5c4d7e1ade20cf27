"""Texts from outside for a terminal, a pipe or a cell: one line, without secrets or tricks."""

import unicodedata

from shared.core.redaction import redacted

HIDDEN = "·"  # stands for a character that a terminal would obey, or show as nothing
_MARKS = 2  # combining marks on one letter; more of them cover the lines above and below


def plain(text: object) -> str:
    """Return a text on one line, without secrets, escape sequences and characters that reorder it.

    Whitespace and line breaks become single spaces.
    """
    return one_line(redacted(str(text)))


def one_line(text: str) -> str:
    """Return a text of the ledger's index, which was redacted when it was written, as `plain`."""
    return _shown(" ".join(text.split()))


def plain_lines(text: str) -> list[str]:
    """Return the lines of a text, each of them plain; spaces stay."""
    return [_shown(line.expandtabs()).rstrip() for line in redacted(text).splitlines()]


def _shown(text: str) -> str:
    """Return a text with a dot for each character that is no letter, digit, sign or space."""
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = 0
    for each in text:
        marks = marks + 1 if unicodedata.combining(each) else 0
        if marks <= _MARKS:
            shown.append(each if each.isprintable() else " " if each.isspace() else HIDDEN)
    return "".join(shown)
