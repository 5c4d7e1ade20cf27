"""What a program in a container prints: lines of the job's or the build's log, without secrets."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

# of a URL, in git's or pip's output; a password with a slash ends at the last @, and the @ of
# https://host.tld/path@commit ends none
LOGIN = re.compile(r"//(?:[^\s'\"/]*|(?![\w-]+(?:\.[\w-]+)+/)[^\s'\"]*)@")
SIGNATURE = re.compile(r"(://[^\s'\"?]*)\?[^\s'\"]+")  # its query can be a permission
SHOWN = 12  # names in a warning
KEPT = 20  # lines of a command's output, in which its error stands


class Problem(Exception):
    """Why the job cannot be started; the log may show the text."""


def say(line: str) -> None:
    """Write a line into the log."""
    write(f"vertex-launch: {line}\n")


def write(text: str) -> None:
    """Write a text into the log."""
    sys.stderr.write(hidden(text))
    sys.stderr.flush()


def hidden(text: str) -> str:
    """Return a text without W&B's key, and without the login and the query of any URL."""
    key = os.environ.get("WANDB_API_KEY", "")
    for secret in (login().split()[1], key) if key else ():
        text = text.replace(secret, "[redacted]")
    return SIGNATURE.sub(r"\1?[redacted]", LOGIN.sub("//[redacted]@", text))


def login() -> str:
    """Return W&B's key as a header."""
    key = os.environ["WANDB_API_KEY"]
    return "Basic " + base64.b64encode(f"api:{key}".encode()).decode()


def run(what: str, *command: str, folder: Path) -> None:
    """Run a command to its end; the log gets its output, and the error its last lines."""
    code, lines = called(*command, folder=folder, show=True)
    if code:
        raise Problem(f"{what} ended with exit code {code}: {reason(lines)}")


def called(*command: str, folder: Path, show: bool = False) -> "tuple[int, list[str]]":
    """Run a command to its end; return its exit code and its last lines."""
    lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=str(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        for line in process.stdout or ():
            text = line.decode("utf-8", "replace")
            lines = [*lines[1 - KEPT :], text.strip()]
            if show:
                write(text)
    return process.returncode, lines


def reason(lines: "list[str]", count: int = 2) -> str:
    """Return the error in the last lines of a command; `count` is the number of lines."""
    found = [line for line in lines if line.lower().startswith(("error", "fatal"))]
    return " ".join((found or [line for line in lines if line])[-count:])
