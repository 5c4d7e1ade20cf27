"""Run gcloud: the steps of `bootstrap` and `destroy`."""

import json
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
ABSENT = ("NOT_FOUND", "not found", "does not exist", "404")


class GcloudError(click.ClickException):
    """A command failed; the message is the command, to repeat it, and gcloud's own message."""


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
        raise GcloudError(f"{shown(command)}\n{done.stderr.strip()}")
    return done.stdout


def describe(command: Sequence[str]) -> Any:
    """Return the description of a resource, or None if it does not exist."""
    try:
        return json.loads(run([*command, "--format=json"]) or "null")
    except GcloudError as exc:
        if any(word in exc.message for word in ABSENT):
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
