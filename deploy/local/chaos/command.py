"""The command `chaos`."""

import random
import shutil
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import requests
from rich.console import Console
from rich.live import Live
from rich.table import Table

from deploy.local.chaos.audit import Audit, write
from deploy.local.chaos.items import KINDS, plan, queue_config
from deploy.local.chaos.outside import Outside
from deploy.local.chaos.storm import Seen, Storm
from deploy.local.commands import end_in_order
from deploy.local.processes import NotStartedError
from deploy.local.stack import QUEUE, Ports, Stack

TIMEOUT, CREATE_TIMEOUT = 5, 2  # seconds that submit has, and that a create of it may take
SETTINGS = {
    "SUBMIT_LEASE_SECONDS": "10",  # longer than both together, as in the cloud
    "SUBMIT_SETTLE_SECONDS": "5",  # longer than a create
    "FIRST_RETRY_SECONDS": "0.5",
    "POLL_BUDGET_SECONDS": "2",
    "POLL_LEASE_SECONDS": "3",
    "OVERDUE_SECONDS": "3",
    "STATUS_BUDGET_SECONDS": "10",
    "LISTING_LAG_SECONDS": "2",
    "INIT_GRACE_SECONDS": "2",
    "LAUNCH_STOPPED_RUN_TIMEOUT": "1",
}
SHARE = click.FloatRange(0, 1)
ITEM_LEASE = 5  # seconds; W&B's is a minute
TOLD = (  # events of the functions that show what was survived
    "poll.again",
    "poll.failed",
    "launch.claimed_elsewhere",
    "launch.nothing_to_do",
    "launch.late_duplicate",
    "launch.outcome_unknown",
    "launch.found",
    "launch.retry",
    "launch.denied",
    "launch.waiting",
    "launch.claim_lost",
)


@click.command()
@click.option("--items", default=1000, show_default=True, type=click.IntRange(1), help="How many items to enqueue.")
@click.option("--seed", default=1, show_default=True, help="What kinds, kills and failures are drawn from.")
@click.option("--kills", default=60, show_default=True, type=click.IntRange(0), help="How often a function is killed.")
@click.option("--fault-rate", default=0.1, type=SHARE, show_default=True, help="Share of calls that fail.")
@click.option("--duplicates", default=0.1, type=SHARE, show_default=True, help="Share of pushes that come twice.")
@click.option("--max-jobs", default=40, show_default=True, type=click.IntRange(1), help="How many slots there are.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path(".chaos"), show_default=True, help="For logs.")
def chaos(items: int, seed: int, kills: int, fault_rate: float, duplicates: float, max_jobs: int, folder: Path) -> None:
    """Run many items while functions are killed and W&B, Vertex AI and Pub/Sub misbehave; then audit every item.

    Exit code 0 only where no item was lost, doubled or told something wrong, and no slot leaked.

    The functions are real processes, killed by SIGKILL at any moment or in the middle of a call, and started again at
    once. What stands in for W&B and Vertex AI answers 429, 503 and 401, cuts connections, is late, and loses answers of
    calls that had their effect.

    What is shortened is waiting: a claim's lease is 10 s (660 in the cloud), still longer than the 5 s that submit has
    (540) and the 2 s that a create may take (60); W&B's lease of a popped item 5 s (60); the grace of status seconds.
    GCS takes ten writes of an object a second (one).
    Jobs are played by the stand-in, without processes of their own.

    A seed repeats the mixture, not the story: which call meets what depends on the machine.
    """
    console = Console()
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    rng = random.Random(seed)  # noqa: S311 - no secret
    faults = ("--fault-rate", str(fault_rate), "--fault-seed", str(seed))
    stack = Stack(
        folder,
        Ports.free(),
        {**SETTINGS, "LAUNCH_MAX_JOBS": str(max_jobs)},
        every=0.5,
        emulator=False,  # Google's own does not repeat on demand
        gcs_options=("--write-seconds", "0.1"),
        wandb_options=("--lease-seconds", str(ITEM_LEASE), *faults),
        vertex_options=("--pending-seconds", "0.1", *faults),
        pubsub_options=("--shape", "cloudevent", "--duplicates", str(duplicates), "--seed", str(seed)),
        timeouts={"submit": TIMEOUT},
    )
    console.print(f"{items} items, {kills} kills, seed {seed}. Starting …")
    end_in_order()
    try:
        with stack:
            stack.make_queue(QUEUE, queue_config(CREATE_TIMEOUT))
            outside, planned = Outside(stack), plan(items, rng)
            storm = Storm(stack, outside, planned, kills, rng)
            _weather(storm, console)
            found = outside.audit(planned)
            _summary(storm, outside, found, console)
    except NotStartedError as exc:
        raise click.ClickException(str(exc)) from exc
    except requests.RequestException as exc:
        raise click.ClickException(f"the stack does not answer, see {folder}/*.log: {exc}") from exc
    except KeyboardInterrupt:
        raise click.Abort from None
    write(found, folder / "items.csv")
    console.print(f"{time.monotonic() - began:.0f} s in all. Every item: {folder / 'items.csv'}; logs: {folder}/*.log.")
    verdict = f"{found.lost} lost, {found.doubled} doubled, {found.leaked} slots leaked, {found.wrong} ended wrong"
    if not found.right:
        raise click.ClickException(verdict)
    console.print(f"[green]{verdict}[/]", highlight=False)


def _weather(storm: Storm, console: Console) -> None:
    """Let it storm, and let it calm down."""
    with ThreadPoolExecutor(1) as background, Live(console=console, auto_refresh=False) as live:
        enqueued = background.submit(storm.enqueue)

        def show(seen: Seen) -> None:
            if enqueued.done():
                enqueued.result()  # raises what went wrong
            live.update(seen.line, refresh=True)

        storm.rage(show)
        storm.calm_down(show)
    console.print()


def _summary(storm: Storm, outside: Outside, found: Audit, console: Console) -> None:
    """Say what happened, and which items are not right."""
    kinds = Table("kind", "items", "CustomJobs", "not right", title="Items", title_justify="left")
    for kind in KINDS:
        rows = [row for row in found.rows if row.item.kind is kind]
        jobs, bad = sum(len(row.jobs) for row in rows), sum(bool(row.verdict) for row in rows)
        kinds.add_row(f"{kind.name}: {kind.about}", str(len(rows)), str(jobs), str(bad))
    console.print(kinds)
    console.print(f"kills: {_counted(storm.kills)}, {storm.aimed} of them in the middle of a call", highlight=False)
    if storm.restarts:
        console.print(f"[red]ended by themselves[/]: {_counted(storm.restarts)}", highlight=False)
    for name, given in outside.faults().items():
        console.print(f"faults of {name}: {_counted(given)}", highlight=False)
    console.print(f"pushes that came twice: {outside.duplicates()}", highlight=False)
    events = outside.events()
    told = Counter({name: events[name] for name in TOLD if events[name]})
    console.print(f"survived: {_counted(told)}", highlight=False)
    console.print(f"CustomJobs: {found.jobs}", highlight=False)
    for row in found.rows:
        if row.verdict:
            console.print(f"[red]{row.verdict}[/] {row.item.name}: {row.end}, attempts {row.attempts}: {row.message}")
    for what, names in (("no item's", found.strays), ("open", found.open_launches), ("alive", found.jobs_alive)):
        if names:
            console.print(f"[red]{what}[/]: {' '.join(names)}")


def _counted(counted: Counter[str]) -> str:
    each = ", ".join(f"{name} {number}" for name, number in sorted(counted.items()))
    return f"{counted.total()} ({each})" if each else "0"
