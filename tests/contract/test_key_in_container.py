"""The program that reads the key in a job's container: it becomes the command, or prints the fix."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.runspec.key_secret import reader
from tests.contract.secret import ACCOUNT, Google, google

KEY = "planted-key-" * 4
SHOWN = [sys.executable, "-c", "import os, sys; print(len(os.environ['WANDB_API_KEY']), sys.argv[1:])"]


@pytest.fixture(scope="module")
def served() -> Iterator[Google]:
    """Serve Google, with a key that ends as an editor leaves it."""
    with google(key=f"{KEY}\n".encode(), empty=b"\n", odd=b"\xff") as made:
        yield made


@pytest.fixture
def outside(served: Google) -> Google:
    """Give it as it was."""
    served.allowed, served.faults = True, []
    return served


def run(outside: Google, secret: str, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a container does whose key is in a secret; the key is never printed."""
    interpreter, *rest = reader(secret)
    assert interpreter == "python3"
    environment = {**outside.environ, "LANG": "C.UTF-8", **environ}
    words = [sys.executable, *rest, *command]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert KEY not in done.stdout + done.stderr
    return done


def test_the_command_has_the_key_and_its_arguments_as_they_are(outside: Google) -> None:
    """It takes the process over: its exit code is the container's, and nobody's key stands in the way."""
    done = run(outside, "projects/p/secrets/key", *SHOWN, "--it's", "$HOME `x`", WANDB_API_KEY="another")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"""{len(KEY)} ["--it's", '$HOME `x`']\n"""
    assert run(outside, "projects/p/secrets/key", "sh", "-c", "exit 7").returncode == 7


@pytest.mark.parametrize("faults", [[503], [429, 500]], ids=str)
def test_a_transient_failure_is_retried(outside: Google, faults: list[int]) -> None:
    """The metadata server in its first seconds, Secret Manager when it is busy."""
    outside.faults = list(faults)
    assert run(outside, "projects/p/secrets/key", *SHOWN).returncode == 0
    assert outside.faults == []


@pytest.mark.parametrize(
    ("secret", "allowed", "message"),
    [
        ("key", False, f"the job runs as {ACCOUNT}, which needs roles/secretmanager.secretAccessor on the secret"),
        ("gone", True, "answers 404 for projects/p/secrets/gone/versions/latest: LAUNCH_KEY_SECRET must name"),
        ("key/versions/9", True, "answers 404 for projects/p/secrets/key/versions/9: "),
        ("empty", True, "projects/p/secrets/empty/versions/latest is empty"),
        ("odd", True, "UnicodeDecodeError"),
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_read_ends_with_the_fix(outside: Google, secret: str, allowed: bool, message: str) -> None:
    """In the job's log, in one line; the command is not started."""
    outside.allowed = allowed
    done = run(outside, f"projects/p/secrets/{secret}", *SHOWN)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"vertex-launch: {Path(sys.executable).name} cannot be started: ")
    assert message in line


def test_a_command_that_is_not_there_is_named(outside: Google) -> None:
    """As any container's would be."""
    done = run(outside, "projects/p/secrets/key", "/nothing/there")
    assert done.returncode == 1
    assert "there cannot be started: FileNotFoundError: No such file or directory" in done.stderr
    assert "/nothing" not in done.stderr
