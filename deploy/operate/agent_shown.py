"""Show values of an agent's file to people, without possible secrets."""

import json
import re
from collections.abc import Mapping

from shared.core.redaction import is_secret, redacted
from shared.core.shorten import shown

NOT_SHOWN = "[not shown]"
_LONGEST = 160  # characters of a value; the middle of a longer one is left out
_KEY_SHAPE = re.compile(r"\b[0-9A-Za-z_]{40,}\b")  # W&B's keys, old and new, and many others
# also of an image's name, which has lost its https://; `image:tag@sha256:…` has none
_USERINFO = re.compile(r"(?<=//)[^/@\s]*@|[^\s/@:'\"]+:[^\s/@]+@(?!sha(?:256|384|512):)")


def hidden(text: str) -> str:
    """Return a text without logins of addresses, and without words of the form of a secret."""
    return _KEY_SHAPE.sub(NOT_SHOWN, redacted(_USERINFO.sub(f"{NOT_SHOWN}@", text)))


def hides(key: str, value: object) -> bool:
    """Tell whether a value is, or holds, a possible secret."""
    if isinstance(value, Mapping | list):
        return False
    return bool(value) and (is_secret(key) or hidden(str(value)) != str(value))


def printable(key: str, value: object) -> str:
    """Return the printable form of a value, without possible secrets."""
    if is_secret(key) and value:
        return NOT_SHOWN
    if isinstance(value, list):
        entries = ("[…]" if isinstance(one, list) else printable(key, one) for one in value)
        return (
            ", ".join(json.dumps(one, ensure_ascii=False) if "," in one else one for one in entries)
            or "nothing"
        )
    if isinstance(value, Mapping):
        return "{…}" if value else "nothing"
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    return shown(hidden(str(value)), _LONGEST)
