"""W&B's address, WANDB_BASE_URL: read once, in one form, for every function and for every job."""

import re
from urllib.parse import urlsplit

CLOUD = "https://api.wandb.ai"
_HOST = re.compile(r"[^\s/?#@\\:\[\]]+|\[[0-9A-Fa-f:.]+\]")
_PAGES = re.compile(r"(app\.|www\.)?wandb\.ai")  # people's pages, which wandb's client refuses


def base_url(written: str) -> str:
    """Return an address with scheme and host in lower case, with its path, without a final slash.

    Raises:
        ValueError: it is not the address of a W&B server; the message says what to write.
    """
    text = written.strip()
    shape = re.match(r"(https?)://", text, re.IGNORECASE)
    if not shape:
        raise ValueError("is not an address. Write https://HOST, with a path if W&B has one")
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise ValueError("has a user or a password in it, which every job would show. Remove it")
    if re.search(r"[\s?#\\]", text):
        raise ValueError("has a space, a backslash, ? or #. Write only https://HOST/PATH")
    try:
        parts = urlsplit(text)
        host, port = parts.netloc.removesuffix(f":{parts.port}"), parts.port
    except ValueError as exc:
        raise ValueError("has a port that is not a number from 0 to 65535") from exc
    if not _HOST.fullmatch(host):
        raise ValueError("has no host. Write https://HOST, with a path if W&B has one")
    scheme, host, path = shape[1].lower(), host.lower(), parts.path.rstrip("/")
    if _PAGES.fullmatch(host):
        raise ValueError(f"is the address of W&B's pages. Write {CLOUD}")
    if scheme == "http" and host == "api.wandb.ai":
        raise ValueError(f"has no encryption, which wandb refuses. Write {CLOUD}")
    if path.endswith("/graphql"):
        raise ValueError("ends with /graphql. Remove that: the functions add it")
    return f"{scheme}://{host}{'' if port is None else f':{port}'}{path}"
