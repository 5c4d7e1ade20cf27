"""The environment of every process on this machine: a few of the caller's variables, and UTF-8.

A caller's shell may set a proxy, W&B's or Google's variables, another Python's folders, or an
encoding without our characters. None of these reaches the stack, the demo or the tests.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parent.parent.parent
LOOPBACK = "127.0.0.1,localhost,::1"
NO_PROXY = {"no_proxy": LOOPBACK, "NO_PROXY": LOOPBACK}
KEPT = (  # paths of programs, libraries and time zones; the caller's name; the terminal
    "PATH", "LD_LIBRARY_PATH", "JAVA_HOME", "TZ", "USER", "LOGNAME", "SHELL",
    "TERM", "COLORTERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CI", "MAKELEVEL",
)  # fmt: skip
# FOLDER:PID of the run that started a process, in the variables of each of its processes
MARK = "VERTEX_LAUNCH_STACK"
_BEGUN = "VERTEX_LAUNCH_BEGUN"  # marks a command that has begun again


def clean(
    home: Path | None = None, caller: Mapping[str, str] = os.environ, also: Sequence[str] = ()
) -> dict[str, str]:
    """Return an environment without the caller's proxies, accounts and settings.

    `home` becomes HOME, so that no process reads or writes the caller's files (.netrc, .config).
    `also` are prefixes of further variables to keep.
    """
    kept = {
        name: value
        for name, value in caller.items()
        if name in KEPT or name.startswith(tuple(also))
    }
    scratch = Path(caller.get("TMPDIR", ""))
    if scratch.is_absolute() and scratch.is_dir() and os.access(scratch, os.W_OK | os.X_OK):
        kept["TMPDIR"] = str(scratch)
    where = str(home.resolve()) if home else caller.get("HOME", "/")
    python = {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    return kept | {"HOME": where, "LANG": "C.UTF-8"} | NO_PROXY | python


def mark(caller: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return this process's own mark, for a process that gets an environment of its own."""
    return {MARK: caller[MARK]} if MARK in caller else {}


def begin_again(module: str = "deploy") -> None:
    """Start this command (`python -m MODULE`) again in a clean environment, once.

    A running Python keeps its encoding, warnings and search path, so a change of `os.environ` is
    not enough.
    """
    if os.environ.pop(_BEGUN, None):
        os.umask(0o022)
        return
    _execute(
        [sys.executable, "-m", module, *sys.argv[1:]],
        clean() | {"PYTHONPATH": str(ROOT), _BEGUN: "1"},
    )


def _execute(command: list[str], environ: Mapping[str, str]) -> NoReturn:
    os.execve(command[0], command, dict(environ))  # noqa: S606 - no shell, by intention
