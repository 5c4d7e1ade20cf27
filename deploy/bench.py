"""`make bench`: speed and memory as ratios and counts, all from one run on one machine, written to docs/benchmarks.md.

Milliseconds do not travel between machines; ratios to an empty function, or to one connection, do.
"""

import base64
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import psutil
import requests
from requests.adapters import HTTPAdapter
from rich.console import Console

from deploy.local.processes import HOST, Processes, free_port
from deploy.local.serving import serving
from deploy.local.stack import API_KEY, BUCKET, DEFAULT_CONFIG, ENTITY, LOCATION, PROJECT, QUEUE, ROOT, Ports, Stack
from deploy.local.vertex_server.app import create_app as vertex_app
from deploy.local.vertex_server.messages import parse_custom_job
from deploy.local.vertex_server.state import VertexState
from deploy.local.wandb_server.app import create_app as wandb_app
from deploy.local.wandb_server.state import State as WandbState
from functions.poll.drain import Policy, Poll
from functions.status.reconcile import Status
from shared.adapters.gcs import GcsAgentBook, GcsLedger
from shared.adapters.pubsub import PubsubPublisher
from shared.adapters.vertex_jobs import VertexJobs
from shared.adapters.wandb import Graphql, WandbRunQueue
from shared.core import launch as launches
from shared.core.message import Queue, Ticket, encode

PARENT = f"projects/{PROJECT}/locations/{LOCATION}"
EMPTY = '''"""An empty function: what the framework itself costs."""
import functions_framework

@functions_framework.http
def empty(request):
    return "ok"
'''
console = Console()


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    what: str
    measured: float
    bound: float
    unit: str
    at_least: bool = False

    @property
    def kept(self) -> bool:
        """Tell whether the bound holds."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Cold starts of each function.")
@click.option("--output", type=click.Path(path_type=Path), default=ROOT / "docs" / "benchmarks.md", show_default=True)
def main(rounds: int, output: Path) -> None:
    """Measure everything once; exit code 1 where a bound does not hold."""
    os.environ["GOOGLE_CLOUD_PROJECT"] = PROJECT
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for part in (_cold_starts, _drain, _tick, _memory, _demo):
            console.print(f"[bold]{part.__doc__}[/]")
            for figure in part(Path(folder) / part.__name__, rounds):
                console.print(f"  {figure.what}: {figure.measured:.2f} {figure.unit} (bound {figure.bound:g})")
                figures.append(figure)
    output.write_text(_page(figures, rounds), encoding="utf-8")
    console.print(f"Written to {output}.")
    if broken := [figure.what for figure in figures if not figure.kept]:
        raise click.ClickException("out of bounds: " + "; ".join(broken))


def _cold_starts(folder: Path, rounds: int) -> Iterator[Figure]:
    """Cold starts: from spawn to the first answer through gunicorn, against an empty function."""
    folder.mkdir()
    empty = folder / "empty.py"
    empty.write_text(EMPTY, encoding="utf-8")
    seconds: dict[str, list[float]] = {name: [] for name in ("empty", "poll", "status", "submit")}
    resident: dict[str, list[float]] = {name: [] for name in seconds}
    with Stack(folder / "stack", Ports.free(), every=0) as stack:
        for _ in range(rounds + 1):  # the first round warms the disk's cache and is not counted
            for name, found in seconds.items():
                processes, port = Processes(folder), free_port()
                source = empty if name == "empty" else ROOT / "main.py"
                command = [sys.executable, "-m", "functions_framework", "--target", name, "--source", str(source)]
                told = stack.function_environ() | {"FUNCTION_TARGET": name}
                began = time.monotonic()
                processes.start(name, [*command, "--host", HOST, "--port", str(port)], told)
                try:
                    _first_answer(name, port)
                    found.append(time.monotonic() - began)
                    resident[name].append(_resident(processes.pid(name)))
                finally:
                    processes.stop()
    ratio = {
        name: statistics.median(t / e for t, e in zip(found[1:], seconds["empty"][1:], strict=True))
        for name, found in seconds.items()
    }
    for name, bound in (("poll", 3.0), ("status", 5.5), ("submit", 11.0)):
        yield Figure(f"cold start of {name}, against an empty function", ratio[name], bound, "×")
    for name, bound in (("poll", 110.0), ("status", 140.0), ("submit", 256.0)):
        yield Figure(f"{name}, resident after its first request", statistics.median(resident[name][1:]), bound, "MB")


def _first_answer(name: str, port: int) -> None:
    push = f"/projects/{PROJECT}/topics/launch-requests" if name == "submit" else "/"
    ticket = encode(Ticket(launch_key="k" + "a" * 26))  # of no launch: looked up in the ledger, and nothing to do
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


def _resident(pid: int) -> float:
    """Return the megabytes of the process that serves: gunicorn's worker."""
    process = psutil.Process(pid)
    return max(float(one.memory_info().rss) for one in [process, *process.children(recursive=True)]) / 1e6


