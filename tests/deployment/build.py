"""Runs cloudbuild.yaml as Cloud Build does: each script in one workspace, the substitutions in its environment."""

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

import yaml

CONFIG = Path(__file__).parent.parent.parent / "cloudbuild.yaml"


@dataclass
class Build:
    """One build of an uploaded source, by an account whose environment is given.

    `skip` names steps that count as done; `outputs` and `failed` tell what the others printed, and which failed.
    """

    workspace: Path
    environ: Mapping[str, str]
    substitutions: Mapping[str, str]
    skip: frozenset[str] = frozenset({"test"})
    outputs: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def unpack(self, source: bytes) -> None:
        """Unpack what `gcloud builds submit` uploaded; the test step would leave a virtual environment: ours."""
        with tarfile.open(fileobj=BytesIO(source)) as archive:
            archive.extractall(self.workspace, filter="data")
        (self.workspace / ".venv").symlink_to(sys.prefix)

    def run(self) -> bool:
        """Run the steps, those side by side that wait for the same; stop after one that fails and may not."""
        waiting: list[dict[str, Any]] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["steps"]
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
                return False
            waiting = [step for step in waiting if step not in ready]
        return True

    def step(self, step: Mapping[str, Any]) -> int:
        """Run one step's script; return its exit code."""
        if step["id"] in self.skip:
            return 0
        script = self.workspace.parent / f"{step['id']}.sh"
        script.write_text(step["script"], encoding="utf-8")
        script.chmod(0o755)
        defaults = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["substitutions"]
        environ = {**self.environ, **defaults, **self.substitutions, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [script], cwd=self.workspace, env=environ, capture_output=True, text=True, check=False, timeout=300
        )
        self.outputs[step["id"]] = done.stdout + done.stderr
        return done.returncode


def python_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Let a subprocess find this Python's own commands first."""
    return {**environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"}
