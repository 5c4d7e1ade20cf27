"""What each function needs of its container, so that its size in cloudbuild.yaml is chosen by measurement.

CPU time is counted, not time on the clock: other programs of the machine change the first only a little.
"""

import base64
import re
import statistics
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import psutil
import requests
import yaml

from deploy.local.servers.vertex.state import VertexState
from deploy.local.stack import BUCKET, DEFAULT_CONFIG, ENTITY, PROJECT, QUEUE, ROOT, TOPIC, Stack
from shared.adapters.gcs import GcsLedger
from shared.core.intake import from_item
from shared.core.message import Queue, Ticket, encode
from tests.bench.cold import first_answer
from tests.bench.figures import Figure
from tests.bench.stacks import fill, full

LAUNCHES = 300
HEADROOM = 0.75  # of its memory is what a function may need: a container that takes more than all of it is killed
SAMPLE_SECONDS = 0.03
Work = Callable[[Stack, VertexState], None]


@dataclass(frozen=True)
class Case:
    """How a function is measured, and the bounds of its CPU time: about twice what it was when they were set."""

    verb: str
    work: Work  # handles LAUNCHES launches, or raises
    first_bound: float  # CPU seconds until the first answer
    each_bound: float  # CPU milliseconds of a launch
    open_launches: int = 0  # there are so many, and they run, when the work begins


def sizes(folder: Path, rounds: int) -> Iterator[Figure]:
    """Sizes: what each function needs of its container."""
    for case in CASES:
        # gunicorn has four threads for each CPU where nothing is said, and no more calls come at a time than these
        told = {"THREADS": deployed(case.verb, "concurrency"), "LAUNCH_MAX_QUEUED": "100000"}
        first = []
        with full(folder / case.verb, case.open_launches, (), **told) as (stack, _wandb, vertex):
            for _ in range(rounds):
                with _served(stack, case.verb) as process:
                    first.append(cpu_seconds(process))
            with _served(stack, case.verb) as process, _highest(process) as found:
                before = cpu_seconds(process)
                case.work(stack, vertex)
                each = (cpu_seconds(process) - before) * 1000 / LAUNCHES
        given = megabytes_given(deployed(case.verb, "memory"))
        what = f"{case.verb}, {LAUNCHES} launches"
        yield Figure(f"{what}: memory of its container at its highest", max(found), round(HEADROOM * given), "MB")
        yield Figure(f"{what}: CPU for each", each, case.each_bound, "ms")
        yield Figure(f"{case.verb}: CPU until its first answer", statistics.median(first), case.first_bound, "s")


def deployed(verb: str, flag: str) -> str:
    """Return the value of a flag that cloudbuild.yaml deploys a function with."""
    build = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text(encoding="utf-8"))
    [script] = [step["script"] for step in build["steps"] if step["id"] == f"deploy-{verb}"]
    [value] = re.findall(rf"^\s*--{flag}=(\S+)", script, re.MULTILINE)
    return str(value)


def megabytes_given(memory: str) -> float:
    """Read 256Mi or 1Gi."""
    factor = {"Mi": 1024**2, "Gi": 1024**3}[memory[-2:]]
    return int(memory[:-2]) * factor / 1e6


@contextmanager
def _served(stack: Stack, verb: str) -> Iterator[psutil.Process]:
    """Serve a function until it has answered once, and end it afterwards."""
    stack.start_function(verb)
    try:
        first_answer(verb, getattr(stack.ports, verb))
        yield psutil.Process(stack.processes.pid(verb))
    finally:
        stack.processes.kill(verb)


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process and all it has started, so far."""
    times = [one.cpu_times() for one in [process, *process.children(recursive=True)]]
    return float(sum(t.user + t.system for t in times))


def container_megabytes(process: psutil.Process) -> float:
    """Return what a process and all it has started would take in a container of their own.

    What they have written counts by its PSS: gunicorn's two processes share some, which counts once. The files that
    they map count in full, for the one that maps most: their PSS would be less where other programs map them too.
    """
    own, files = 0, 0
    for one in [process, *process.children(recursive=True)]:
        kilobytes = {
            name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) kB", _smaps(one.pid), re.MULTILINE)
        }
        own += kilobytes["Pss_Anon"]
        files = max(files, kilobytes["Rss"] - kilobytes["Anonymous"])
    return (own + files) * 1024 / 1e6


def _smaps(pid: int) -> str:
    return Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")


@contextmanager
def _highest(process: psutil.Process) -> Iterator[list[float]]:
    """Look at a container's memory again and again, also once at the end."""
    done, found = threading.Event(), [container_megabytes(process)]

    def look() -> None:
        while not done.wait(SAMPLE_SECONDS):
            found.append(container_megabytes(process))

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            yield found
        finally:
            done.set()
        looking.result()
    found.append(container_megabytes(process))


def _poll(stack: Stack, _: VertexState) -> None:
    """Drain a queue."""
    fill(stack, QUEUE, LAUNCHES)
    _check(_ticked(stack, "poll")["launched"].get(QUEUE))


def _submit(stack: Stack, vertex: VertexState) -> None:
    """Answer deliveries, as many at a time as cloudbuild.yaml lets in."""
    ledger, queue = GcsLedger(BUCKET), Queue(entity=ENTITY, name=QUEUE)

    def put(item: int) -> str:
        spec = {"entity": ENTITY, "project": "bench", "name": f"run-{item}", "docker": {"docker_image": "local/train"}}
        launch = from_item(f"item-{item}", queue, spec | DEFAULT_CONFIG, datetime.now(UTC))
        return ledger.write(launch).key

    def deliver(key: str) -> None:
        data = base64.b64encode(encode(Ticket(launch_key=key))).decode()
        body = {"subscription": "s", "message": {"data": data, "messageId": key}}
        url = f"{stack.ports.url('submit')}/projects/{PROJECT}/topics/{TOPIC}"
        requests.post(url, json=body, timeout=60).raise_for_status()

    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(put, range(LAUNCHES)))
    with ThreadPoolExecutor(int(deployed("submit", "concurrency"))) as pool:
        list(pool.map(deliver, keys))
    _check(len(vertex.jobs()))


def _status(stack: Stack, vertex: VertexState) -> None:
    """Find out that all jobs have ended."""
    for job in vertex.jobs():
        vertex.move(job, "JOB_STATE_SUCCEEDED")
    _check(_ticked(stack, "status")["done"].get("Finish"))


def _ticked(stack: Stack, verb: str) -> dict[str, Any]:
    answer = requests.post(stack.ports.url(verb) + "/", timeout=120)
    answer.raise_for_status()
    return dict(answer.json())


def _check(handled: int | None) -> None:
    if handled != LAUNCHES:
        raise click.ClickException(f"{handled} of {LAUNCHES} launches were handled, so nothing is measured")


CASES = (
    Case("poll", _poll, 1.0, 7.0),
    Case("submit", _submit, 4.0, 25.0),
    Case("status", _status, 2.5, 15.0, open_launches=LAUNCHES),
)
