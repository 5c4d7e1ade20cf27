"""Memory and CPU of each function, from which cloudbuild.yaml's container sizes are chosen.

The figures are CPU time, not wall time: other programs of the machine hardly change it.
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
HEADROOM = 0.75  # a function's share of its memory limit, above which its container is killed
SAMPLE_SECONDS = 0.03
Work = Callable[[Stack, VertexState], None]


@dataclass(frozen=True)
class Case:
    """The measurement of one function; bounds are about twice the CPU time at their last change."""

    verb: str
    work: Work  # handles LAUNCHES launches, or raises
    first_bound: float  # CPU seconds until the first answer
    each_bound: float  # CPU milliseconds of a launch
    open_launches: int = 0  # running launches at the start of the work


def sizes(folder: Path, rounds: int) -> Iterator[Figure]:
    """Sizes: memory and CPU of each function's container."""
    for case in CASES:
        # gunicorn's default is four threads per CPU; the cloud sends at most `concurrency` calls at a time
        settings = {"THREADS": deployed(case.verb, "concurrency"), "LAUNCH_MAX_QUEUED": "100000"}
        first = []
        with full(folder / case.verb, case.open_launches, (), settings) as (stack, _wandb, vertex):
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
    """Return the value of a function's flag in cloudbuild.yaml."""
    build = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text(encoding="utf-8"))
    [script] = [step["script"] for step in build["steps"] if step["id"] == f"deploy-{verb}"]
    [value] = re.findall(rf"^\s*--{flag}=(\S+)", script, re.MULTILINE)
    return str(value)


def megabytes_given(memory: str) -> float:
    """Return the megabytes of 256Mi or 1Gi."""
    factor = {"Mi": 1024**2, "Gi": 1024**3}[memory[-2:]]
    return int(memory[:-2]) * factor / 1e6


@contextmanager
def _served(stack: Stack, verb: str) -> Iterator[psutil.Process]:
    """Serve a function, wait for its first answer, and end it afterwards."""
    stack.start_function(verb)
    try:
        first_answer(verb, getattr(stack.ports, verb))
        yield psutil.Process(stack.processes.pid(verb))
    finally:
        stack.processes.kill(verb)


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time so far of a process and its children."""
    times = [one.cpu_times() for one in [process, *process.children(recursive=True)]]
    return float(sum(t.user + t.system for t in times))


def container_megabytes(process: psutil.Process) -> float:
    """Return the memory of a process and its children in a container of their own.

    Written pages count by their PSS, so that pages shared by gunicorn's two processes count once. Mapped
    files count in full, for the process that maps most: other programs that map them reduce their PSS.
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
    """Sample a container's memory repeatedly, and once at the end."""
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
    """Answer deliveries, with the concurrency of cloudbuild.yaml."""
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
    """Observe that all jobs have ended."""
    for job in vertex.jobs():
        vertex.move(job, "JOB_STATE_SUCCEEDED")
    _check(_ticked(stack, "status")["done"].get("Finish"))


def _ticked(stack: Stack, verb: str) -> dict[str, Any]:
    answer = requests.post(stack.ports.url(verb) + "/", timeout=120)
    answer.raise_for_status()
    return dict(answer.json())


def _check(handled: int | None) -> None:
    if handled != LAUNCHES:
        raise click.ClickException(f"only {handled} of {LAUNCHES} launches were handled, so there is no figure")


CASES = (
    Case("poll", _poll, 1.0, 7.0),
    Case("submit", _submit, 4.0, 25.0),
    Case("status", _status, 2.5, 15.0, open_launches=LAUNCHES),
)
