"""The environment of everything that runs on this machine: a short list of the caller's variables, and UTF-8.

A caller's shell may lead a process anywhere: a proxy, W&B's or Google's own variables, another Python's folders, an
encoding that cannot write our texts. None of them reaches the stack, the commands of the demo or the tests.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parent.parent.parent
LOOPBACK = "127.0.0.1,localhost,::1"
NO_PROXY = {"no_proxy": LOOPBACK, "NO_PROXY": LOOPBACK}
KEPT = (  # where programs, their libraries and time zones are; who the caller is; what the terminal can show
    "PATH", "LD_LIBRARY_PATH", "JAVA_HOME", "TZ", "USER", "LOGNAME", "SHELL",
    "TERM", "COLORTERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CI", "MAKELEVEL",
)  # fmt: skip
_BEGUN = "VERTEX_LAUNCH_BEGUN"  # set in the environment of a command that began again


def clean(
    home: Path | None = None, caller: Mapping[str, str] = os.environ, also: Sequence[str] = ()
) -> dict[str, str]:
    """Return an environment in which nothing of the caller's leads a process elsewhere.

    `home` becomes HOME, so that no file of the caller's (.netrc, .config) is read or written. `also` are prefixes of
    further variables to keep.
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


def begin_again(module: str = "deploy") -> None:
    """Let this command (`python -m MODULE`) begin again in a clean environment, unless it has done so already.

    A running Python keeps its encoding, its warnings and its search path, so changing `os.environ` is not enough.
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
