"""Find the id of a popped item in W&B's answer, however the rest of it looks."""

import json
import re

OPERATION, ID = "popFromRunQueue", "runQueueItemId"
_PATH = (b"data", OPERATION.encode(), ID.encode())
_LONGEST = 1000  # bytes of a key or an id
_OUTSIDE, _INSIDE = re.compile(rb'["{}\[\]:,]'), re.compile(rb'["\\]')


class IdFinder:
    """Finds an item's id in JSON that arrives in pieces, however deep, long or broken the rest is.

    It reads one place only: a run spec may have a key of the same name.
    """

    def __init__(self) -> None:
        self.found = ""
        self._depth = 0  # open objects and lists
        self._on = 0  # the number of them on the path to the id
        self._key = b""
        self._text: bytearray | None = None  # the string that is being read
        self._escaped = False
        self._value = False  # a value follows, not a key

    def feed(self, piece: bytes) -> None:
        """Read the next piece."""
        at = 0
        while at < len(piece) and not self.found:
            if self._text is None:
                at = self._outside(piece, at)
            else:
                at = self._inside(piece, at, self._text)

    def _outside(self, piece: bytes, at: int) -> int:
        match = _OUTSIDE.search(piece, at)
        if not match:
            return len(piece)
        mark, here = match[0], self._depth == self._on
        if mark == b'"':
            self._text = bytearray()
        elif mark in b"{[":
            self._open(on_path=here and mark == b"{")
        elif mark in b"}]":
            self._close(on_path=here)
        elif here:
            self._value = mark == b":"
        return match.end()

    def _open(self, *, on_path: bool) -> None:
        if on_path and (self._depth == 0 or self._leads()):
            self._on += 1
            self._value = False
        self._depth += 1

    def _close(self, *, on_path: bool) -> None:
        if on_path and self._on > 0:
            self._on -= 1
        if self._depth > 0:
            self._depth -= 1

    def _inside(self, piece: bytes, at: int, text: bytearray) -> int:
        if self._escaped:
            text += piece[at : at + 1]
            self._escaped = False
            return at + 1
        match = _INSIDE.search(piece, at)
        end = match.start() if match else len(piece)
        if len(text) < _LONGEST:
            text += piece[at : min(end, at + _LONGEST)]
        if not match:
            return end
        if match[0] == b'"':
            self._ended(bytes(text))
        else:
            self._escaped = True
            if len(text) < _LONGEST:
                text += b"\\"
        return match.end()

    def _ended(self, text: bytes) -> None:
        self._text = None
        if self._depth != self._on:
            return
        if not self._value:
            self._key = text
        elif self._on == len(_PATH) and self._leads():
            try:
                self.found = str(json.loads(b'"' + text + b'"'))
            except ValueError:
                self.found = ""

    def _leads(self) -> bool:
        """Tell whether the value of the current key is on the path to the id."""
        on_path = self._value and 0 < self._on <= len(_PATH)
        return on_path and self._key == _PATH[self._on - 1]
