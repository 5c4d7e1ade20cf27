"""Install what a job's code needs: in its container at each start, or in its image by a build.

The author wrote requirements.txt and pyproject.toml: a package that cannot be installed ends the
job, with pip's own last lines. A machine wrote the frozen list: what is not available is left out,
and named.
"""

import importlib.util
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from shared.runspec.container.output import SHOWN, Problem, called, hidden, reason, run, say
from shared.runspec.container.requirements import (
    PYTORCH,
    index_of,
    lines_of,
    planned,
)

SECONDS = 1800  # for the search of lines that cannot be installed
PIN = re.compile(r"[\w.-]+\s*===?\s*[^\s\[]+\s*(?:;.*)?$")  # what pip takes as a constraint
INDEXES = {"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"}  # the queue's
SETTINGS = {
    "PIP_BREAK_SYSTEM_PACKAGES": "1",  # the container has no other user
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "GIT_TERMINAL_PROMPT": "0",
}


def install(place: Path, frozen: Path) -> str:
    """Install the code's requirements, or else the frozen list; return a warning, or nothing."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory() as scratch:
        return Installation(place, Path(scratch)).of_code(frozen)


class Installation:
    """Calls of pip for the code in one folder; `skipped` is what they left out, and why."""

    def __init__(self, place: Path, scratch: Path) -> None:
        """Begin; `scratch` is an empty folder."""
        self.place = place
        self.list, self.pins = scratch / "requirements.txt", scratch / "constraints.txt"
        self.skipped: list[tuple[str, str]] = []
        self.deadline = float("inf")
        chosen = {"PIP_CACHE_DIR", "PIP_NO_CACHE_DIR"} & set(os.environ)
        cache = [] if chosen else ["--cache-dir", str(scratch / "cache")]  # no part of an image
        self.command = [sys.executable, "-m", "pip", "install", "--quiet", *cache]

    def of_code(self, frozen: Path) -> str:
        """Install from the first source that names packages; return a warning, or nothing."""
        own = self.place / "requirements.txt"
        if own.is_file():
            self.strict(read(own), str(own))
        elif not self.of_project() and frozen.is_file():
            self.frozen(read(frozen))
        if not self.skipped:
            return ""
        named = [f"{line} ({why})" for line, why in self.skipped]
        for each in named:
            say(f"skipped {each}")
        more = len(named) - SHOWN
        rest = f", and {more} more; the log names all" if more > 0 else ""
        return hidden(f"Not installed: {', '.join(named[:SHOWN])}{rest}.")

    def of_project(self) -> bool:
        """Install what a pyproject.toml names; tell whether it named its dependencies."""
        project = Project(self.place / "pyproject.toml")
        if project.problem:
            self.skipped.append(("pyproject.toml", project.problem))
        if project.dependencies:
            self.list.write_text("\n".join(project.dependencies), encoding="utf-8")
            self.strict("\n".join(project.dependencies), str(self.list))
        if not project.is_package:
            return bool(project.dependencies)
        options = [] if project.computes else ["--no-deps"]
        code, lines = called(*self.command, *options, ".", folder=self.place)
        if code:
            why = f"{reason(lines)}; its modules can be imported from its folder"
            self.skipped.append(("the package of pyproject.toml", why))
        return bool(project.dependencies) or (project.computes and not code)

    def strict(self, text: str, path: str) -> None:
        """Install the requirements that the author wrote, all or none."""
        if not lines_of(text):
            return
        need_pip()
        if PYTORCH not in text:  # the author named no index for PyTorch's local versions
            for line in lines_of(text):
                if index_of(line):
                    self.pip([line], "--no-deps", "--extra-index-url", index_of(line))
        run("pip install", *self.command, "-r", path, folder=self.place)

    def frozen(self, text: str) -> None:
        """Install each line of a frozen list that is available."""
        plan = planned(text, elsewhere=bool(INDEXES & set(os.environ)))
        self.skipped += plan.skipped
        for line in plan.replaced:
            say(f"{line} is no release: the newest release of wandb replaces it")
        if plan.exact or plan.others:
            need_pip()
        self.attempt(plan.options, plan.exact)
        left_out = {line for line, _ in self.skipped}
        pins = [line for line in plan.exact if PIN.match(line) and line not in left_out]
        self.pins.write_text("\n".join(pins), encoding="utf-8")
        for index, lines in plan.others.items():
            where = ["--extra-index-url", index] if index else []
            if self.pip([*plan.options, *lines], "-c", str(self.pins), *where)[0]:
                self.attempt(plan.options, lines, *where)

    def attempt(self, options: "list[str]", lines: "list[str]", *where: str) -> None:
        """Install lines at once; if that fails, halve them until those that fail stand alone."""
        if not lines:
            return
        if time.monotonic() > self.deadline:
            late = f"not tried: pip took more than {SECONDS // 60} minutes"
            self.skipped += [(line, late) for line in lines]
            return
        code, output = self.pip([*options, *lines], "--no-deps", *where)
        if code and len(lines) == 1:
            self.skipped.append((lines[0], reason(output, 1)))
        elif code:
            self.deadline = min(self.deadline, time.monotonic() + SECONDS)
            half = len(lines) // 2
            self.attempt(options, lines[:half], *where)
            self.attempt(options, lines[half:], *where)

    def pip(self, lines: "list[str]", *options: str) -> "tuple[int, list[str]]":
        """Install lines of a requirements file; return pip's exit code and its last lines."""
        self.list.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return called(*self.command, *options, "-r", str(self.list), folder=self.place)


class Project:
    """What a pyproject.toml says about packages; nothing if there is none."""

    def __init__(self, path: Path) -> None:
        """Read it."""
        self.problem = ""
        data: dict[str, object] = {}
        if path.is_file():
            try:
                data = toml().loads(read(path))
            except ImportError:
                self.problem = "this Python cannot read it"
            except (ValueError, LookupError, RecursionError) as exc:  # of any of the readers
                self.problem = f"it is not TOML: {exc}"
        project, poetry = part(data, "project"), part(part(data, "tool"), "poetry")
        listed = project.get("dependencies")
        self.dependencies = [str(one) for one in listed] if isinstance(listed, list) else []
        self.is_package = "build-system" in data and bool(project.get("name") or poetry.get("name"))
        dynamic = project.get("dynamic")
        computed = isinstance(dynamic, list) and "dependencies" in dynamic
        # whether only its build tells the dependencies
        self.computes = not self.dependencies and (computed or bool(poetry.get("dependencies")))


def part(data: "dict[str, object]", name: str) -> "dict[str, object]":
    """Return a table of TOML; empty if there is none."""
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def toml() -> Any:
    """Return a reader of TOML: Python's own since 3.11, or the one that pip contains."""
    for name in ("tomllib", "tomli", "pip._vendor.tomli", "pip._vendor.toml"):
        try:
            return __import__(name, fromlist=["loads"])
        except ImportError:
            continue
    raise ImportError("no reader of TOML")


def read(path: Path) -> str:
    """Return a file's text; PowerShell writes UTF-16."""
    content = path.read_bytes()
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    return content.decode("utf-16" if wide else "utf-8-sig", "replace")


def need_pip() -> None:
    """End if the image's Python has no pip: that is no fault of a line."""
    if importlib.util.find_spec("pip") is None:
        raise Problem(f"the base image has no pip for {sys.executable}")