def _drain(folder: Path, _: int) -> Iterator[Figure]:
    """Poll drains 200 items, with 50 ms of latency on each call of W&B."""
    ports = Ports.free()
    latency = ("--latency-ms", "50")
    with Stack(folder, ports, every=0, wandb_options=latency, functions=()) as stack, _told(stack):
        seconds = {connections: _drain_once(stack, connections) for connections in (1, 32)}
    yield Figure("draining over 32 connections, against one", seconds[1] / seconds[32], 15.0, "×", at_least=True)


def _drain_once(stack: Stack, connections: int) -> float:
    name = f"drain-{connections}"
    stack.make_queue(name)
    queue = WandbRunQueue(Graphql(stack.ports.url("wandb"), API_KEY, connections))
    push = """mutation push($e: String!, $q: String!, $s: JSONString!) { pushToRunQueueByName(input:
        {entityName: $e, projectName: "model-registry", queueName: $q, runSpec: $s}) { runQueueItemId } }"""
    spec = '{"entity": "team", "project": "bench", "docker": {"docker_image": "local/train"}}'
    fill = Graphql(stack.ports.url("wandb"), API_KEY, 32)
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda _: fill.mutate(push, {"e": ENTITY, "q": name, "s": spec}), range(200)))
    policy = Policy(
        queues=(Queue(entity=ENTITY, name=name),),
        max_jobs=-1,
        max_queued=100_000,
        connections=connections,
        budget=timedelta(minutes=5),
    )
    topic = PubsubPublisher(f"projects/{PROJECT}/topics/launch-requests")
    parts = (queue, GcsLedger(BUCKET), GcsAgentBook(BUCKET, name), topic, lambda: datetime.now(UTC))
    began = time.monotonic()
    report = Poll(*parts, policy, wait=time.sleep).run(name)
    if report.launched[name] != 200:
        raise click.ClickException(f"not all of 200 items were drained: {report}")
    return time.monotonic() - began


def _tick(folder: Path, _: int) -> Iterator[Figure]:
    """One tick of status with 1,000 open launches: calls, not seconds."""
    with _full(folder, 1000) as (stack, wandb, vertex):
        ledger, counted = GcsLedger(BUCKET), Counter[str]()
        ledger._bucket.handle().client._http.mount("http://", _Counting(counted))  # noqa: SLF001 - the wire is counted
        vertex.requests.update(dict.fromkeys(vertex.requests, 0))
        wandb.requests.clear()
        Status(
            ledger=ledger,
            jobs=VertexJobs("vertex-launch", stack.ports.url("vertex")),
            tracker=WandbRunQueue(Graphql(stack.ports.url("wandb"), API_KEY)),
            publisher=PubsubPublisher(f"projects/{PROJECT}/topics/launch-requests"),
            clock=lambda: datetime.now(UTC),
            parents=(PARENT,),
        ).run()
        yield Figure("calls of the ledger's bucket in a tick with 1,000 open launches", counted.total(), 1, "calls")
        yield Figure("calls of Vertex AI in the same tick", sum(vertex.requests.values()), 10, "calls")
        yield Figure("calls of W&B in the same tick", sum(wandb.requests.values()), 10, "calls")


