"""The demo and `up`, as a newcomer starts them: real wandb, real SDK, real processes, in a hostile shell."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from deploy.local.cases import CASES
from deploy.local.ports import Ports, taken
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


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run it once, in the environment of many a shell at once."""
    folder = tmp_path_factory.mktemp("demo") / "the logs"
    command = [*PYTHON, "demo", "--folder", str(folder), "--timeout", "400"]
    environ = {**os.environ, **HOSTILE, "COLUMNS": "160"}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, encoding="utf-8", timeout=460, check=False, umask=0o077
    )
    return done, folder


def test_all_jobs_have_the_right_outcome(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """The exit code says so."""
    done, _ = demo
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("OK ")] == [
        case.name for case in CASES
    ]


def test_a_job_without_a_run_shows_the_end_of_its_log(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Its author reads there why the item failed."""
    done, _ = demo
    assert "The end of its log: loading the cats done, without wandb.init" in re.sub(r"[\s│]+", " ", done.stdout)


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
    assert left(folder) == []


def test_up_on_its_ports(tmp_path: Path) -> None:
    """It says what to export; a second one is refused before anything is touched; Ctrl-C ends it."""
    with up(tmp_path) as (make, process, printed):
        text = printed.read_text(encoding="utf-8")
        assert "launch --queue vertex --entity local-team" in text
        assert 'export no_proxy="127.0.0.1,localhost,::1${no_proxy:+,$no_proxy}"; export NO_PROXY="$no_proxy"' in text
        holds = f"process {process.pid} already runs a stack in {tmp_path / 'logs'}: end it first"
        assert refused(tmp_path / "logs") == f"Error: {holds}, or choose another --folder"
        taken_ports = r"Error: these ports are taken: 7001 \(wandb\) by \S+ \(process \d+\), 7002 .*, then try again\."
        assert re.fullmatch(taken_ports, refused(tmp_path / "other"))
        assert (tmp_path / "logs" / "wandb.log").exists()
        process.send_signal(signal.SIGINT)
        assert make.wait(30) == 0, printed.read_text(encoding="utf-8")
    assert "Ended." in printed.read_text(encoding="utf-8")
    assert left(tmp_path) == []


@pytest.mark.parametrize("ending", ["a closed terminal", "make is killed", "it is killed"])
def test_up_leaves_nothing(tmp_path: Path, ending: str) -> None:
    """However it ends."""
    with up(tmp_path) as (make, process, _):
        if ending == "make is killed":
            make.kill()
        else:
            process.send_signal(signal.SIGHUP if ending == "a closed terminal" else signal.SIGKILL)
        eventually(lambda: left(tmp_path) == [], "all processes are gone", 30)


@contextmanager
def up(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], psutil.Process, Path]]:
    """Keep a stack running on the fixed ports: gives the `make` that started it, its process, and what it printed."""
    if taken({"wandb": Ports().wandb}):
        pytest.skip("a stack is running on the fixed ports")
    printed = folder / "printed"
    command = ["sh", "-c", '"$@"; exit $?', "make", *PYTHON, "up", "--folder", str(folder / "logs")]
    environ = {**os.environ, **HOSTILE, "MAKELEVEL": "1"}
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup lets all that it starts ignore it
    with (
        printed.open("w") as out,
        subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env=environ) as make,
    ):
        try:
            signal.signal(signal.SIGHUP, hang_up)
            eventually(lambda: "Ctrl-C ends" in printed.read_text(encoding="utf-8"), "up")
            [process] = psutil.Process(make.pid).children()
            yield make, process, printed
        finally:
            if make.poll() is None:
                for child in psutil.Process(make.pid).children():
                    child.kill()
                make.kill()


def refused(folder: Path) -> str:
    """Start a second stack on the same ports; return the one line that it says."""
    done = subprocess.run(
        [*PYTHON, "up", "--folder", str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    return line


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
