"""What W&B's answers mean: data, a refusal of one request, or a failure of the whole service."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from shared.core.bounded_json import check_values, one_at_a_time
from shared.core.errors import Denied, LaunchError, Reject, Retry, SettingsError
from shared.core.redaction import redacted
from shared.core.shorten import shown

# statuses that concern one request, not the service; 403 and 200 can concern either
CONTENT = (400, 404, 409, 410, 413, 414, 422)
_PERMISSION = re.compile(r"permission|forbidden|access denied|not authorized", re.IGNORECASE)
_NO_PROJECT = re.compile(
    r"(project|entity)\b.*\b(not found|not exist|unknown)"
    r"|(unknown|could not find|no such) (project|entity)",
    re.IGNORECASE | re.DOTALL,
)
_NOT_FOUND = re.compile(r"not found|not exist|unknown|could not find|no such", re.IGNORECASE)


LONGEST = 10_000  # characters of the messages of errors


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of W&B: its status, its data (possibly partial), and its errors."""

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
    """W&B answers, and refuses the request; a part of the data may be there."""

    def __init__(self, text: str, answer: Answer | None = None) -> None:
        self.answer = answer or Answer()
        super().__init__(text)


class Refused(Refusal, Retry):
    """W&B did not do it: errors, 400, 404, 409 and the like."""


class NotAllowed(Refusal, Denied):
    """W&B knows the key, and its owner lacks the permission."""


class Lost(Retry):
    """A repeated query has no readable answer: a cut or slow connection, 5xx, no JSON."""


def read_answer(status: int, body: bytes) -> Answer:
    """Read an answer; without a JSON object it has neither data nor errors.

    Raises:
        Refused: it has too many values for a function's memory.
    """
    read = None
    with one_at_a_time(len(body)), suppress(ValueError, RecursionError):
        text = body.decode("utf-8", "surrogatepass")
        try:
            check_values(text, "W&B's answer")
        except Reject as exc:
            raise Refused(str(exc)) from exc
        read = json.loads(text)
    return answer_of(status, read)


def answer_of(status: int, read: Any) -> Answer:
    """Read the parsed JSON of an answer; it can have any type."""
    if not isinstance(read, dict):
        return Answer(status)
    data, errors = read.get("data"), read.get("errors") or []
    errors = errors if isinstance(errors, list) else [errors]
    return Answer(status, data if isinstance(data, dict) else None, tuple(errors))


def reason(errors: Sequence[Any]) -> str:
    """Return the messages of errors as one text."""
    text = "; ".join(_message(error) for error in errors)
    return shown(redacted(text), LONGEST).encode("utf-8", "replace").decode()


def _message(error: Any) -> str:
    return str(error.get("message", error) if isinstance(error, dict) else error)


def path_of(error: Any) -> list[Any]:
    """Return the path in the data that an error names; empty if it names none."""
    path = error.get("path") if isinstance(error, dict) else None
    return path if isinstance(path, list) else []


def refusal(text: str, answer: Answer) -> Refusal:
    """Return the refusal of an answer: its message counts more than its status."""
    kind = NotAllowed if answer.status == 403 or _PERMISSION.search(answer.reason) else Refused
    return kind(text, answer)


@contextmanager
def for_author(field: str, name: str, fix: str) -> Iterator[None]:
    """Turn a refusal of W&B into one that the author of a launch can act on.

    Raises:
        Reject: our key may not read `name`, which `field` of the run spec names.
        Denied: the settings are wrong; an operator has to fix them.
    """
    try:
        yield
    except NotAllowed as exc:
        problem = f"{name} may not be read with this deployment's API key"
        raise Reject(field, problem, fix) from exc
    except SettingsError as exc:
        raise Denied(str(exc)) from exc


def hides(exc: LaunchError) -> bool:
    """Tell whether a refusal says that our key cannot see a project; a bare 403 does not."""
    if not isinstance(exc, Refusal):
        return False
    return bool(_PERMISSION.search(exc.answer.reason) or _NO_PROJECT.search(exc.answer.reason))


def misses(exc: LaunchError) -> str:
    """Return what W&B does not have, says a refusal: `item`, `queue`, or empty."""
    if not isinstance(exc, Refusal) or hides(exc) or not _NOT_FOUND.search(exc.answer.reason):
        return ""
    last = {str(path_of(error)[-1]) for error in exc.answer.errors if path_of(error)}
    text = exc.answer.reason.lower()
    if "runQueueItem" in last or "item" in text:
        return "item"
    return "queue" if "runQueue" in last or "queue" in text else ""


def at(value: Any, *path: str) -> Mapping[str, Any]:
    """Follow a path through an answer; a step that is not an object is empty."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items_of(value: Any) -> list[Any]:
    """Return a list of an answer; anything else is an empty list."""
    return value if isinstance(value, list) else []
