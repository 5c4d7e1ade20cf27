"""Run gcloud: the steps of `bootstrap` and `destroy`."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import click
from rich.console import Console

from deploy.cloud import waiting
from deploy.cloud.waiting import Passing, Patience

AT_ONCE = 4  # gcloud spends most of its time starting and waiting
SOON = 10  # seconds to wait for a permission that is not needed
ROUNDS = 5  # of looking and changing, while others change the same resource
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
    `stdin` is the standard input of `command`. With `without`, a caller who lacks the permission
    goes on; `without` says what then does not work.
    """

    name: str
    command: tuple[str, ...]
    describe: tuple[str, ...] = ()
    updates: Callable[[Any], Iterable[tuple[str, ...]]] = no_updates
    stdin: str = ""
    without: str = ""


def run(command: Sequence[str], stdin: str = "", patience: Patience | None = None) -> str:
    """Run `gcloud COMMAND` and return its output; repeat it while its error passes by itself.

    Raises:
        GcloudError: it failed, or is not installed.
    """
    patience = patience or Patience()
    return patience.keep(lambda: _run(command, stdin), _passing, _name(command))


def describe(command: Sequence[str], patience: Patience | None = None) -> Any:
    """Return the description of a resource, or None if it does not exist."""
    patience = patience or Patience()

    def look() -> Any:
        try:
            return json.loads(_run([*command, "--format=json"], "") or "null")
        except GcloudError as exc:
            if exc.absent:
                return None
            raise

    return patience.keep(look, _passing, _name(command))


def _run(command: Sequence[str], stdin: str) -> str:
    program = shutil.which("gcloud")  # on Windows, gcloud.cmd: only its path can be run
    if program is None:
        raise GcloudError("gcloud is not installed: https://cloud.google.com/sdk/docs/install")
    done = subprocess.run(
        [program, *command, "--quiet"],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if done.returncode:
        raise GcloudError(f"{shown(command)}\n{done.stderr.strip()}", done.stderr)
    return done.stdout


def _passing(exc: Exception) -> Passing | None:
    return waiting.passing(exc.stderr) if isinstance(exc, GcloudError) else None


def _name(command: Sequence[str]) -> str:
    """Return a command's words without its flags, to name it in a line."""
    return shown([word for word in command if not word.startswith("-")])


def carry_out(step: Step, patience: Patience | None = None) -> str:
    """Carry out a step; return the result: done, created, updated, exists or skipped.

    After a failure, looks again: if somebody else has changed the resource at the same time, the
    rest is carried out. So two people can run the same steps at once.
    """
    patience = patience or Patience()
    if step.without:
        patience = replace(patience, denied=SOON)
    try:
        return _carry_out(step, patience)
    except GcloudError as exc:
        if step.without and exc.denied:
            return f"skipped, because you lack a permission. {step.without}"
        raise


def _carry_out(step: Step, patience: Patience) -> str:
    if not step.describe:
        run(step.command, step.stdin, patience)
        return "done"
    there = describe(step.describe, patience)
    found = there is not None
    for _ in range(ROUNDS):
        create = there is None and bool(step.command)
        commands = [step.command] if create else list(step.updates(there))
        if not commands:
            return "exists"
        try:
            for command in commands:
                run(command, step.stdin if create else "", patience)
        except GcloudError:
            before, there = there, describe(step.describe, patience)
            if there == before:
                raise
            continue
        return "updated" if found else "created"
    raise GcloudError(f"{step.name}: others change it all the time; try again later")


def carry_out_all(groups: Iterable[Sequence[Step]], console: Console) -> None:
    """Carry out groups in parallel, the steps of a group in order; print each result.

    Raises:
        GcloudError: the first failure, after the running steps have ended.
    """
    patience = Patience()

    def one_after_another(steps: Sequence[Step]) -> None:
        for step in steps:
            result = carry_out(step, patience)
            console.print(f"  {step.name}: {result}", highlight=False, soft_wrap=True)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for future in [pool.submit(one_after_another, steps) for steps in groups]:
                future.result()
        except BaseException:
            patience.ended.set()
            pool.shutdown(cancel_futures=True)
            raise


def shown(command: Sequence[str], stdin: str = "") -> str:
    """Return the command as a user types it."""
    return "gcloud " + shlex.join(command) + (f" <<< {shlex.quote(stdin)}" if stdin else "")
