"""Unforeseen errors: each is a failure of one launch, and its stack trace goes to the log."""

import logging
from collections.abc import Sequence

from shared.core.errors import LaunchError, Retry
from shared.core.launch import Launch
from shared.core.redaction import redact, secrets_in
from shared.core.shorten import shown

log = logging.getLogger(__name__)

LONGEST = 500  # characters of an unforeseen error's message


def foreseen(launch: Launch, exc: Exception, secrets: Sequence[str] = ()) -> LaunchError:
    """Return an error without secrets: its text goes to W&B, the ledger and the log.

    An error that is not a LaunchError is logged with its stack trace, and becomes a Retry.
    """
    text = _text(exc)
    try:
        hidden = [*secrets, *secrets_in(launch.run_spec)]
        redact(exc, hidden)
    except Exception:  # noqa: BLE001 - too deep a spec, or arguments without a text: show nothing
        hidden, text = [], type(exc).__name__
        exc = Retry(text).with_traceback(exc.__traceback__)
    if isinstance(exc, LaunchError):
        return exc
    log.error("launch.unforeseen_error", exc_info=exc, extra={"fields": {"launch_key": launch.key}})
    why = Retry(f"unexpected error; its details are in this deployment's log: {text}")
    redact(why, hidden)
    return why


def _text(exc: Exception) -> str:
    try:
        message = " ".join(str(exc).split())
    except Exception:  # noqa: BLE001 - such as of an integer with more digits than Python prints
        message = ""
    return f"{type(exc).__name__}: {shown(message, LONGEST)}".rstrip(" :")
