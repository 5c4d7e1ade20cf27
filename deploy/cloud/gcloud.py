"""Run gcloud: the steps of `bootstrap` and `destroy`."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console

AT_ONCE = 4  # gcloud spends most of its time starting and waiting
NOT_FOUND = ("NOT_FOUND", "404")
# gcloud prints google.rpc's word, or HTTP's number: `status=[404]`, `HTTPError 404:`, `: 404.`
_STATUS = re.compile(
    r"\b(NOT_FOUND|PERMISSION_DENIED|UNAUTHENTICATED|INVALID_ARGUMENT|FAILED_PRECONDITION"
    r"|ALREADY_EXISTS|ABORTED|RESOURCE_EXHAUSTED|UNAVAILABLE|INTERNAL|DEADLINE_EXCEEDED)\b"
    r"|(?:status=\[|HTTPError |: )([1-5]\d\d)(?=[\]:.,\s]|$)"
)
_ABSENT = re.compile(r"\b(not found|does not exist)\b")  # if gcloud prints no status


class GcloudError(click.ClickException):
    """A command failed; the message is the command, to repeat it, and gcloud's own message.

    `stderr` is gcloud's message alone: names in a command mean nothing about an error.
    """

    def __init__(self, message: str, stderr: str = "") -> None:
        super().__init__(message)
        self.stderr = stderr

    @property
    def status(self) -> str:
        """Return Google's status as gcloud prints it: a word, an HTTP code, or empty."""
        found = _STATUS.search(self._error)
        return (found[1] or found[2]) if found else ""

    @property
    def absent(self) -> bool:
        """Tell whether the resource does not exist. Words count only without a status."""
        return self.status in NOT_FOUND or (not self.status and bool(_ABSENT.search(self._error)))

    @property
    def denied(self) -> bool:
        """Tell whether the caller may not do this, or the resource is somebody else's."""
        return self.status in ("PERMISSION_DENIED", "403") or " does not have " in self._error

    @property
    def _error(self) -> str:
        """Return stderr from the error on; warnings precede it."""
        return self.stderr[max(self.stderr.find("ERROR:"), 0) :]


def no_updates(_: Any) -> tuple[tuple[str, ...], ...]:
    """Return no commands: an existing resource stays as it is."""
    return ()


@dataclass(frozen=True)
class Step:
    """One gcloud command, and how to tell whether it is needed.

    `describe` is a command that describes the resource; `updates` returns, for that description,
    the commands that bring it up to date. A step without `describe` is safe to repeat. A step
    without `command` creates nothing; for a missing resource, `updates` gets None.
    `stdin` is the standard input of `command`.
    """

    name: str
    command: tuple[str, ...]
    describe: tuple[str, ...] = ()
    updates: Callable[[Any], Iterable[tuple[str, ...]]] = no_updates
    stdin: str = ""


def run(command: Sequence[str], stdin: str = "") -> str:
    """Run `gcloud COMMAND` and return its output.

    Raises:
        GcloudError: it failed, or is not installed.
    """
    if shutil.which("gcloud") is None:
        raise GcloudError("gcloud is not installed: https://cloud.google.com/sdk/docs/install")
    done = subprocess.run(
        ["gcloud", *command, "--quiet"],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if done.returncode:
        raise GcloudError(f"{shown(command)}\n{done.stderr.strip()}", done.stderr)
    return done.stdout


def describe(command: Sequence[str]) -> Any:
    """Return the description of a resource, or None if it does not exist."""
    try:
        return json.loads(run([*command, "--format=json"]) or "null")
    except GcloudError as exc:
        if exc.absent:
            return None
        raise


def carry_out(step: Step) -> str:
    """Carry out a step; return the result: done, created, updated or exists."""
    if not step.describe:
        run(step.command, step.stdin)
        return "done"
    there = describe(step.describe)
    if there is None and step.command:
        run(step.command, step.stdin)
        return "created"
    updates = list(step.updates(there))
    for command in updates:
        run(command)
    if there is None:
        return "created"
    return "updated" if updates else "exists"


def carry_out_all(groups: Iterable[Sequence[Step]], console: Console) -> None:
    """Carry out groups in parallel, the steps of a group in order; print each result.

    Raises:
        GcloudError: the first failure, after the running steps have ended.
    """

    def one_after_another(steps: Sequence[Step]) -> None:
        for step in steps:
            console.print(f"  {step.name}: {carry_out(step)}", highlight=False, soft_wrap=True)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for future in [pool.submit(one_after_another, steps) for steps in groups]:
            future.result()


def shown(command: Sequence[str], stdin: str = "") -> str:
    """Return the command as a user types it."""
    return "gcloud " + shlex.join(command) + (f" <<< {shlex.quote(stdin)}" if stdin else "")
