"""Runs steps of cloudbuild.yaml with programs that only write down how they were called."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CONFIG = ROOT / "cloudbuild.yaml"
GIVEN = {"PROJECT_ID": "p1", "BUILD_ID": "b1", "COMMIT_SHA": "c0ffee"}
NOTE = '#!/usr/bin/env bash\nprintf "%s\\0" "${{0##*/}}" "$@" >"{calls}/$EPOCHREALTIME-$BASHPID"\n{then}\n'


class Recorder:
    """Programs under a folder, and how they were called."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self._calls = folder / "calls"
        for made in (self.bin, self._calls):
            made.mkdir()

    def program(self, name: str, then: str = "", *, where: Path | None = None) -> None:
        """Put a program there; `then` is what it does besides, in bash."""
        script = (where or self.bin) / name
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(NOTE.format(calls=self._calls, then=then), encoding="utf-8")
        script.chmod(0o755)

    @property
    def path(self) -> str:
        """Return a PATH that finds these first."""
        return f"{self.bin}{os.pathsep}/usr/bin{os.pathsep}/bin"

    def calls(self) -> list[list[str]]:
        """Return the calls in their order, each with the program's name before its arguments."""
        notes = sorted(self._calls.iterdir())
        return [note.read_text(encoding="utf-8").rstrip("\0").split("\0") for note in notes]


class Rehearsal:
    """A workspace as a build has it, with our scripts in it, but no real gcloud and no real Python."""

    def __init__(self, folder: Path, substitutions: Mapping[str, str], python: str = "", gcloud: str = "") -> None:
        self.workspace = folder / "workspace"
        self._recorder = Recorder(folder)
        self._recorder.program("gcloud", gcloud)
        self._recorder.program("python", python, where=self.workspace / ".venv/bin")
        (self.workspace / "deploy/cloud").mkdir(parents=True)
        for script in (*(ROOT / "deploy/cloud").glob("*.sh"), ROOT / "deploy/cloud/waiting.txt"):
            shutil.copy(script, self.workspace / "deploy/cloud")
        self._environ = {**substitutions, "PATH": self._recorder.path}
        self.output = ""

    def run(self, script: str) -> int:
        """Run a step's script as Cloud Build does; return its exit code."""
        file = self.workspace.parent / "script"
        file.write_text(script, encoding="utf-8")
        file.chmod(0o755)
        command = [str(file)] if script.startswith("#!") else ["/bin/sh", str(file)]
        done = subprocess.run(
            command, cwd=self.workspace, env=self._environ, capture_output=True, text=True, check=False, timeout=60
        )
        self.output = (done.stdout + done.stderr).strip()
        return done.returncode

    def calls(self) -> list[list[str]]:
        """Return what was called."""
        return self._recorder.calls()


@contextmanager
def rehearsal(substitutions: Mapping[str, str], python: str = "", gcloud: str = "") -> Iterator[Rehearsal]:
    """Give a fresh workspace, gone afterwards; `python` and `gcloud` are what its programs do, in bash."""
    with tempfile.TemporaryDirectory() as folder:
        yield Rehearsal(Path(folder), substitutions, python, gcloud)
