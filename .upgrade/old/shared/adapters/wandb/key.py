"""Whether W&B accepts our key, for submit: a query that W&B's own client sends."""

import logging
import time
from collections.abc import Callable

from shared.adapters.wandb import documents
from shared.adapters.wandb.graphql import Graphql
from shared.core.errors import KeyRefused, LaunchError

log = logging.getLogger(__name__)

FRESH = 60.0  # seconds; a burst of launches asks once


class WandbKey:
    """Checks the key that a job would get."""

    def __init__(self, graphql: Graphql, clock: Callable[[], float] = time.monotonic) -> None:
        self._graphql = graphql
        self._clock = clock
        self._asked_at = -FRESH

    def check(self) -> None:
        """Ask W&B at most once a minute; without an answer, the key counts as valid.

        Raises:
            KeyRefused: W&B does not accept it.
        """
        if self._clock() - self._asked_at < FRESH:
            return
        try:
            self._graphql.query(documents.VIEWER, {})
        except KeyRefused:
            raise
        except LaunchError as exc:
            log.info("wandb.key_not_checked", extra={"fields": {"because": str(exc)}})
        self._asked_at = self._clock()
