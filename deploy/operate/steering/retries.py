"""The retries of a launch: their keys come from its own, so no index of them is needed."""

from collections.abc import Iterator

from deploy.operate.fleet.target import Target
from shared.core.launch import Launch
from shared.core.retry import retry_key


def retries_of(target: Target, key: str) -> Iterator[Launch]:
    """Yield the retries of a launch that the ledger still has, the oldest first.

    Raises:
        Retry, Denied: the ledger cannot be reached, or may not be read.
    """
    number = 1
    while True:
        following = retry_key(key, number)
        found = target.ledger.read(following) or target.ledger.read_closed(following)
        if found is None:
            return
        yield found
        number += 1
