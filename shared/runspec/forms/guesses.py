"""Guess the value that was meant by one in another program's form."""

import re

from shared.core.accounts import service_account
from shared.core.ports import CustomJobCall
from shared.runspec.forms import hardware

_MEMBER = re.compile(r"(serviceAccount|user|group|domain):")  # as IAM writes members
_VERSION = re.compile(r"/cryptoKeyVersions/[^/]+$")
_NUMBER = re.compile(r".*(projects/\d+/global/networks/[^/]+)")
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
    names = {"ct5lp": "v5e", "ct6e": "v6e", "tpu7x": "7x"}
    return hardware.tpu_machine(names.get(plain, plain)) or plain


def network(value: str, _: CustomJobCall) -> str:
    """Guess a network from its URL; no one but Google knows the number of a project."""
    found = _NUMBER.fullmatch(value.strip())
    return found[1] if found else ""


def attachment(value: str, _: CustomJobCall) -> str:
    """Guess a network attachment from its URL."""
    found = _ATTACHMENT.fullmatch(value.strip())
    return found[1] if found else ""


def last_part(value: str, call: CustomJobCall) -> str:
    """Guess an id from a full resource name."""
    return lower(value.rstrip("/").rpartition("/")[2], call)


def key(value: str, _: CustomJobCall) -> str:
    """Guess a key from one of its versions."""
    return _VERSION.sub("", value.strip())


def dotted(value: str, _: CustomJobCall) -> str:
    """Guess a DNS name with its final dot."""
    return f"{value.strip().lower().rstrip('.')}."
