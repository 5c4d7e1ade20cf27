"""What the functions log while a simulation runs, so that a key in it is seen."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from tests.simulation.world import API_KEY, OWN_KEY

LOGGERS = ("functions", "shared")


class _Listener(logging.Handler):
    """Keeps the events in which a key can be read."""

    def __init__(self) -> None:
        super().__init__()
        self.leaks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else ""
        line = f"{record.getMessage()} {getattr(record, 'fields', '')} {error}"
        if API_KEY in line or OWN_KEY in line:
            self.leaks.append(f"the log: {record.getMessage()}")


@contextmanager
def listening() -> Iterator[list[str]]:
    """Listen to all that the functions log, in place of everybody else; return where a key could be read."""
    listener = _Listener()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.addHandler(listener)
        logger.propagate = False
        logger.setLevel(logging.INFO)
    try:
        yield listener.leaks
    finally:
        for logger, (propagate, level) in zip(loggers, before, strict=True):
            logger.removeHandler(listener)
            logger.propagate = propagate
            logger.setLevel(level)
