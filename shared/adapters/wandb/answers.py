"""What W&B's answers mean: data, a refusal of what was asked for, or a failure of the whole service."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.core.errors import Denied, LaunchError, Retry

CONTENT = (
    400,
    404,
    409,
    410,
    413,
    414,
    422,
)  # statuses that are about what was asked for; 403 and 200 can be too
_PERMISSION = re.compile(r"permission|forbidden|access denied|not authorized", re.IGNORECASE)
_NO_PROJECT = re.compile(
    r"(project|entity)\b.*\b(not found|not exist|unknown)|(unknown|could not find|no such) (project|entity)",
    re.IGNORECASE | re.DOTALL,
)
_NOT_FOUND = re.compile(r"not found|not exist|unknown|could not find|no such", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What W&B answered: its status, data (perhaps in part), and errors."""

    status: int = 0
    data: Mapping[str, Any] | None = None
    errors: Sequence[Any] = ()

    @property
    def reason(self) -> str:
        """Return the messages of its errors, empty if there are none."""
        return reason(self.errors)

    def of(self, name: str) -> list[Any]:
        """Return the errors whose path begins with this field or alias."""
        return [error for error in self.errors if (path_of(error) or [None])[0] == name]


class Refusal(LaunchError):
    """W&B answers, and refuses what it was asked for; a part of the data may have come."""

    def __init__(self, text: str, answer: Answer | None = None) -> None:
        self.answer = answer or Answer()
        super().__init__(text)


class Refused(Refusal, Retry):
    """W&B did not do what it was asked for: errors, 400, 404, 409 and the like."""


class NotAllowed(Refusal, Denied):
    """W&B knows the key, and its owner may not do this."""


class Lost(Retry):
    """A query, repeated, has no readable answer: a cut or slow connection, 5xx, no JSON."""


def read_answer(status: int, body: bytes) -> Answer:
    """Read an answer; one that is no JSON object has neither data nor errors."""
    try:
        read = json.loads(body.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        read = None
    return answer_of(status, read)


def answer_of(status: int, read: Any) -> Answer:
    """Take an answer apart, whatever it is."""
    if not isinstance(read, dict):
        return Answer(status)
    data, errors = read.get("data"), read.get("errors") or []
    errors = errors if isinstance(errors, list) else [errors]
    return Answer(status, data if isinstance(data, dict) else None, tuple(errors))


def reason(errors: Sequence[Any]) -> str:
    """Return the messages of errors as one text."""
    said = "; ".join(str(e.get("message", e) if isinstance(e, dict) else e) for e in errors)
    return said[:10_000].encode("utf-8", "replace").decode()


def path_of(error: Any) -> list[Any]:
    """Return where in the data an error belongs, empty if it does not say."""
    path = error.get("path") if isinstance(error, dict) else None
    return path if isinstance(path, list) else []


def refusal(text: str, answer: Answer) -> Refusal:
    """Return the refusal that this answer is: words before codes."""
    kind = NotAllowed if answer.status == 403 or _PERMISSION.search(answer.reason) else Refused
    return kind(text, answer)


def hides(exc: LaunchError) -> bool:
    """Tell whether a refusal says that our key cannot see a project. A 403 without W&B's own words does not."""
    if not isinstance(exc, Refusal):
        return False
    return bool(_PERMISSION.search(exc.answer.reason) or _NO_PROJECT.search(exc.answer.reason))


def misses(exc: LaunchError) -> str:
    """Return what a refusal says that W&B does not have: `item` or `queue`; empty if it says neither."""
    if not isinstance(exc, Refusal) or hides(exc) or not _NOT_FOUND.search(exc.answer.reason):
        return ""
    last = {str(path_of(error)[-1]) for error in exc.answer.errors if path_of(error)}
    text = exc.answer.reason.lower()
    if "runQueueItem" in last or "item" in text:
        return "item"
    return "queue" if "runQueue" in last or "queue" in text else ""


def at(value: Any, *path: str) -> Mapping[str, Any]:
    """Follow a path through an answer; what is missing, null or of another type on the way is empty."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items_of(value: Any) -> list[Any]:
    """Return a list out of an answer; anything else is an empty one."""
    return value if isinstance(value, list) else []