class _Counting(HTTPAdapter):
    """Count what goes over the wire."""

    def __init__(self, counted: Counter[str]) -> None:
        super().__init__()
        self._counted = counted

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Count a request and send it."""
        self._counted[str(request.method)] += 1
        return super().send(request, *args, **kwargs)


def _memory(folder: Path, _: int) -> Iterator[Figure]:
    """Memory of poll and status with 100 and with 10,000 open launches."""
    resident: dict[tuple[str, int], float] = {}
    for number in (100, 10_000):
        with _full(folder / str(number), number) as (stack, _wandb, _vertex):
            for name in ("poll", "status"):
                for _tick in range(2):
                    requests.post(stack.ports.url(name) + "/", timeout=120).raise_for_status()
                resident[name, number] = _resident(stack.processes.pid(name))
    for name in ("poll", "status"):
        ratio = resident[name, 10_000] / resident[name, 100]
        yield Figure(f"memory of {name} with 10,000 open launches, against 100", ratio, 1.3, "×")


@contextmanager
def _full(folder: Path, number: int) -> Iterator[tuple[Stack, WandbState, VertexState]]:
    """Run a stack with so many launches that run: in the ledger, in Vertex AI and in W&B."""
    ports, wandb, vertex = Ports.free(), WandbState(), VertexState()
    settings = {"LAUNCH_MAX_JOBS": "-1", "STATUS_BUDGET_SECONDS": "100"}
    with ExitStack() as all_:
        all_.enter_context(serving(wandb_app(wandb), ports.wandb))
        all_.enter_context(serving(vertex_app(vertex), ports.vertex))
        stack = Stack(folder, ports, settings, every=0, without=frozenset({"wandb", "vertex"}))
        all_.enter_context(stack)
        all_.enter_context(_told(stack))
        ledger, queue = GcsLedger(BUCKET), Queue(entity=ENTITY, name=QUEUE)

        def put(item: int) -> None:
            spec = {"entity": ENTITY, "project": "bench", "name": f"run-{item}", **DEFAULT_CONFIG}
            launch = launches.from_item(f"item-{item}", queue, spec, datetime.now(UTC))
            entry = launch.entry
            labels = {"launch_key": launch.key, "launch_attempt": "1", "launch_agent": "vertex-launch"}
            pools = [{"replicaCount": 1, "containerSpec": {"imageUri": "local/train"}}]
            message = parse_custom_job({"displayName": "b", "labels": labels, "jobSpec": {"workerPoolSpecs": pools}})
            job = vertex.add(PARENT, message, "JOB_STATE_RUNNING")
            wandb.upsert_run(ENTITY, "bench", entry.run.run_id, {"state": "running"})
            claim = launch.move(launches.State.SUBMITTING, attempt=1, parent=PARENT)
            ledger.write(claim.move(launches.State.SUBMITTED, job_name=job.name, submitted_at=datetime.now(UTC)))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, range(number)))
        yield stack, wandb, vertex


@contextmanager
def _told(stack: Stack) -> Iterator[None]:
    """Point Google's clients of this process at a stack."""
    names = ("STORAGE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST")
    before = {name: os.environ.get(name) for name in names}
    os.environ |= {name: stack.function_settings()[name] for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _demo(folder: Path, _: int) -> Iterator[Figure]:
    """The demo, and how soon the stack is up."""
    began = time.monotonic()
    with Stack(folder / "up", Ports.free(), every=0):
        up = time.monotonic() - began
    began = time.monotonic()
    command = [sys.executable, "-m", "deploy", "demo", "--folder", str(folder / "demo")]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    yield Figure("the stack is up", up, 5, "s")
    yield Figure("`make demo`, once installed", time.monotonic() - began, 60, "s")


def _page(figures: list[Figure], rounds: int) -> str:
    lines = [
        "# Benchmarks",
        "",
        f"Made by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, Python "
        f"{sys.version.split()[0]}, everything on loopback; medians of {rounds} cold starts, paired round by round.",
        "Ratios travel between machines, seconds do not.",
        "",
        "| what | measured | bound | holds |",
        "|---|---|---|---|",
    ]
    for figure in figures:
        sign = "≥" if figure.at_least else "≤"
        shown = f"{figure.measured:.0f}" if figure.unit in ("calls", "MB") else f"{figure.measured:.2f}"
        holds = "yes" if figure.kept else "**no**"
        lines.append(f"| {figure.what} | {shown} {figure.unit} | {sign} {figure.bound:g} | {holds} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
