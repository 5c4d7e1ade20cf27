"""Find secrets by the names of their variables, and remove them from texts."""

import re
from collections.abc import Iterable, Iterator, Mapping

REDACTED = "[redacted]"
KEYS = frozenset({"_wandb_api_key", "WANDB_API_KEY"})  # fields of a run spec that contain a W&B key
SHORTEST = 6  # characters of a secret; a KEY_VERSION of `1` must not be removed everywhere

_NAMED = re.compile("KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
_LOGIN = re.compile(r"(?<=://)[^/@\s'\"\\]+(?=@)")  # https://USER:PASSWORD@host
_LIKELY = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])"  # W&B's keys; also a commit's id
    r"|\bwandb_v1_\w{20,}"
    r"|(?<=Bearer )\S+"
    r"|(?<=KEY=)\S+|(?<=TOKEN=)\S+|(?<=SECRET=)\S+|(?<=PASSWORD=)\S+"
)
_SIGNATURE = re.compile(r"(?i)(?<=signature=)[\w%+/=.-]+")  # of a signed URL


def is_secret(name: object) -> bool:
    """Tell whether a variable of this name contains a secret."""
    return isinstance(name, str) and bool(_NAMED.search(name))


def secrets_in(value: object) -> Iterator[str]:
    """Yield the secrets in a run spec or a CustomJob's arguments, at any depth."""
    if isinstance(value, Mapping):
        variable = is_secret(value.get("name"))
        for key, one in value.items():
            if isinstance(one, str) and (key in KEYS or (variable and key == "value")):
                yield one
            yield from secrets_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from secrets_in(one)


def without(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without these secrets, and without the login or signature of any URL."""
    for secret in sorted(secrets, key=len, reverse=True):  # one can be part of another
        if len(secret) >= SHORTEST:
            text = text.replace(secret, REDACTED)
    return _SIGNATURE.sub(REDACTED, _LOGIN.sub(REDACTED, text))


def without_likely(text: str) -> str:
    """Return an outsider's text without anything that looks like a key."""
    return _LIKELY.sub(REDACTED, text)


def redact(exc: Exception, secrets: Iterable[str]) -> None:
    """Remove these secrets from an error's message."""
    hidden = tuple(secrets)
    exc.args = tuple(without(str(arg), hidden) for arg in exc.args)
