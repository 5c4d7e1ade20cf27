"""Secrets that a name betrays: variables of a job, and fields of a run spec.

In doubt a name is secret. Names of settings that only speak of a key or a token are not:
MAX_TOKENS, KEY_VERSION, TOKENIZERS_PARALLELISM, PATIENCE.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

KEYS = frozenset({"_wandb_api_key", "WANDB_API_KEY"})  # fields of a run spec that contain a W&B key

# anywhere in a name, without its separators
_STRONG = re.compile(
    "PASSWORD|PASSWD|PASSPHRASE|PASSCODE|SECRET|CREDENTIAL|APIKEY|APITOKEN|AUTHTOKEN|AUTHKEY"
    "|ACCESSKEY|ACCESSTOKEN|REFRESHTOKEN|IDTOKEN|PRIVATEKEY|SIGNINGKEY|ENCRYPTIONKEY|ACCOUNTKEY"
    "|SSHKEY|DEPLOYKEY|CONNECTIONSTRING|CONNSTR|AUTHORIZATION|BEARER|NETRC|PGPASS|WEBHOOK|COOKIE"
    "|MNEMONIC|GITCONFIGVALUE|GITCONFIGPARAMETERS|DOCKERCONFIGJSON|SIGNATURE"
    "|(DATABASE|DB|REDIS|MONGO|MONGODB|AMQP|RABBITMQ|BROKER|POSTGRES|POSTGRESQL|MYSQL)UR[IL]"
)
_WORD_OF_A_SECRET = re.compile(
    "CREDS?|DSN|HMAC|JWT|KEYTAB|OAUTH2|OTP|P12|PATS?|PEM|PEPPER|PFX|PRIVATE|PW|SALT|SAS|SESSION"
    "|SIG|TOTP|.*(KEY|TOKEN|PASS|PWD|AUTH)[0-9]*"  # GHTOKEN, DBPASS, KEY2
)
_OTHERS = ("BYPASS", "COMPASS", "DONKEY", "HOCKEY", "HOTKEY", "JOCKEY", "MONKEY", "OLDPWD")
# the last word of a name that only says something about a secret
_ABOUT = re.compile(
    "ALGORITHM|COUNT|ENABLED|ERROR|FILE|LENGTH|LIMIT|NAMES?|PATH|REQUIRED|SIZE|TIMEOUT|TTL|TYPE|VERSION"
)
# two words of a name that mean no secret
_NO_SECRET = re.compile(
    "(FOREIGN|IDEMPOTENCY|LAUNCH|PARTITION|PRIMARY|PUBLIC|SORT) KEY"
    "|(BOS|CLS|EOS|MASK|MAX|MIN|NEW|NUM|PAD|PAGE|PER|SEP|SPECIAL|UNK) TOKEN|(TOKEN|KEY) ID"
)

_WORD = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")
_LOGIN = re.compile(r"://([^\s/:@]*):([^\s'\"]{1,1000})@|://([^\s/:@]+)@")
_SEVERAL_WORDS = re.compile("[_-]|[a-z][A-Z]")
_PART = re.compile(r"[^\s\"'=:;,{}]{12,}")


def is_secret(name: object) -> bool:
    """Tell whether a variable of this name contains a secret."""
    return isinstance(name, str) and _is_secret(name)


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    words = [word.upper() for word in _WORD.findall(name[:200])]
    if not words or words == ["PWD"] or _ABOUT.fullmatch(words[-1]):
        return False
    if is_surely_secret(name):
        return True
    left = [each for each in _NO_SECRET.sub("", " ".join(words)).split() if each not in _OTHERS]
    return any(_WORD_OF_A_SECRET.fullmatch(each) for each in left)


def is_surely_secret(name: str) -> bool:
    """Tell whether no other meaning of this name is likely; KEY and TOKEN have others."""
    return bool(_STRONG.search(re.sub("[^A-Z0-9]", "", name[:200].upper())))


def secrets_in(value: object) -> Iterator[str]:
    """Yield the secrets in a run spec or a CustomJob's arguments, at any depth.

    They are W&B's keys, the values of variables, arguments and fields with a secret's name, and
    passwords in the addresses of other variables.
    """
    left = [value]  # not recursive: it may be nested deeper than Python's own stack
    while left:
        current = left.pop()
        if isinstance(current, Mapping):
            for key, one in current.items():
                if isinstance(one, str):
                    yield from _secrets_of(key, one, current.get("name"))
            current = list(current.values())
        if isinstance(current, list | tuple):
            yield from _secrets_of_arguments(current)
            left += reversed(current)


def _secrets_of_arguments(arguments: Sequence[object]) -> Iterator[str]:
    """Yield the values of flags: `--token=VALUE`, and `--token`, `VALUE`."""
    for place, flag in enumerate(arguments):
        if not isinstance(flag, str) or not flag.startswith("-"):
            continue
        name, separator, value = flag.lstrip("-").partition("=")
        following = arguments[place + 1] if place + 1 < len(arguments) else None
        if is_secret(name):
            yield from _all_of(value if separator else str(following or ""))


def _secrets_of(key: object, value: str, variable: object) -> Iterator[str]:
    named = isinstance(key, str) and is_secret(key)
    # a run's config may have a `key` or a `session` that is none
    sure = named and (is_surely_secret(str(key)) or bool(_SEVERAL_WORDS.search(str(key))))
    if key in KEYS or sure or (key == "value" and is_secret(variable)):
        yield from _all_of(value)
    elif key == "value":
        yield from _passwords(value)


def _all_of(secret: str) -> Iterator[str]:
    """Yield a secret and its parts: a program may print the password of an address alone."""
    yield secret
    yield from _passwords(secret)
    if secret.lstrip().startswith("{"):
        try:
            yield from secrets_in(_parsed(secret))
        except (ValueError, RecursionError):
            return
    elif re.search(r"\s", secret.strip()):
        yield from (part for part in _PART.findall(secret) if re.search(r"\d", part))


def _parsed(text: str) -> Any:
    return json.loads(text)


def _passwords(text: str) -> Iterator[str]:
    for _, password, token in _LOGIN.findall(text):
        yield from {password or token, unquote(password or token)}
