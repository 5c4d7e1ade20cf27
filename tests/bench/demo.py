"""The demo."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from deploy.local.stack import ROOT, Ports, Stack
from tests.bench.figures import Figure


def demo(folder: Path, _: int) -> Iterator[Figure]:
    """The demo, and how soon the stack is up."""
    began = time.monotonic()
    with Stack(folder / "up", Ports.free(), every=0):
        up = time.monotonic() - began
    began = time.monotonic()
    command = [sys.executable, "-m", "deploy", "demo", "--folder", str(folder / "demo")]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    yield Figure("the stack is up", up, 5, "s")
    yield Figure("`make demo`, once installed", time.monotonic() - began, 60, "s")
