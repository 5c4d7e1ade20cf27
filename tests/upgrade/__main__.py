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

    Exit code 0: each item came to its one right ending, no job was doubled, and no launch is left open. Exit code 3:
    this checkout does not have the commit.
    """
    console = Console(highlight=False)
    shutil.rmtree(folder, ignore_errors=True)
    end_in_order()
    try:
        old = checked_out(commit, folder / "old")
    except Unavailable as exc:
        console.print(f"{commit} cannot be checked out: {exc}")
        raise SystemExit(3) from exc
    table, wrong = Table("new functions", "items", "CustomJobs", "not right"), 0
    for new in FLEETS:
        name = "-".join(new)
        console.print(f"{name}: new, beside {commit}")
        found = Upgrade(folder / name, old, new, say=lambda text: console.print(f"  {text}")).run()
        bad = [row for row in found.rows if row.verdict]
        for row in bad:
            console.print(f"  [red]{row.verdict}[/] {row.item.name}: {row.end}, attempts {row.attempts}: {row.message}")
        left = [*found.strays, *found.open_launches, *found.jobs_alive]
        for each in left:
            console.print(f"  [red]left[/] {each}")
        table.add_row(name, str(len(found.rows)), str(found.jobs), str(len(bad) + len(left)))
        wrong += not found.right
    console.print(table)
    if wrong:
        raise click.ClickException(f"{wrong} of {len(FLEETS)} upgrades went wrong; logs: {folder}/*/*.log")


if __name__ == "__main__":
    begin_again("tests.upgrade")
    upgrade(sys.argv[1:], prog_name="make upgrade-test")
