"""Open the launch of a message."""

import logging
from dataclasses import replace
from datetime import datetime

from shared.core.errors import Conflict, KeyReused, NotAMessage
from shared.core.intake import from_request
from shared.core.launch import Launch
from shared.core.message import Request, Ticket
from shared.core.ports import Ledger
from shared.core.shorten import quoted

log = logging.getLogger(__name__)


def open_launch(message: Ticket | Request, ledger: Ledger, now: datetime) -> Launch | None:
    """Return the open launch of a message, or None. Records a new request.

    Raises:
        KeyReused: an earlier request has the same key and other content.
        NotAMessage: the request cannot be stored.
        Retry, Denied: the ledger cannot be reached.
    """
    if isinstance(message, Ticket):
        return ledger.read(message.launch_key)
    try:
        wanted = replace(from_request(message, now), digest=message.digest)
        return ledger.write(wanted)
    except Conflict:
        recorded = ledger.read(wanted.key)
        _compare(message, recorded or ledger.read_closed(wanted.key))
        return recorded
    except (ValueError, TypeError, RecursionError, OverflowError) as exc:
        log.exception("request.not_storable", extra={"fields": _names(message)})
        raise NotAMessage(f"the request cannot be stored: {type(exc).__name__}") from exc


def is_over(launch: Launch, message: Ticket | Request, ledger: Ledger) -> bool:
    """Tell whether this launch was closed before; deletes the record that a late duplicate opened.

    Raises:
        KeyReused: the closed launch has the same key and other content.
    """
    if not ledger.is_closed(launch.key):
        return False
    ledger.withdraw(launch.key)
    if isinstance(message, Request):
        _compare(message, ledger.read_closed(launch.key))
    return True


def _compare(request: Request, known: Launch | None) -> None:
    """Refuse other content under a used key. Records of older versions have no digest."""
    if known is None or known.digest in ("", request.digest):
        return
    log.error("request.key_reused", extra={"fields": _names(request)})
    key, source = quoted(request.idempotency_key, 256), quoted(request.source, 256)
    raise KeyReused(f"source {source} used the idempotency key {key} before, with other content")


def _names(request: Request) -> dict[str, str]:
    return {
        "launch_key": request.launch_key,
        "source": request.source,
        "idempotency_key": request.idempotency_key,
    }
