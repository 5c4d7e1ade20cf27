"""`make upgrade-test`: replace an earlier commit's functions one after another; then audit each item."""

import shutil
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deploy.local.commands import end_in_order
from deploy.local.environment import begin_again
from tests.upgrade.fleet import FLEETS, Unavailable, Upgrade, checked_out
from tests.upgrade.released import RELEASED


@click.command()
@click.option("--from", "commit", default=RELEASED, show_default=True, help="The commit that is replaced.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path(".upgrade"), show_default=True, help="For logs."
)
def upgrade(commit: str, folder: Path) -> None:
    """Upgrade a deployment in six ways while items of every kind flow; then audit each item.

    At first all three functions run the earlier commit. Then some run today's code, as after a deployment that
    stopped half-way: each of the six mixtures is one upgrade. At last all run today's code. Items arrive all the time.

    Each replaced function dies in the middle of a call: poll's ack, submit's create, or status's report.

    Exit code 0: each item came to its one right ending, no job was doubled, and no launch is left open. Some items
    end as the old version promises: an old function served them that does not know their feature. Exit code 3: this
    checkout does not have the commit.
    """
    console = Console(highlight=False)
    shutil.rmtree(folder, ignore_errors=True)
    end_in_order()
    try:
        old = checked_out(commit, folder / "old")
    except Unavailable as exc:
        console.print(f"{commit} cannot be checked out: {exc}")
        raise SystemExit(3) from exc
    table, wrong = Table("new functions", "cut off in", "items", "CustomJobs", "as the old version", "not right"), 0
    for new in FLEETS:
        name = "-".join(new)
        console.print(f"{name}: new, beside {commit}")
        found = Upgrade(folder / name, old, new, say=lambda text: console.print(f"  {text}")).run()
        for row, verdict in found.wrong:
            console.print(f"  [red]{verdict}[/] {row.item.name}: {row.end}, attempts {row.attempts}: {row.message}")
        for each in found.left:
            console.print(f"  [red]left[/] {each}")
        for item, why in found.meanwhile.items():
            console.print(f"  as the old version: {item}: {why}")
        bad, rows = len(found.wrong) + len(found.left), len(found.audit.rows)
        counts = (rows, found.audit.jobs, len(found.meanwhile), bad)
        table.add_row(name, ", ".join(found.cut), *map(str, counts))
        wrong += bool(bad)
    console.print(table)
    if wrong:
        raise click.ClickException(f"{wrong} of {len(FLEETS)} upgrades went wrong; logs: {folder}/*/*.log")


if __name__ == "__main__":
    begin_again("tests.upgrade")
    upgrade(sys.argv[1:], prog_name="make upgrade-test")
