"""Cold starts: each function against an empty one."""

import base64
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import requests

from deploy.local.processes import HOST, Processes, free_port
from deploy.local.stack import PROJECT, ROOT, Ports, Stack
from shared.core.message import Ticket, encode
from tests.bench.figures import Figure

EMPTY = '''"""An empty function: what the framework itself costs."""
import functions_framework

@functions_framework.http
def empty(request):
    return "ok"
'''


def cold_starts(folder: Path, rounds: int) -> Iterator[Figure]:
    """Cold starts: from spawn to the first answer through gunicorn, against an empty function."""
    folder.mkdir()
    empty = folder / "empty.py"
    empty.write_text(EMPTY, encoding="utf-8")
    seconds: dict[str, list[float]] = {name: [] for name in ("empty", "poll", "status", "submit")}
    resident: dict[str, list[float]] = {name: [] for name in seconds}
    with Stack(folder / "stack", Ports.free(), every=0) as stack:
        for _ in range(rounds + 1):  # the first round warms the disk's cache, and does not count
            for name, found in seconds.items():
                processes, port = Processes(folder), free_port()
                source = empty if name == "empty" else ROOT / "main.py"
                command = [sys.executable, "-m", "functions_framework", "--target", name, "--source", str(source)]
                environ = stack.function_environ() | {"FUNCTION_TARGET": name}
                began = time.monotonic()
                processes.start(name, [*command, "--host", HOST, "--port", str(port)], environ)
                try:
                    first_answer(name, port)
                    found.append(time.monotonic() - began)
                    resident[name].append(megabytes(processes.pid(name)))
                finally:
                    processes.stop()
    ratio = {
        name: statistics.median(t / e for t, e in zip(found[1:], seconds["empty"][1:], strict=True))
        for name, found in seconds.items()
    }
    for name, bound in (("poll", 2.5), ("status", 2.5), ("submit", 11.0)):
        yield Figure(f"cold start of {name}, against an empty function", ratio[name], bound, "×")
    for name, bound in (("poll", 90.0), ("status", 100.0), ("submit", 256.0)):
        yield Figure(f"{name}, resident after its first request", statistics.median(resident[name][1:]), bound, "MB")


def first_answer(name: str, port: int) -> None:
    """Call a function until it answers; the first accepted call must succeed."""
    push = f"/projects/{PROJECT}/topics/launch-requests" if name == "submit" else "/"
    ticket = encode(Ticket(launch_key="k" + "a" * 26))  # of an unknown launch: submit looks it up and does nothing
    body = {"subscription": "s", "message": {"data": base64.b64encode(ticket).decode(), "messageId": "1"}}
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = requests.post(f"http://{HOST}:{port}{push}", json=body, timeout=30)
        except requests.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
            continue
        answer.raise_for_status()
        return


def megabytes(pid: int) -> float:
    """Return the megabytes of the serving process, gunicorn's worker."""
    process = psutil.Process(pid)
    return max(float(one.memory_info().rss) for one in [process, *process.children(recursive=True)]) / 1e6
