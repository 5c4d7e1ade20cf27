"""The command `chaos`."""

import random
import shutil
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import requests
from rich.console import Console
from rich.live import Live
from rich.table import Table

from deploy.local.commands import end_in_order
from deploy.local.processes import HOST, NotStartedError, free_port
from deploy.local.stack import QUEUE, START_SECONDS, Ports, Stack
from tests.chaos.audit import Audit, write
from tests.chaos.items import KINDS, plan, queue_config
from tests.chaos.outside import Outside
from tests.chaos.rounds import Rounds
from tests.chaos.storm import Storm
from tests.chaos.trouble import Plan, Seen

TIMEOUT, CREATE_TIMEOUT = 5, 2  # seconds that submit has, and that a create of it may take
SETTINGS = {
    "SUBMIT_LEASE_SECONDS": "10",  # longer than both together, as in the cloud
    "SUBMIT_BUDGET_SECONDS": "4",
    "SUBMIT_CREATE_SECONDS": "3",
    "SUBMIT_SETTLE_SECONDS": "5",  # longer than a create
    "SUBMIT_LOOK_AGAIN_SECONDS": "4",  # longer than the latest effect of one
    "ERROR_GRACE_SECONDS": "4",  # longer than Vertex AI takes to write an error
    "FIRST_RETRY_SECONDS": "0.5",
    "POLL_BUDGET_SECONDS": "4",
    "POLL_LEASE_SECONDS": "6",
    "OVERDUE_SECONDS": "3",
    "STATUS_BUDGET_SECONDS": "10",
    "LISTING_LAG_SECONDS": "2",
    "INIT_GRACE_SECONDS": "2",
    "LAUNCH_STOPPED_RUN_TIMEOUT": "1",
}
SHARE = click.FloatRange(0, 1)
ROUND_SECONDS = 0.7  # from one call of poll and status to the next
ITEM_LEASE = 5  # seconds; W&B's is a minute
ERROR_SECONDS, LIST_SECONDS = 1.5, 1.0  # that a job's error, and a job itself, come later
SURVIVED = (  # events of the functions that show what was survived
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
@click.option("--items", default=1000, show_default=True, type=click.IntRange(1), help="Items to enqueue.")
@click.option("--seed", default=1, show_default=True, help="Seed of kinds, kills and faults.")
@click.option("--kills", default=60, show_default=True, type=click.IntRange(0), help="Kills of a function.")
@click.option("--freezes", default=30, show_default=True, type=click.IntRange(0), help="Freezes of a function.")
@click.option("--fault-rate", default=0.1, type=SHARE, show_default=True, help="Share of calls that fail.")
@click.option("--duplicates", default=0.1, type=SHARE, show_default=True, help="Share of pushes that are repeated.")
@click.option("--max-jobs", default=40, show_default=True, type=click.IntRange(1), help="LAUNCH_MAX_JOBS of poll.")
@click.option("--shapes", default="", help="Names of the only faults, separated by commas; default: all.")
@click.option("--without", multiple=True, type=click.Choice([kind.name for kind in KINDS]), help="Kind to omit.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path(".chaos"), show_default=True, help="For logs.")
def chaos(
    items: int,
    seed: int,
    kills: int,
    freezes: int,
    fault_rate: float,
    duplicates: float,
    max_jobs: int,
    shapes: str,
    without: tuple[str, ...],
    folder: Path,
) -> None:
    """Run many items while functions are killed and frozen and all systems around them fail; then audit each item.

    Exit code 0: no item was lost, doubled or ended wrong, no slot leaked, and no launch waited for more than two calm
    rounds because of another.

    The functions are real processes. SIGKILL ends them at any moment or in the middle of a call, and they start again
    at once. Or they freeze for longer than their leases while another instance continues, and then continue too.
    W&B, Vertex AI, the bucket and the topic answer in every shape of their errors, cut connections, answer late, and
    lose answers of calls that had their effect. Some items are poison, some are deleted from their queue, and some
    belong to a project that the key cannot read. W&B forgets its agents now and then.

    Chaos shortens the waits. A claim's lease is 10 s (660 in the cloud): longer than the 4 s of submit's budget and the
    3 s of a create together. W&B's lease of a popped item is 5 s (60). The grace of status is a few seconds. The
    stand-in plays the jobs, without processes of their own.

    A seed repeats the mixture. Which call meets which fault depends on the machine.
    """
    console = Console()
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    rng = random.Random(seed)  # noqa: S311 - no secret
    bucket = free_port()
    stack = _stack(folder, bucket, seed, fault_rate, duplicates, max_jobs)
    console.print(f"{items} items, {kills} kills, {freezes} freezes, seed {seed}. Starting …")
    end_in_order()
    try:
        with stack:
            _start_proxy(stack, bucket, seed)
            stack.make_queue(QUEUE, queue_config(CREATE_TIMEOUT))
            outside, planned = Outside(stack, f"http://{HOST}:{bucket}"), plan(items, rng, without)
            outside.refuse_in("usual")
            urls = {name: stack.ports.url(name) + "/" for name in ("poll", "status")}
            rounds = Rounds(urls, outside.again(), max_jobs, ROUND_SECONDS)
            rounds.start()
            trouble = Plan(kills, freezes, fault_rate, tuple(filter(None, shapes.split(","))))
            storm = Storm(stack, outside, rounds, planned, trouble, rng)
            _weather(storm, console)
            rounds.stop()
            found = outside.audit(planned, storm.ids, rounds.waits)
            _summary(storm, outside, found, console)
    except NotStartedError as exc:
        raise click.ClickException(str(exc)) from exc
    except requests.RequestException as exc:
        raise click.ClickException(f"the stack does not answer, see {folder}/*.log: {exc}") from exc
    except KeyboardInterrupt:
        raise click.Abort from None
    write(found, folder / "items.csv")
    console.print(f"{time.monotonic() - began:.0f} s in all. Every item: {folder / 'items.csv'}; logs: {folder}/*.log.")
    verdict = (
        f"{found.lost} lost, {found.doubled} doubled, {found.leaked} slots leaked, {found.wrong} ended wrong, "
        f"{found.blocked} blocked"
    )
    if not found.right:
        raise click.ClickException(verdict)
    console.print(f"[green]{verdict}[/]", highlight=False)


def _stack(folder: Path, bucket: int, seed: int, rate: float, duplicates: float, max_jobs: int) -> Stack:
    """Return the stack; its bucket is behind a proxy of its own."""
    faults = ("--fault-seed", str(seed))
    late = ("--error-seconds", str(ERROR_SECONDS), "--list-seconds", str(LIST_SECONDS))
    return Stack(
        folder,
        Ports.free(),
        {**SETTINGS, "LAUNCH_MAX_JOBS": str(max_jobs), "STORAGE_EMULATOR_HOST": f"http://{HOST}:{bucket}"},
        every=0,  # rounds.py calls poll and status
        emulator=False,  # Google's own does not repeat on demand
        gcs_options=("--write-seconds", "0.2"),  # of one object; as everything is quicker here
        wandb_options=("--lease-seconds", str(ITEM_LEASE), *faults),
        vertex_options=("--pending-seconds", "0.1", *late, *faults),
        pubsub_options=(
            *("--shape", "cloudevent", "--duplicates", str(duplicates), "--seed", str(seed)),
            *("--fault-rate", str(rate)),
        ),
        timeouts={"submit": TIMEOUT},
    )


def _start_proxy(stack: Stack, port: int, seed: int) -> None:
    """Start what stands before the bucket and fails a share of its calls."""
    where = ["--port", str(port), "--to", stack.ports.url("gcs"), "--system", "gcs", "--fault-seed", str(seed)]
    stack.processes.start("bucket", [sys.executable, "-m", "deploy.local.fault_proxy", *where])
    stack.processes.await_port("bucket", port, time.monotonic() + START_SECONDS)


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
    console.print(f"kills: {_counted(storm.kills)}", highlight=False)
    console.print(f"freezes: {_counted(storm.freezes)}", highlight=False)
    console.print(f"in the middle of a call: {storm.aimed}; records of agents deleted: {storm.agents}", highlight=False)
    if storm.restarts:
        console.print(f"[red]ended by themselves[/]: {_counted(storm.restarts)}", highlight=False)
    for name, given in outside.faults().items():
        console.print(f"faults of {name}: {_counted(given)}", highlight=False)
    console.print(f"faults of the topic: {_counted(outside.lost_publishes())}", highlight=False)
    console.print(f"pushes that came twice: {outside.duplicates()}", highlight=False)
    events = outside.events()
    counted = Counter({name: events[name] for name in SURVIVED if events[name]})
    console.print(f"survived: {_counted(counted)}", highlight=False)
    console.print(f"CustomJobs: {found.jobs}", highlight=False)
    waits = found.waits
    console.print(f"calm rounds: {waits.rounds}; the longest wait in vain: {waits.worst}", highlight=False)
    for name in waits.blocked:
        console.print(f"[red]blocked[/] for {waits.by_name[name]} rounds: {name}")
    for row in found.rows:
        if row.verdict:
            console.print(f"[red]{row.verdict}[/] {row.item.name}: {row.end}, attempts {row.attempts}: {row.message}")
    for what, names in (("no item's", found.strays), ("open", found.open_launches), ("alive", found.jobs_alive)):
        if names:
            console.print(f"[red]{what}[/]: {' '.join(names)}")


def _counted(counted: Counter[str]) -> str:
    each = ", ".join(f"{name} {number}" for name, number in sorted(counted.items()))
    return f"{counted.total()} ({each})" if each else "0"
