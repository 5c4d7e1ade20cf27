"""Guess the value that was meant by one in another program's form."""

import re

from shared.core.accounts import service_account
from shared.core.ports import CustomJobCall
from shared.runspec.forms import hardware

_MEMBER = re.compile(r"(serviceAccount|user|group|domain):")  # as IAM writes members
_KEY = re.compile(r".*(projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+).*")
_NUMBER = re.compile(r".*(projects/\d+/global/networks/[^/]+)")
_RESERVATION = re.compile(r".*(projects/[^/]+/zones/[^/]+/reservations/.+)")
_SERIES = re.compile(r"[a-z]{1,2}\d+[a-z]*-")  # how Google's machine types begin: n1-, c4a-, ct6e-
_ATTACHMENT = re.compile(r".*(projects/[^/]+/regions/[^/]+/networkAttachments/[^/]+)")


def lower(value: str, _: CustomJobCall) -> str:
    """Guess the value in lower case, with dashes."""
    return value.strip().lower().replace("_", "-").replace(" ", "-")


def account(value: str, call: CustomJobCall) -> str:
    """Guess an account from IAM's form of a member, a resource name, or a name alone."""
    named = _MEMBER.sub("", value.strip()).rpartition("/")[2].lower()
    is_name = re.fullmatch(r"[a-z][a-z0-9-]*", named) and not call.project.isdecimal()
    return service_account(named, call.project) if is_name else named


def machine(value: str, call: CustomJobCall) -> str:
    """Guess a machine type from a name of Cloud TPU's own API, or from another spelling."""
    plain = lower(value.rpartition("/")[2], call)
    names = {"ct5lp": "v5e", "ct6e": "v6e"}
    tpu = hardware.tpu_machine(names.get(plain, plain))
    return tpu or (plain if _SERIES.match(plain) else "")


def network(value: str, _: CustomJobCall) -> str:
    """Guess a network from its URL; no one but Google knows the number of a project."""
    found = _NUMBER.fullmatch(value.strip())
    return found[1] if found else ""


def attachment(value: str, _: CustomJobCall) -> str:
    """Guess a network attachment from its URL."""
    found = _ATTACHMENT.fullmatch(value.strip())
    return found[1] if found else ""


def reservation(value: str, _: CustomJobCall) -> str:
    """Guess a reservation from its URL."""
    found = _RESERVATION.fullmatch(value.strip())
    return found[1] if found else ""


def last_part(value: str, call: CustomJobCall) -> str:
    """Guess an id from a full resource name."""
    return lower(value.rstrip("/").rpartition("/")[2], call)


def key(value: str, _: CustomJobCall) -> str:
    """Guess a key from its URL, or from one of its versions."""
    found = _KEY.fullmatch(value.strip())
    return found[1] if found else ""


def dotted(value: str, _: CustomJobCall) -> str:
    """Guess a DNS name with its final dot."""
    return f"{value.strip().lower().rstrip('.')}."
