"""Build an image as a folder, from the instructions that a machine without Docker can follow.

These are FROM one image, COPY and ADD of files, WORKDIR, ENV, RUN, ENTRYPOINT and CMD. RUN starts a
process of this machine in the image's folder: pip installs into the image's own venv, but an
absolute path is one of this machine. Other instructions are refused, never ignored. With BuildKit,
COPY may have --link, and RUN a cache.
"""

import json
import re
import shlex
import shutil
import string
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deploy.local.image_store import ImageStore, Start, give_python, search_path

# command, folder, variables → exit code; prints into the log
Run = Callable[[list[str], Path, Mapping[str, str]], int]
_CACHE = re.compile(r"--mount=type=(?:cache|tmpfs)\S*\s+")  # a cache may be empty
_HARMLESS = ("LABEL", "EXPOSE", "MAINTAINER", "STOPSIGNAL")


class BuildError(Exception):
    """The build failed; the message is the last line of its log."""


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the instructions of a Dockerfile: continued lines joined, comments removed."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\[ \t]*\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word.upper(), rest.strip()


@dataclass
class Builder:
    """One `docker build`: `root` becomes the image."""

    store: ImageStore
    context: Path
    root: Path
    run: Run
    say: Callable[[str], None]
    buildkit: bool = False

    def build(self, text: str) -> None:
        """Follow a Dockerfile.

        Raises:
            BuildError: an instruction failed, or this machine cannot follow it.
        """
        self._start: Start | None = None
        for number, (word, rest) in enumerate(instructions(text), 1):
            self.say(f"Step {number} : {word} {rest}")
            if word != "FROM" and self._start is None:
                raise BuildError(f"no build stage in current context: {word} comes before FROM")
            self._follow(word, rest)
        if self._start is None:
            raise BuildError("the Dockerfile is empty")
        self._start.write(self.root)

    def _follow(self, word: str, rest: str) -> None:
        match word:
            case "FROM":
                self._from(rest)
            case "COPY" | "ADD":
                self._copy(_words(word, rest))
            case "WORKDIR":
                self._started.workdir = self._below(self._filled(rest))
                (self.root / self._started.workdir).mkdir(parents=True, exist_ok=True)
            case "ENV":
                self._env(rest)
            case "RUN":
                self._run(rest)
            case "ENTRYPOINT":
                self._started.entrypoint = _command(rest)
            case "CMD":
                self._started.entrypoint = self._started.entrypoint or _command(rest)
            case _ if word not in _HARMLESS:
                raise BuildError(f"{word} cannot be followed on this machine, which has no Docker")

    @property
    def _started(self) -> Start:
        if self._start is None:
            raise BuildError("no build stage in current context")
        return self._start

    def _from(self, rest: str) -> None:
        if self._start or len(rest.split()) != 1:
            raise BuildError(
                f"FROM {rest} cannot be followed on this machine: "
                "use one stage, of one image, without options"
            )
        try:
            base = self.store.find(rest)
        except ValueError as exc:
            raise BuildError(str(exc)) from exc
        shutil.copytree(base, self.root, symlinks=True, dirs_exist_ok=True)
        self._start = Start.of(base)

    def _copy(self, words: list[str]) -> None:
        options = [word for word in words if word.startswith("--")]
        for option in options:
            if option.startswith(("--link", "--chmod=")):
                self._needs_buildkit(option.partition("=")[0])
            elif not option.startswith("--chown="):
                raise BuildError(f"COPY {option} cannot be followed on this machine")
        *sources, written = [self._filled(word) for word in words if word not in options]
        into = self.root / self._below(written)
        for source in sources:
            if "://" in source or ".." in PurePosixPath(source).parts:
                raise BuildError(f"COPY failed: {source} is outside of the build context")
            found = (
                sorted(self.context.glob(source.lstrip("/")))
                if source.strip("./")
                else [self.context]
            )
            if not found:
                raise BuildError(f"COPY failed: {source}: file does not exist in the build context")
            for one in found:
                if one.is_dir():
                    shutil.copytree(one, into, symlinks=True, dirs_exist_ok=True)
                else:
                    place = into / one.name if written.endswith("/") or into.is_dir() else into
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(one, place)

    def _needs_buildkit(self, option: str) -> None:
        if not self.buildkit:
            raise BuildError(f"the {option} option requires BuildKit")

    def _env(self, rest: str) -> None:
        if "=" not in rest.split(None, 1)[0]:
            name, _, value = rest.partition(" ")
            self._started.env[name] = self._filled(value.strip())
            return
        pairs = [pair.partition("=") for pair in _words("ENV", rest)]
        self._started.env |= {name: self._filled(value) for name, _, value in pairs}

    def _run(self, rest: str) -> None:
        while option := _CACHE.match(rest):
            self._needs_buildkit("--mount")
            rest = rest[option.end() :]
        if rest.startswith("--"):
            raise BuildError(f"RUN {rest.split()[0]} cannot be followed on this machine")
        give_python(self.root)
        command = _command(rest)
        env = {"PATH": search_path(self.root), "LANG": "C.UTF-8", **self._started.env}
        code = self.run(command, self.root / self._started.workdir, env)
        if code:
            raise BuildError(f"The command {shlex.join(command)} returned a non-zero code: {code}")

    def _below(self, path: str) -> str:
        """Return a path of the image, relative to its root."""
        where = PurePosixPath("/", self._started.workdir, path)
        if ".." in where.parts:
            raise BuildError(f"{path} cannot be followed on this machine: write it without `..`")
        return str(where.relative_to("/"))

    def _filled(self, text: str) -> str:
        return string.Template(text).safe_substitute(defaultdict(str, self._started.env))


def _words(word: str, rest: str) -> list[str]:
    if rest.startswith("["):
        return _command(rest)
    try:
        return shlex.split(rest)
    except ValueError as exc:
        raise BuildError(f"{word} {rest}: {exc}") from exc


def _command(rest: str) -> list[str]:
    """Parse a command: a JSON list, or words for a shell."""
    if not rest.startswith("["):
        return ["/bin/sh", "-c", rest]
    try:
        command = json.loads(rest)
    except ValueError as exc:
        raise BuildError(f"{rest} is not a JSON list") from exc
    if not isinstance(command, list) or not all(isinstance(one, str) for one in command):
        raise BuildError(f"{rest} is not a list of strings")
    return command
