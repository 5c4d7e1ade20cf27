"""Ten million bytes at each entrance: the kernel bounds CPU time and memory."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

OTHERS = ("renderer", "launch_config")
ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux bounds a process's memory and CPU as needed"
)


def run(name: str) -> subprocess.CompletedProcess[str]:
    """Run the known inputs of a target in their own process."""
    command = [sys.executable, "-m", "tests.fuzz.bounded", name]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.parametrize("target", ["decoder", *(pytest.param(name, marks=pytest.mark.long) for name in OTHERS)])
def test_a_large_input_takes_bounded_time_and_memory(target: str) -> None:
    """The target accepts or refuses every input before the kernel ends the process."""
    done = run(target)
    assert (done.returncode, done.stderr) == (0, "")
    assert "inputs" in done.stdout


def test_too_much_memory_is_found() -> None:
    """The bound is effective: a target that takes a gigabyte fails."""
    done = run("hungry")
    assert done.returncode == 1
    assert "MemoryError" in done.stderr


def test_too_much_time_is_found() -> None:
    """A target that never ends fails."""
    assert run("busy").returncode in (-signal.SIGXCPU, -signal.SIGKILL)
