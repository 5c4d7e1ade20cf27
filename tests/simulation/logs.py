"""What the functions log while a simulation runs: no key may be read in it, and no mistake of ours."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from shared.core.errors import LaunchError
from shared.core.launch import IllegalTransition
from tests.simulation.invariants import Violation
from tests.simulation.world import API_KEY, OWN_KEY

LOGGERS = ("functions", "shared")
LOST_CLAIM = "a claim was lost under its holder"  # but for a holder that froze for longer than its lease
DOUBLED = "two CustomJobs of one attempt"
NEVER = {"launch.claim_lost": LOST_CLAIM, "status.doubled": DOUBLED}


def is_mistake(exc: BaseException) -> bool:
    """Tell whether no verb should meet this error, caught or not."""
    return not isinstance(exc, LaunchError) or isinstance(exc, IllegalTransition)


class _Listener(logging.Handler):
    """Keeps what should not have been logged."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Violation] = []

    def emit(self, record: logging.LogRecord) -> None:
        event, error = record.getMessage(), record.exc_info[1] if record.exc_info else None
        line = f"{event} {getattr(record, 'fields', '')} {error}"
        if API_KEY in line or OWN_KEY in line:
            self.heard.append(Violation("a key can be read", f"the log: {event}"))
        if error and is_mistake(error):
            self.heard.append(Violation("a function raised an error", f"{event}: {error!r}"))
        if event in NEVER:
            self.heard.append(Violation(NEVER[event], event))


@contextmanager
def listening() -> Iterator[list[Violation]]:
    """Take all log records of the functions; return those that are violations."""
    listener = _Listener()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.addHandler(listener)
        logger.propagate = False
        logger.setLevel(logging.INFO)
    try:
        yield listener.heard
    finally:
        for logger, (propagate, level) in zip(loggers, before, strict=True):
            logger.removeHandler(listener)
            logger.propagate = propagate
            logger.setLevel(level)
