"""A popped item, whose content never stops poll: its id first, then its run spec or the problem.

W&B hands an item out once, then leases it: an unreadable answer would block the item's queue.
"""

from typing import Any

from shared.adapters.wandb.answers import Answer, answer_of, at
from shared.adapters.wandb.graphql import Body
from shared.adapters.wandb.item_id import ID, OPERATION, IdFinder
from shared.core.bounded_json import (
    LARGEST,
    WRITE_JSON,
    one_at_a_time,
    parsed,
    parsed_bytes,
    problem,
    too_large,
)
from shared.core.errors import OutcomeUnknown
from shared.core.ports import QueueItem
from shared.core.redaction import redacted
from shared.core.shorten import shown

__all__ = ["LARGEST", "IdFinder", "Popped", "read_item"]

_RUN_SPEC = ("data", OPERATION, "runSpec")
_KINDS = {
    type(None): "null",
    list: "a list",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
}


class Popped(Body):
    """Collects the answer to a pop: at most LARGEST bytes, and the item's id at any position."""

    def __init__(self) -> None:
        super().__init__(LARGEST)
        self._finder = IdFinder()

    @property
    def item_id(self) -> str:
        """Return the item's id; empty until it is found."""
        return self._finder.found

    def take(self, piece: bytes) -> bool:
        """Keep a piece; of an answer that is too large, read only the id."""
        self._finder.feed(piece)
        if self.complete and super().take(piece):
            return True
        self.kept.clear()
        return not self.item_id


def read_item(body: Popped) -> tuple[Answer, QueueItem | None]:
    """Read the answer to a pop: the answer, and its item, with the problem of its run spec if any.

    Raises:
        OutcomeUnknown: the answer has no id that can be found; an item may be leased.
    """
    with one_at_a_time(len(body.kept)):
        if not body.complete:
            return Answer(200), _unreadable(body.item_id, too_large())
        read, flaw = parsed_bytes(bytes(body.kept), _RUN_SPEC)
        if flaw:
            return Answer(200), _unreadable(body.item_id, flaw)
        answer = answer_of(200, read)
        popped = at(answer.data, OPERATION)
        item_id = _id(popped.get(ID))
        if not item_id:
            return answer, None
        if answer.errors:
            flaw = problem(
                "W&B cannot show it", f"W&B's message: {shown(redacted(answer.reason), 300)}."
            )
            return answer, _unreadable(item_id, flaw)
        spec, flaw = _spec(popped.get("runSpec"))
    return answer, QueueItem(item_id, spec, flaw)


def _id(value: Any) -> str:
    if value is None or value == "":
        return ""
    if type(value) not in (str, int):
        raise OutcomeUnknown("W&B answers a pop with an item whose id is not text")
    return str(value)


def _unreadable(item_id: str, flaw: str) -> QueueItem:
    if not item_id:
        raise OutcomeUnknown(f"W&B's answer to a pop cannot be read: {flaw}")
    return QueueItem(item_id, {}, flaw)


def _spec(value: Any) -> tuple[dict[str, Any], str]:
    """Return a run spec, which W&B sends as an object or as JSON text; or its problem."""
    if isinstance(value, str):
        value, flaw = parsed(value)
        if flaw:
            return {}, flaw
    if isinstance(value, dict):
        return value, ""
    kind = _KINDS.get(type(value), "something else")
    return {}, problem(f"is {kind}, not a JSON object", WRITE_JSON)
