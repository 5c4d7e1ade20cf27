"""A Python with what some requirements name and nothing else, made of what is installed here: no package index.

`make setup` has installed exactly the pinned versions. A Python with a part of them takes it from there.
"""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


class NotInstalledError(Exception):
    """The requirements differ from the installed packages."""


def requirements(text: str) -> list[Requirement]:
    """Read the lines of a requirements.txt that name packages."""
    lines = (line.partition("#")[0].partition("\\")[0].strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def closure(wanted: list[Requirement]) -> dict[str, Distribution]:
    """Return what these requirements need, by name, with all that it needs itself.

    Raises:
        NotInstalledError: one is not installed here, or in another version.
    """
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(one, "") for one in wanted]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        try:
            installed = found.setdefault(name, distribution(name))
        except PackageNotFoundError:
            raise NotInstalledError(f"{requirement} is not installed here: run `make setup`") from None
        if not requirement.specifier.contains(installed.version, prereleases=True):
            raise NotInstalledError(f"{requirement} is required, {installed.version} is installed: run `make setup`")
        for asked in ("", *requirement.extras):
            if (name, asked) not in seen:
                seen.add((name, asked))
                waiting += [(Requirement(line), asked) for line in installed.requires or ()]
    return found


def make_python(folder: Path, text: str) -> Path:
    """Make a virtual environment with what a requirements.txt names; returns its python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    [site] = (folder / "lib").glob("python*/site-packages")
    for one in closure(requirements(text)).values():
        for name, source in _files(one):
            target = site / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source)
        for script in one.entry_points.select(group="console_scripts"):
            command = folder / "bin" / script.name
            call = f"import sys; from {script.module} import {script.attr}; sys.exit({script.attr}())"
            command.write_text(f'#!/bin/sh\nexec "{python}" -c \'{call}\' "$@"\n', encoding="utf-8")
            command.chmod(0o755)
    return python


def _files(one: Distribution) -> Iterator[tuple[str, Path]]:
    """Return the files of a distribution that are below site-packages, and where they are here."""
    for file in one.files or ():
        source = Path(str(one.locate_file(file))).resolve()
        if ".." not in file.parts and source.is_file():
            yield str(file), source
