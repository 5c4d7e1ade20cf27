"""Who asks: the account that a command records with what it changes. It is shown, never trusted."""

import configparser
import getpass
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from deploy.operate.plain import plain
from shared.core.shorten import shown

LONGEST = 100  # characters of an account


def as_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --as; the command receives `by`."""
    return click.option(
        "--as",
        "by",
        envvar="VERTEX_LAUNCH_AS",
        callback=lambda _context, _option, given: _shown(given or person()),
        help="Who asks, as text for others.  [default: gcloud's account, or you@this machine]",
    )(command)


def person() -> str:
    """Return the caller's account, without a call: Google's if one is configured."""
    return next(account for account in _accounts() if account)


def _accounts() -> Iterator[str]:
    yield os.environ.get("CLOUDSDK_CORE_ACCOUNT", "").strip()
    yield _of_key_file(os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", ""))
    yield _of_gcloud()
    yield f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return "somebody"


def _of_key_file(name: str) -> str:
    try:
        key = json.loads(Path(name).read_text(encoding="utf-8")) if name else {}
        return str(key.get("client_email", "")) if isinstance(key, dict) else ""
    except (OSError, ValueError):
        return ""


def _of_gcloud() -> str:
    """Return the account of gcloud's active configuration, from its files."""
    folder = Path(os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud")
    try:
        name = os.environ.get("CLOUDSDK_ACTIVE_CONFIG_NAME") or _text(folder / "active_config")
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(_text(folder / "configurations" / f"config_{name or 'default'}"))
        return parser.get("core", "account", fallback="").strip()
    except (OSError, ValueError, configparser.Error):
        return ""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _shown(account: str) -> str:
    return shown(plain(account), LONGEST) or "somebody"
