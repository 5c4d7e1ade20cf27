"""Run gcloud, one command at a time, and say what it did: the steps of `bootstrap` and of `destroy`."""

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

AT_ONCE = 4  # gcloud spends most of its time on starting and waiting
ABSENT = ("NOT_FOUND", "not found", "does not exist", "404")


class GcloudError(click.ClickException):
    """A command failed; the message is gcloud's own, after the command that anybody can repeat."""


@dataclass(frozen=True)
class Step:
    """Something that shall be so, and the command that makes it so.

    `found` is a command that describes the thing where it exists; `mends` gives, for its description, the commands that
    are missing to how it shall be. A step without `found` is safe to repeat as it is. `given` is what `make` reads from
    its standard input.
    """

    what: str
    make: tuple[str, ...]
    found: tuple[str, ...] = ()
    mends: Callable[[Any], Iterable[tuple[str, ...]]] = lambda _: ()
    given: str = ""


def run(command: Sequence[str], given: str = "") -> str:
    """Run `gcloud COMMAND` and return what it printed.

    Raises:
        GcloudError: with gcloud's own words, where it failed or is not installed.
    """
    if shutil.which("gcloud") is None:
        raise GcloudError("gcloud is not installed: https://cloud.google.com/sdk/docs/install")
    done = subprocess.run(
        ["gcloud", *command, "--quiet"],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if done.returncode:
        raise GcloudError(f"{shown(command)}\n{done.stderr.strip()}")
    return done.stdout


def describe(command: Sequence[str]) -> Any:
    """Return the description of a thing, None where it does not exist."""
    try:
        return json.loads(run([*command, "--format=json"]) or "null")
    except GcloudError as exc:
        if any(word in exc.message for word in ABSENT):
            return None
        raise


def carry_out(step: Step) -> str:
    """Make it so; return what was done: made, mended, or nothing, because it is so already."""
    if not step.found:
        run(step.make, step.given)
        return "done"
    there = describe(step.found)
    if there is None:
        run(step.make, step.given)
        return "made"
    missing = list(step.mends(there))
    for command in missing:
        run(command)
    return "mended" if missing else "is there"


def carry_out_all(groups: Iterable[Sequence[Step]], console: Console) -> None:
    """Carry out groups side by side, the steps of one in their order; print each as it is done.

    Raises:
        GcloudError: of the first that failed, when those that were under way are done.
    """

    def one_after_another(steps: Sequence[Step]) -> None:
        for step in steps:
            console.print(f"  {step.what}: {carry_out(step)}", highlight=False, soft_wrap=True)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for future in [pool.submit(one_after_another, steps) for steps in groups]:
            future.result()


def shown(command: Sequence[str], given: str = "") -> str:
    """Return the command as one would type it."""
    return "gcloud " + shlex.join(command) + (f" <<< {shlex.quote(given)}" if given else "")
