"""What is secret, by the names that people give to it, and texts without it: for errors, notices, logs and pages."""

import re
from collections.abc import Iterable, Iterator, Mapping

REDACTED = "[redacted]"
KEYS = frozenset({"_wandb_api_key", "WANDB_API_KEY"})  # under which a run spec holds a key of W&B
SHORTEST = 6  # characters of a secret; without the `1` of a KEY_VERSION a text would be in shreds

_NAMED = re.compile("KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
_LOGIN = re.compile(r"(?<=://)[^/@\s'\"\\]+(?=@)")  # https://USER:PASSWORD@host
_LIKELY = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])"  # W&B's keys; a commit's id, too
    r"|\bwandb_v1_\w{20,}"
    r"|(?<=Bearer )\S+"
    r"|(?<=KEY=)\S+|(?<=TOKEN=)\S+|(?<=SECRET=)\S+|(?<=PASSWORD=)\S+"
)
_SIGNATURE = re.compile(
    r"(?i)(?<=signature=)[\w%+/=.-]+"
)  # by which an address is its own permission


def is_secret(name: object) -> bool:
    """Tell whether a variable of this name holds a secret."""
    return isinstance(name, str) and bool(_NAMED.search(name))


def secrets_in(value: object) -> Iterator[str]:
    """Yield the secrets that a run spec, or the arguments made of one, carries at any depth: keys, and variables."""
    if isinstance(value, Mapping):
        variable = is_secret(value.get("name"))
        for key, one in value.items():
            if isinstance(one, str) and (key in KEYS or (variable and key == "value")):
                yield one
            yield from secrets_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from secrets_in(one)


def without(said: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without these secrets, without the login of any URL in it, and without what signs one."""
    for secret in sorted(secrets, key=len, reverse=True):  # one may be a part of another
        if len(secret) >= SHORTEST:
            said = said.replace(secret, REDACTED)
    return _SIGNATURE.sub(REDACTED, _LOGIN.sub(REDACTED, said))


def without_likely(said: str) -> str:
    """Return a text that somebody else has written without what looks like a key, whoever it belongs to."""
    return _LIKELY.sub(REDACTED, said)


def redact(exc: Exception, secrets: Iterable[str]) -> None:
    """Take these out of an error's message."""
    hidden = tuple(secrets)
    exc.args = tuple(without(str(arg), hidden) for arg in exc.args)
