"""Processes end with the one that started them, however that one ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deploy.local.ports import free_port
from deploy.local.processes import NotStartedError, Processes
from tests.waiting import eventually

PARENT = """
import signal, sys, time
from pathlib import Path
from deploy.local.processes import Processes
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup lets all that it starts ignore it
processes = Processes(Path(sys.argv[1]))
code = "import subprocess, sys, time; sleep = [sys.executable, '-c', 'import time; time.sleep(600)'];"
code += "subprocess.Popen(sleep); subprocess.Popen(sleep, start_new_session=True, stdout=-3, stderr=-3);"
processes.start("server", [sys.executable, "-c", code + "time.sleep(600)"])
print(processes.pid("server"), flush=True)
time.sleep(600)
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)

ENDING = """
import signal, sys, time
def end(*_):
    time.sleep(float(sys.argv[1]))
    print("ended", time.monotonic(), flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    """What was started goes, and what that has started, even a container in a session of its own."""
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout
        server = psutil.Process(int(parent.stdout.readline()))
        family = [server, *eventually(lambda: pair(server), "the server's own children", 20)]
        parent.send_signal(number)
    eventually(lambda: not any(map(alive, family)), "all of them are gone", 30)


def pair(process: psutil.Process) -> list[psutil.Process]:
    """Return two children of a process, or none yet."""
    children = process.children()
    return children if len(children) == 2 else []


def alive(process: psutil.Process) -> bool:
    """Tell whether a process runs: one that nobody has reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


COMMAND = """
import time
from deploy.local.commands import end_in_order
end_in_order()
print("up", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("ending", ["a closed terminal", "make is killed"])
def test_a_command_ends_in_order(ending: str) -> None:
    """As on Ctrl-C: it has time to end what it has started."""
    command = ["sh", "-c", '"$@"; exit $?', "make", sys.executable, "-c", COMMAND]
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup lets all that it starts ignore it
    env = {**os.environ, "MAKELEVEL": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as make:
        signal.signal(signal.SIGHUP, hang_up)
        assert make.stdout
        assert make.stderr
        assert make.stdout.readline() == "up\n", make.stderr.read()
        [process] = psutil.Process(make.pid).children()
        if ending == "make is killed":
            make.kill()
        else:
            process.send_signal(signal.SIGHUP)
        eventually(lambda: not alive(process), "it has ended", 30)
        assert ("KeyboardInterrupt" in make.stderr.read()) == (ending == "make is killed")


def test_a_stubborn_one_is_killed(tmp_path: Path) -> None:
    """After the grace."""
    processes = Processes(tmp_path)
    process = processes.start("stubborn", [sys.executable, "-uc", STUBBORN])
    eventually(lambda: "up" in processes.tail("stubborn"), "it ignores SIGTERM", 20)
    processes.stop(grace_seconds=0.1)
    assert process.returncode == -signal.SIGKILL


def test_a_function_finishes_before_its_servers_end(tmp_path: Path) -> None:
    """A tick that loses a server logs an error."""
    processes = Processes(tmp_path)
    for name, seconds in (("server", 0), ("function", 0.5)):
        processes.start(name, [sys.executable, "-uc", ENDING, str(seconds)])
        eventually(lambda name=name: "up" in processes.tail(name), "it runs", 20)  # type: ignore[misc]
    processes.stop(("not started", "function"))
    ended = {name: float(processes.tail(name).split()[-1]) for name in ("function", "server")}
    assert ended["function"] < ended["server"]


def test_one_that_ends_by_itself_is_one_line(tmp_path: Path) -> None:
    """With the last that it printed, and where the rest is."""
    processes = Processes(tmp_path)
    processes.start("gcs", [sys.executable, "-c", "import sys; print('first'); sys.exit('no room')"])
    with pytest.raises(NotStartedError) as failure:
        processes.await_port("gcs", free_port(), time.monotonic() + 20)
    assert str(failure.value) == f"gcs ended with exit code 1 (no room): see {tmp_path / 'gcs.log'}"
    processes.stop()


def test_one_that_does_not_listen_in_time_is_one_line(tmp_path: Path) -> None:
    """With where its log is."""
    processes, port = Processes(tmp_path), free_port()
    processes.start("gcs", [sys.executable, "-c", "import time; time.sleep(600)"])
    with pytest.raises(NotStartedError) as failure:
        processes.await_port("gcs", port, time.monotonic())
    assert str(failure.value) == f"gcs did not listen at port {port} in time: see {tmp_path / 'gcs.log'}"
    processes.stop()


def test_a_command_is_run_to_its_end(tmp_path: Path) -> None:
    """In a folder, with this environment; what it prints is kept."""
    code = "import os, sys; print(os.getcwd(), os.environ['A']); sys.exit(3)"
    processes = Processes(tmp_path)
    assert processes.run("shown", [sys.executable, "-c", code], {"A": "x"}, tmp_path) == 3
    assert processes.tail("shown").split() == [os.path.realpath(tmp_path), "x"]
    assert processes.ended() is None


def test_a_killed_guard_stops_nothing(tmp_path: Path) -> None:
    """The stack goes on without it, and ends in order."""
    code = """
import os, sys
from pathlib import Path
from deploy.local import processes
guard = processes._guard()
guard._process.kill()
guard._process.wait()
made = processes.Processes(Path(sys.argv[1]))
process = made.start("server", [sys.executable, "-c", "import time; time.sleep(600)"])
made.stop()
print(process.poll())
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.returncode) == (str(-signal.SIGTERM), 0), done.stderr
