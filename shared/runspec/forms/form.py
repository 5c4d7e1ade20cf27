"""The documented form of one value: what to write, an example and the source."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from shared.core.errors import Reject
from shared.core.ports import CustomJobCall
from shared.core.shorten import quoted

Guess = Callable[[str, CustomJobCall], str]

NAME = "[a-z]([-a-z0-9]{0,61}[a-z0-9])?"  # of Compute Engine's resources: RFC 1035


def nothing(_: str, __: CustomJobCall) -> str:
    """Guess nothing."""
    return ""


@dataclass(frozen=True, slots=True)
class Form:
    """The form of the values at one path.

    `pattern` is of a text; its group `region` must be the job's region. `most` and `least` bound a
    number. `meant` guesses the right value from a wrong one. Other modules check a value that
    neither a pattern nor a range describes.
    """

    path: str
    write: str  # completes "Write …, such as EXAMPLE."
    example: str
    source: str
    pattern: str = ""
    note: str = ""  # more sentences
    least: int | None = None
    most: int | None = None
    required: bool = False  # wherever its parent is
    meant: Guess = nothing

    def check(self, value: object, path: str, call: CustomJobCall) -> None:
        """Check one value; a missing one asks for nothing, unless it is required. Raises Reject."""
        if value in (None, ""):
            if self.required:
                raise Reject(path, "is missing", self._fix("", call))
        elif isinstance(value, str) and self.pattern:
            self._check_text(value, path, call)
        elif isinstance(value, int | float) and not self._in_range(value):
            raise Reject(path, f"is {value}", self._fix("", call))

    def _in_range(self, value: float) -> bool:
        least, most = self.least, self.most
        return (least is None or value >= least) and (most is None or value <= most)

    def _check_text(self, value: str, path: str, call: CustomJobCall) -> None:
        match = re.fullmatch(self.pattern, value, re.ASCII)
        if match is None:
            problem = f"is {quoted(value)}, which Vertex AI does not accept"
            raise Reject(path, problem, self._fix(value, call))
        region = match.groupdict().get("region") or call.location
        if region != call.location:
            problem = f"is {quoted(value)} in {region}, but the job runs in {call.location}"
            raise Reject(path, problem, f"Write one of {call.location}, or set spec.location.")

    def _fix(self, value: str, call: CustomJobCall) -> str:
        guess = self.meant(value, call) if value else ""
        near = f"Did you mean {guess}? " if guess and re.fullmatch(self.pattern, guess) else ""
        note = f" {self.note}" if self.note else ""
        return f"{near}Write {self.write}, such as {self.example}.{note}"
