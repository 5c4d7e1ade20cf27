"""Errors that nobody foresaw: each counts as a failure of one launch, and its operators read where it came from."""

import logging
from collections.abc import Sequence

from shared.core.errors import LaunchError, Retry
from shared.core.launch import Launch
from shared.core.redaction import redact, secrets_in

log = logging.getLogger(__name__)

LONGEST = 500  # characters of an unforeseen error's own words


def foreseen(launch: Launch, exc: Exception, secrets: Sequence[str] = ()) -> LaunchError:
    """Return an error without secrets: its text goes to W&B, the ledger and the log.

    One that is none of ours is logged with its stack trace, and counts as a failure in passing.
    """
    words = _words(exc)
    try:
        hidden = [*secrets, *secrets_in(launch.run_spec)]
        redact(exc, hidden)
    except Exception:  # noqa: BLE001 - a spec nested too deeply, or arguments without a text: show none of it
        hidden, words = [], type(exc).__name__
        exc = Retry(words).with_traceback(exc.__traceback__)
    if isinstance(exc, LaunchError):
        return exc
    log.error("launch.unforeseen_error", exc_info=exc, extra={"fields": {"launch_key": launch.key}})
    why = Retry(f"an error that this deployment does not know, and that its log shows: {words}")
    redact(why, hidden)
    return why


def _words(exc: Exception) -> str:
    try:
        words = " ".join(str(exc).split())
    except Exception:  # noqa: BLE001 - such as of an integer with more digits than Python prints
        words = ""
    return f"{type(exc).__name__}: {words[:LONGEST]}".rstrip(" :")
