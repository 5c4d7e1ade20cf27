"""From a message to the launch that it is about."""

import logging
from dataclasses import replace
from datetime import datetime

from shared.core.errors import Conflict, KeyReused, NotAMessage
from shared.core.intake import from_request
from shared.core.launch import Launch
from shared.core.message import Request, Ticket
from shared.core.ports import Ledger

log = logging.getLogger(__name__)


def open_launch(message: Ticket | Request, ledger: Ledger, now: datetime) -> Launch | None:
    """Return the open launch of a message; a request that is new is written down. None: there is none (any more).

    Raises:
        KeyReused: the launch was asked for with other content.
        NotAMessage: the request cannot be stored.
        Retry, Denied: the ledger cannot be reached.
    """
    if isinstance(message, Ticket):
        return ledger.read(message.launch_key)
    try:
        wanted = replace(from_request(message, now), digest=message.digest)
        return ledger.write(wanted)
    except Conflict:
        there = ledger.read(wanted.key)
        _compare(message, there or ledger.read_closed(wanted.key))
        return there
    except (ValueError, TypeError, RecursionError, OverflowError) as exc:
        log.exception("request.not_storable", extra={"fields": _names(message)})
        raise NotAMessage(f"the request cannot be stored: {type(exc).__name__}") from exc


def is_over(launch: Launch, message: Ticket | Request, ledger: Ledger) -> bool:
    """Tell whether this launch was closed before; its record, which a late duplicate has opened, is taken away.

    Raises:
        KeyReused: it was closed, and the message asks for something else under its key.
    """
    if not ledger.is_closed(launch.key):
        return False
    ledger.withdraw(launch.key)
    if isinstance(message, Request):
        _compare(message, ledger.read_closed(launch.key))
    return True


def _compare(request: Request, known: Launch | None) -> None:
    """Refuse other content under a key that was used. Older records have no digest."""
    if known is None or known.digest in ("", request.digest):
        return
    log.error("request.key_reused", extra={"fields": _names(request)})
    raise KeyReused(
        f"the idempotency key {request.idempotency_key!r} of {request.source!r} was used before, with other content"
    )


def _names(request: Request) -> dict[str, str]:
    return {
        "launch_key": request.launch_key,
        "source": request.source,
        "idempotency_key": request.idempotency_key,
    }
