"""The demo and `up`, as a newcomer starts them: real wandb, real SDK, real processes, in a hostile shell."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from deploy.local.cases import CASES
from deploy.local.record import Record, running
from deploy.local.stack import API_KEY
from tests.waiting import eventually

ROOT = Path(__file__).parent.parent.parent
PYTHON = [sys.executable, "-E", "-X", "utf8", "-m", "deploy"]  # as the Makefile has it
NOWHERE = "/proc/none"  # neither there nor to be made
PROXY = "http://127.0.0.1:9"  # nobody listens: every call through it fails
HOSTILE = {
    **dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy", "grpc_proxy"), PROXY),
    **dict.fromkeys(("ALL_PROXY", "all_proxy"), "socks5://127.0.0.1:9"),
    "NO_PROXY": "example.com",
    "no_grpc_proxy": "example.com",
    **{f"WANDB_{name}_DIR": NOWHERE for name in ("CACHE", "CONFIG", "DATA", "ARTIFACT")},
    "WANDB_DIR": NOWHERE,
    "WANDB_MODE": "offline",
    "WANDB_DISABLED": "true",
    "WANDB_ENTITY": "somebody",
    **{f"PYTHON{name}": NOWHERE for name in ("PATH", "HOME", "STARTUP", "USERBASE")},
    "PYTHONWARNINGS": "error",
    "PYTHONSAFEPATH": "1",
    "PYTHONUTF8": "0",
    "PYTHONIOENCODING": "ascii",
    "LANG": "C",
    "LC_ALL": "C",
    "HOME": NOWHERE,
    "TMPDIR": NOWHERE,
    "GOOGLE_APPLICATION_CREDENTIALS": NOWHERE,
    "GOOGLE_CLOUD_PROJECT": "somebodys",
    "CLOUDSDK_CONFIG": NOWHERE,
    "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
    "STORAGE_EMULATOR_HOST": PROXY,
}


@dataclass
class Ended:
    """A demo that was kept, looked at, and interrupted."""

    folder: Path
    code: int
    printed: str
    record: Record | None  # while it was kept
    pages: dict[str, str]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Run it once, in the environment of many a shell at once; look at its pages, then press Ctrl-C."""
    folder = tmp_path_factory.mktemp("demo") / "the logs"
    with started("demo", "--folder", str(folder), "--timeout", "400", "--keep", beside=folder.parent) as (
        demo,
        printed,
    ):
        eventually(lambda: "Ctrl-C ends it" in printed() or demo.poll() is not None, "the demo has ended", 460)
        record = running(folder)
        pages = {name: requests.get(url, timeout=10).text for name, url in (record.pages if record else {}).items()}
        demo.send_signal(signal.SIGINT)
        return Ended(folder, demo.wait(60), printed(), record, pages)


@contextmanager
def started(*arguments: str, beside: Path) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    """Start a command as the Makefile does, in a hostile shell; gives it, and what it has printed."""
    output = beside / "printed"
    environ = {**os.environ, **HOSTILE, "COLUMNS": "160"}
    with output.open("w") as out:
        command = subprocess.Popen(
            [*PYTHON, *arguments], cwd=ROOT, stdout=out, stderr=out, env=environ, umask=0o077, start_new_session=True
        )
    try:
        yield command, lambda: output.read_text(encoding="utf-8")
    finally:
        command.kill()
        command.wait()


def test_all_jobs_have_the_right_outcome(demo: Ended) -> None:
    """The exit code says so."""
    assert demo.code == 0, demo.printed[-6000:]
    assert [line.split()[1] for line in demo.printed.splitlines() if line.startswith("OK ")] == [
        case.name for case in CASES
    ]


def test_a_job_without_a_run_shows_the_end_of_its_log(demo: Ended) -> None:
    """Its author reads there why the item failed."""
    assert "The end of its log: loading the cats done, without wandb.init" in re.sub(r"[\s│]+", " ", demo.printed)


def test_no_call_of_the_scheduler_failed(demo: Ended) -> None:
    """Each tick was answered with 200, and no function logged an error."""
    folder = demo.folder
    assert (folder / "scheduler.log").read_text() == ""
    for name in ("poll", "submit", "status"):
        lines = (folder / f"{name}.log").read_text().splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        assert events, f"{name} logged nothing"
        odd = [event for event in events if event["severity"] != "INFO"]
        assert {event["message"] for event in odd} == ({"launch.rejected"} if name == "submit" else set())
        assert len(events) == len(lines), f"{name} printed what is no JSON line: {set(lines)}"


def test_no_key_is_in_any_log(demo: Ended) -> None:
    """Of the functions or of what stands around them."""
    folder = demo.folder
    for path in folder.glob("*.log"):
        assert API_KEY not in path.read_text(errors="replace"), path.name


def test_nothing_is_left_behind(demo: Ended) -> None:
    """No process of the stack, and none of a container's."""
    folder = demo.folder
    assert left(folder) == []


def test_the_pages_stay_until_ctrl_c(demo: Ended) -> None:
    """With the addresses of the record; then the exit code is the demo's own."""
    assert demo.record
    assert list(demo.pages) == ["Board", "W&B", "Vertex AI"]
    assert all("train-1" in page for page in demo.pages.values())
    assert all(address in demo.printed for address in demo.record.pages.values())
    assert demo.code == 0
    assert running(demo.folder) is None


def test_up_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    """A second one touches nothing; `kill -9` ends gunicorn's workers, a job's container and what that has started."""
    folder = tmp_path / "logs"
    with started("up", "--folder", str(folder), "--port-base", "0", "--play", "full", beside=tmp_path) as (up, printed):
        record = eventually(lambda: running(folder) or up.poll(), "it is up")
        assert isinstance(record, Record), printed()
        wandb, vertex = record.addresses["wandb"], record.addresses["vertex"]
        second = subprocess.run(
            [*PYTHON, "up", "--folder", str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
        )
        assert second.returncode == 1
        assert f"{folder} (process {up.pid}, since {record.started_at})" in second.stderr
        assert f"{wandb}/" in second.stderr
        assert running(folder) == record
        eventually(lambda: "To end the bad day" in printed(), "its items are on the queue")
        assert all(f"vertex-launch why {item['id']} " in printed() for item in asked(f"{wandb}/standin/items"))
        states = eventually(lambda: [run["state"] for run in asked(f"{wandb}/standin/runs")], "the job's run begins")
        assert (states, [job["state"] for job in asked(f"{vertex}/standin/jobs")]) == (
            ["running"],
            ["JOB_STATE_RUNNING"],
        )
        assert sorted(item["state"] for item in asked(f"{wandb}/standin/items")) == ["CLAIMED", "PENDING", "PENDING"]
        assert any("wandb-core" in process for process in left(folder))
        up.kill()
        eventually(lambda: left(folder) == [], "all processes are gone", 30)


def asked(url: str) -> Any:
    """Ask a stand-in."""
    return requests.get(url, timeout=10).json()


def left(folder: Path) -> list[str]:
    """Return the processes whose command, folder or environment names a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            shown = [*process.cmdline(), process.cwd(), *process.environ().values()]
            if process.pid != os.getpid() and any(str(folder) in one for one in shown):
                found.append(" ".join(process.cmdline()))
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return found
