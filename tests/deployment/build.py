"""Runs a build as Cloud Build does: each script in one workspace, the substitutions in its environment."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from deploy.local.archives import unpack


@dataclass
class Build:
    """One build, as `gcloud builds submit` asked for it, by an account whose environment is given.

    `asked` is the body of the call, with the build's id; `skip` names steps that count as done; `outputs` and `failed`
    tell what the others printed, and which failed.
    """

    workspace: Path
    environ: Mapping[str, str]
    asked: dict[str, Any]
    skip: frozenset[str] = frozenset({"install"})
    cancelled_after: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def unpack(self, source: bytes) -> None:
        """Unpack the uploaded source; the step `install` would make a virtual environment: ours."""
        with tarfile.open(fileobj=BytesIO(source)) as archive:
            unpack(archive, self.workspace)
        (self.workspace / ".venv").symlink_to(sys.prefix)

    def run(self) -> bool:
        """Run the steps, those side by side that wait for the same; stop after one that fails and may not.

        No step runs after the one that `cancelled_after` names. Cloud Build's status of the build follows.
        """
        self.asked["status"] = "WORKING"
        self.asked["status"] = self._run()
        return bool(self.asked["status"] == "SUCCESS")

    def _run(self) -> str:
        waiting: list[dict[str, Any]] = list(self.asked["steps"])
        for step in waiting:  # before anything forks: a file that a child holds open for writing cannot be run
            self.script(step).write_text(step["script"], encoding="utf-8")
            self.script(step).chmod(0o755)
        done: set[str] = set()
        while waiting:
            ready = [step for step in waiting if set(step.get("waitFor", ())) <= done]
            with ThreadPoolExecutor(len(ready)) as pool:
                codes = list(pool.map(self.step, ready))
            for step, code in zip(ready, codes, strict=True):
                done.add(step["id"])
                if code:
                    self.failed.append(step["id"])
            if any(code and not step.get("allowFailure") for step, code in zip(ready, codes, strict=True)):
                return "FAILURE"
            if self.cancelled_after in done:
                return "CANCELLED"
            waiting = [step for step in waiting if step not in ready]
        return "SUCCESS"

    def script(self, step: Mapping[str, Any]) -> Path:
        """Return where a step's script is put."""
        return self.workspace.parent / f"{self.workspace.name}-{step['id']}.sh"

    def step(self, step: Mapping[str, Any]) -> int:
        """Run one step's script; return its exit code."""
        if step["id"] in self.skip:
            return 0
        given = {
            "PROJECT_ID": self.asked["projectId"],
            "BUILD_ID": self.asked["id"],
            "LOCATION": self.asked["name"].split("/")[3],
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            [self.script(step)],
            cwd=self.workspace,
            env={**self.environ, **self.asked["substitutions"], **given},
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        self.outputs[step["id"]] = done.stdout + done.stderr
        return done.returncode


def python_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Let a subprocess find this Python's own commands first."""
    return {**environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"}


def console_script(folder: Path) -> str:
    """Write `vertex-launch` into a folder, as `make setup` does; return the folder, for PATH.

    It runs the checkout in the current folder: an editable install of another checkout would run that one's code.
    """
    script = folder / "bin" / "vertex-launch"
    script.parent.mkdir(exist_ok=True)
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m deploy "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return str(script.parent)
