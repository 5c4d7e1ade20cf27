"""`make bench-agent`: the real `wandb launch-agent` and us in turn, on the same stand-ins.

It writes its section of docs/reference/benchmarks.md.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

import click
from rich.console import Console

from deploy.local.stack import PROJECT, ROOT
from tests.bench.agent.figures import Row, section, waits, with_section
from tests.bench.agent.measures import CREATE_SECONDS, FULL, QUICK, TURNED_JOB, Bench, Traffic
from tests.bench.agent.systems import Agent, Ours, System, install, python_of
from tests.bench.agent.world import World

PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
ENVIRONMENT = ROOT / ".bench-agent"
SEES_ENDS = (3, 10)  # the newest Python on which str(JobState.X) is "JobState.X", as the agent expects
WARM_BOUNDS = (0.5, 0.8)  # of p50 and p95, against the agent
P = ParamSpec("P")
T = TypeVar("T")
COLD_STRETCH = 3.0  # spreads the items over three minutes
console = Console(highlight=False)


@click.command()
@click.option("--agent-python", help="A Python with which the agent's environment is made.  [default: python3.10]")
@click.option("--agent-venv", type=click.Path(exists=True, path_type=Path), help="An environment that has the agent.")
@click.option("--quick", is_flag=True, help="A few items only, in about five minutes; the page stays as it is.")
@click.option("--output", type=click.Path(path_type=Path), default=PAGE, show_default=True)
def main(agent_python: str | None, agent_venv: Path | None, quick: bool, output: Path) -> None:
    """Measure both systems; the exit code is 1 if a bound does not hold."""
    os.environ["GOOGLE_CLOUD_PROJECT"] = PROJECT
    python = python_of(agent_venv) if agent_venv else install(ENVIRONMENT, agent_python or _default_python())
    version = _version(python)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-agent-") as folder, World().serving() as world:
        bench = Bench(world, Path(folder), QUICK if quick else FULL)
        rows = _measured(bench, Agent(python))
    notes = _notes(version, bench, time.monotonic() - began)
    text = section(rows, notes)
    console.print(text, markup=False, soft_wrap=True)
    if not quick:
        output.write_text(with_section(output.read_text(encoding="utf-8"), text), encoding="utf-8")
        console.print(f"Written to {output}.")
    if broken := [row.what for row in rows if row.kept is False]:
        raise click.ClickException("out of bounds: " + "; ".join(broken))


def _measured(bench: Bench, agent: Agent) -> list[Row]:
    """Measure each part with the agent, then with us."""
    ours, cold, size = Ours(), Ours(cadence="never"), bench.size
    systems: tuple[System, System] = (agent, ours)
    warm = [_step(f"enqueue → CustomJob, warm: {each.name}", bench.waits, each, "warm") for each in systems]
    cold_waits = _step("enqueue → CustomJob, cold: ours", bench.waits, cold, "cold", COLD_STRETCH)
    turns = [_step(f"slot turnaround: {each.name}", bench.turns, each) for each in systems]
    burst = [_step(f"items at once: {each.name}", bench.burst, each) for each in systems]
    traffic = [_step(f"calls: {each.name}", _traffic, bench, each, "calls", size.jobs) for each in systems]
    settled = _step("calls, cold: ours", _traffic, bench, cold, "settled", size.jobs[len(size.jobs) // 2 :][:1])
    rows = [
        *waits("enqueue → CustomJob, warm", warm[0], warm[1], WARM_BOUNDS),
        *waits("enqueue → CustomJob, cold", warm[0], cold_waits),
        *waits("slot turnaround, warm", turns[0], turns[1], WARM_BOUNDS),
        Row(f"{size.burst} items at once, {CREATE_SECONDS:g} s a create", burst[0], burst[1], "s"),
    ]
    for number in size.jobs:
        rows += _traffic_rows(f"{number} running jobs" if number else "idle", traffic[0][number], traffic[1][number])
    for number in settled:
        rows += _call_rows(f"{number} running jobs, none young", traffic[0][number], settled[number])
    return rows


def _traffic(bench: Bench, system: System, what: str, jobs: Sequence[int]) -> dict[int, Traffic]:
    found = {}
    for number, traffic in bench.traffic(system, what, jobs):
        console.print(f"  {number} jobs: {traffic}", soft_wrap=True)
        found[number] = traffic
    return found


def _traffic_rows(what: str, agent: Traffic, ours: Traffic) -> list[Row]:
    return [
        *_call_rows(what, agent, ours),
        Row(f"CPU a minute, {what}", agent.cpu, ours.cpu, "s"),
        Row(f"memory, {what}", agent.megabytes, ours.megabytes, "MB"),
    ]


def _call_rows(what: str, agent: Traffic, ours: Traffic) -> list[Row]:
    return [
        Row(f"calls of W&B a minute, {what}", agent.wandb, ours.wandb),
        Row(f"calls of Vertex AI a minute, {what}", agent.vertex, ours.vertex),
    ]


def _step(what: str, measure: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    began = time.monotonic()
    result = measure(*given, **named)
    shown = _short(result)
    console.print(f"{what}: {shown} ({time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f})", soft_wrap=True)
    return result


def _short(result: object) -> str:
    if isinstance(result, list):
        return " ".join(f"{each:.1f}" for each in result) or "never"
    return f"{result:.1f} s" if isinstance(result, float) else "done"


def _notes(version: tuple[int, int, int], bench: Bench, seconds: float) -> list[str]:
    size, dotted = bench.size, ".".join(map(str, version))
    notes = [
        f"`make bench-agent` measures the unmodified `wandb launch-agent` (Python {dotted}) and our three functions "
        "in turn, on the same stand-ins for W&B and Vertex AI.",
        f"Measured on {datetime.now(UTC):%Y-%m-%d} in {seconds / 60:.0f} minutes: {os.cpu_count()} cores, Python "
        f"{sys.version.split()[0]}, load {os.getloadavg()[2]:.1f}.",
        "",
        f"- Waits: {size.items} items, as a person launches one after the other: each comes within "
        f"{2 * size.distance:g} s of the create before it. Warm means within 15 minutes of the last work. The agent is "
        "always warm. Cold, we begin one round a minute, and the items come at random over two minutes; the start of "
        "a container, which the cloud adds, is not in the figures.",
        "- An item that comes at any time meets the agent's ten seconds in their middle. With 20 items at random, "
        "whether or not the one before had its job, the agent needed 5.2 s (p50) and 8.9 s (p95), and we 4.7 and 7.7 s "
        "(2026-11-26, another run).",
        f"- Turnaround: from the end of a job of {TURNED_JOB:g} s to the next create, with `max_jobs: 1`, "
        f"{size.turns} times.",
        "- Calls: all HTTP requests of one minute. Jobs are young for ten minutes after their create; then status "
        "lists them once a minute.",
        "- Memory and CPU: the agent with its side process, and our three functions together. In the cloud, ours "
        "use memory only while they answer a call.",
    ]
    if version[:2] > SEES_ENDS:
        notes.append(
            f"- On Python {dotted}, this agent never sees the end of a Vertex job: it compares the text of an enum, "
            "which newer Pythons write differently. So it never uses a slot again. On Python 3.10 it sees ends."
        )
    return notes


def _version(python: Path) -> tuple[int, int, int]:
    command = [str(python), "-c", "import sys; print(*sys.version_info[:3])"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    major, minor, micro = map(int, done.stdout.split())
    return major, minor, micro


def _default_python() -> str:
    return shutil.which("python3.10") or sys.executable


if __name__ == "__main__":
    main()
