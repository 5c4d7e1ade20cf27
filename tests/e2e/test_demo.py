"""The demo, as a newcomer starts it: real wandb, real SDK, real processes, right outcomes, nothing left behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy.local.cases import CASES
from deploy.local.stack import API_KEY

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run it once."""
    folder = tmp_path_factory.mktemp("demo") / "logs"
    command = [sys.executable, "-m", "deploy", "demo", "--folder", str(folder), "--timeout", "400"]
    environ = {**os.environ, "COLUMNS": "160", "MARK": str(folder)}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=460, check=False)
    return done, folder


def test_all_jobs_have_the_right_outcome(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """And the exit code says so."""
    done, _ = demo
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("right ")] == [
        case.name for case in CASES
    ]


def test_a_job_without_a_run_shows_the_end_of_its_log(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Where its author reads why the item failed."""
    done, _ = demo
    assert "The end of its log: loading the cats done; W&B was never told" in re.sub(r"[\s│]+", " ", done.stdout)


def test_no_call_of_the_scheduler_failed(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Each tick was answered with 200, and no function logged an error."""
    _, folder = demo
    assert (folder / "scheduler.log").read_text() == ""
    for name in ("poll", "submit", "status"):
        lines = (folder / f"{name}.log").read_text().splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        assert events, f"{name} logged nothing"
        odd = [event for event in events if event["severity"] != "INFO"]
        assert {event["message"] for event in odd} == ({"launch.rejected"} if name == "submit" else set())
        assert len(events) == len(lines), f"{name} printed what is no JSON line: {set(lines)}"


def test_no_key_is_in_any_log(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Of the functions or of what stands around them."""
    _, folder = demo
    for path in folder.glob("*.log"):
        assert API_KEY not in path.read_text(errors="replace"), path.name


def test_nothing_is_left_behind(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """No process of the stack, and none of a container's."""
    _, folder = demo
    left = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("MARK") == str(folder):
                left.append(" ".join(process.cmdline()))
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    assert left == []


def test_up_says_what_to_export_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    """On its fixed ports; skipped where somebody keeps a stack running there."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 7001)) == 0:
            pytest.skip("a stack is running on the fixed ports")
    printed = tmp_path / "printed"
    with printed.open("w") as out:
        command = [sys.executable, "-m", "deploy", "up", "--folder", str(tmp_path / "logs")]
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env={**os.environ, "MARK": str(tmp_path)})
        try:
            from tests.waiting import eventually

            text = eventually(
                lambda: re.search(r"export WANDB_BASE_URL=.*?Ctrl-C", printed.read_text(), re.DOTALL), "up"
            )
            assert "launch --queue vertex --entity local-team" in text[0]
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(30)
    assert code == 0, printed.read_text()
    assert "Ended." in printed.read_text()
