"""What function.sh and roll_back.sh do in a build after a failed one: they restore the revision that serves.

The `gcloud` of this test keeps a service's newest revision and the revision that serves. The whole deployment tests the
same scripts with Google's own gcloud, through one failed build.
"""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FUNCTIONS = ("poll", "submit", "status")
GCLOUD = """#!/usr/bin/env bash
set -eu
case "$*" in
  "run services describe "*latest*) cat "${STATE}/$4.newest" ;;
  "run services describe "*) cat "${STATE}/$4.serves" 2>/dev/null || { echo "Cannot find service" >&2; exit 1; } ;;
  "functions deploy "*)
    echo "$3-$(( $(cat "${STATE}/$3.count" 2>/dev/null || echo 0) + 1 ))" >"${STATE}/$3.newest"
    sed 's/.*-//' "${STATE}/$3.newest" >"${STATE}/$3.count"
    [[ "$*" != *--serve-all-traffic-latest-revision* ]] || cp "${STATE}/$3.newest" "${STATE}/$3.serves" ;;
  "run services update-traffic "*) for word in "$@"; do
      if [[ ${word} == --to-revisions=*=100 ]]; then word=${word#*=}; echo "${word%=100}" >"${STATE}/$4.serves"; fi
    done ;;
  "run services get-iam-policy "* | "functions add-invoker-policy-binding "*) ;;
  *) echo "unexpected: $*" >&2; exit 2 ;;
esac
"""


class Builds:
    """A source tree in which builds deploy, and a `gcloud` that notes what they do."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.state.mkdir()
        program = folder / "bin" / "gcloud"
        program.parent.mkdir()
        program.write_text(GCLOUD)
        program.chmod(0o755)

    def build(self, *, good: bool) -> None:
        """Deploy all functions, each build in a workspace of its own; the smoke test of a bad one fails."""
        (self.folder / "workspaces").mkdir(exist_ok=True)
        workspace = self.folder / "workspaces" / str(len(list((self.folder / "workspaces").iterdir())))
        workspace.mkdir()
        for function in FUNCTIONS:
            self._run(workspace, 0, "function.sh", function, "scheduler", "--timeout=60s")
        if not good:
            self._run(workspace, 1, "roll_back.sh")

    def serving(self) -> list[str]:
        """Return the revisions that serve."""
        return [(self.state / f"launch-{function}.serves").read_text().strip() for function in FUNCTIONS]

    def _run(self, workspace: Path, expected: int, script: str, *arguments: str) -> None:
        names = {"PROJECT_ID": "p", "COMMIT_SHA": "c", "_REGION": "us-central1", "_NAME": "launch"}
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", str(ROOT / "deploy" / "cloud" / script), *arguments],
            cwd=workspace,
            env={**os.environ, **names, "PATH": path, "STATE": str(self.state)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expected, done.stdout + done.stderr


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    """Return builds of a project in which nothing is deployed."""
    return Builds(tmp_path)


def test_after_a_second_failed_build_in_a_row_the_good_revisions_serve(builds: Builds) -> None:
    """The first failed build left a newer revision behind that must never serve."""
    builds.build(good=True)
    good = builds.serving()
    for _ in range(2):
        builds.build(good=False)
        assert builds.serving() == good
    builds.build(good=True)
    assert builds.serving() == [f"launch-{function}-4" for function in FUNCTIONS]


def test_a_failed_first_build_has_nothing_to_restore(builds: Builds) -> None:
    """The build fails, and the next good one serves."""
    builds.build(good=False)
    builds.build(good=True)
    assert builds.serving() == [f"launch-{function}-2" for function in FUNCTIONS]
