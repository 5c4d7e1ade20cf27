"""Unforeseen errors: each is a failure of one launch, and its stack trace goes to the log."""

import logging

from shared.core.errors import LaunchError, Retry, described
from shared.core.launch import Launch
from shared.core.redaction import hiding, secrets_in
from shared.core.shorten import shown

log = logging.getLogger(__name__)

LONGEST = 500  # characters of an unforeseen error's message


def foreseen(launch: Launch, exc: Exception) -> LaunchError:
    """Return a LaunchError; another error is logged with its stack trace, and becomes a Retry."""
    if isinstance(exc, LaunchError):
        return exc
    fields = {"launch_key": launch.key}
    with hiding(secrets_in(launch.run_spec)):
        log.error("launch.unforeseen_error", exc_info=exc, extra={"fields": fields})
    text = shown(" ".join(described(exc).split()), LONGEST).rstrip(" :")
    return Retry(f"unexpected error; its details are in this deployment's log: {text}")
