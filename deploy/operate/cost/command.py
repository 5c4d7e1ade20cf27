"""`vertex-launch cost`: machine-hours by queue, author, machine and region; money with prices."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.console import Console

from deploy.operate.cost.prices import PriceTable, prices_option
from deploy.operate.cost.usage import DIMENSIONS, Total, Use, total, totals, use_of
from deploy.operate.fleet.fleet import Fleet
from deploy.operate.fleet.target import Target, target_options
from deploy.operate.fleet.wanted import Since
from deploy.operate.plain import plain
from deploy.operate.tables import print_table
from shared.core.entry import Entry
from shared.core.errors import UnreadableRecord
from shared.core.launch import Launch
from shared.core.redaction import redacted
from shared.core.states import State

UNCUT = 10_000  # columns, if the output is no terminal


@click.command()
@target_options
@prices_option
@click.option(
    "--since",
    default="30d",
    show_default=True,
    type=Since(),
    help="Count from this time: 30m, 12h, 7d, or a time (UTC).",
)
@click.option(
    "--by",
    type=click.Choice(list(DIMENSIONS)),
    multiple=True,
    help="Only this table; repeatable.  [default: all]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cost(
    target: Target,
    prices: PriceTable | None,
    since: timedelta | datetime,
    by: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show the machine-hours of launches, and their cost if there is a price table.

    A machine counts from the start of its job (RUNNING) to its end; a running job counts until
    now, a job before a preemption counts too. The ledger keeps ended launches for 30 days.

    The cost is an estimate: Google's bill also counts the time in which machines start, disks,
    traffic and discounts. The price table is a YAML file of your own, with a date, a currency, and
    prices by machine type and accelerator type. See docs/how-to/estimate-costs.md.

    --json prints one object: `since`, `until`, `total`, `missing_prices`, `unreadable`, and a list
    for each of queue, author, machine and region, with `name`, `launches` and `machine_hours`. With
    a price table, `currency`, `prices_of`, and each entry's `cost` and `unpriced_hours` have
    values.

    Needs roles/storage.objectViewer on the ledger's bucket.

    \b
    Examples:
      vertex-launch cost --since=7d --project=my-project
      vertex-launch cost --by=author --prices=prices.yaml --json --project=my-project

    Exit codes: 1 if the ledger may not be read, or the price table is wrong; 4 if the ledger does
    not answer.
    """  # noqa: D301 - \b is click's
    fleet = Fleet.read(target, closed=True)
    begin = fleet.now - since if isinstance(since, timedelta) else since
    uses = _uses(target, fleet, begin, prices)
    if as_json:
        document = _document(uses, begin, fleet, prices, by)
        click.echo(json.dumps(redacted(document), indent=2, ensure_ascii=False))
    else:
        _print(uses, begin, fleet, prices, by)


def _uses(target: Target, fleet: Fleet, begin: datetime, prices: PriceTable | None) -> list[Use]:
    """Return the uses of all launches that ran since a time."""
    found = [
        use_of(entry, _record(target, entry), fleet.now, begin, prices)
        for entry in fleet.all
        if not (entry.ended_at and entry.ended_at < begin)
    ]
    return [use for use in found if use.machine_hours]


def _record(target: Target, entry: Entry) -> Launch | None:
    """Return the record of a launch that was preempted; the index shows only its last job."""
    if not entry.resumes:
        return None
    ledger = target.ledger
    try:
        if entry.state is State.ENDED:
            return ledger.read_closed(entry.key) or ledger.read(entry.key)
        return ledger.read(entry.key) or ledger.read_closed(entry.key)
    except UnreadableRecord:
        return None


def _document(
    uses: Sequence[Use],
    begin: datetime,
    fleet: Fleet,
    prices: PriceTable | None,
    by: Sequence[str],
) -> dict[str, Any]:
    def row(each: Total) -> dict[str, Any]:
        hours = {"launches": each.launches, "machine_hours": round(each.machine_hours, 3)}
        if prices is None:
            return hours
        unpriced = round(each.unpriced_hours, 3)
        return {**hours, "cost": float(round(each.cost, 4)), "unpriced_hours": unpriced}

    return {
        "since": begin.isoformat(),
        "until": fleet.now.isoformat(),
        "currency": prices.currency if prices else None,
        "prices_of": prices.date.isoformat() if prices else None,
        "total": row(total(uses)),
        "missing_prices": _missing(uses),
        "unreadable": sorted(fleet.unreadable),
        **{
            name: [{"name": each, **row(sums)} for each, sums in totals(uses, name).items()]
            for name in by or DIMENSIONS
        },
    }


def _print(
    uses: Sequence[Use],
    begin: datetime,
    fleet: Fleet,
    prices: PriceTable | None,
    by: Sequence[str],
) -> None:
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = UNCUT
    sums = total(uses)
    money = f", {sums.cost:.2f} {prices.says}" if prices else ""
    console.print(
        f"{sums.machine_hours:.2f} machine-hours of {sums.launches} launches since "
        f"{begin.astimezone(UTC):%Y-%m-%d %H:%M} UTC{money}"
    )
    for name in by or DIMENSIONS:
        head = (name, "launches", "machine-hours", *([prices.currency] if prices else []))
        rows = [_row(each, one, prices) for each, one in totals(uses, name).items()]
        if rows:
            console.print()
            print_table(console, head, rows)
    if missing := _missing(uses):
        console.print(
            f"\nThe price table has no price for {', '.join(map(plain, missing))}: "
            f"{sums.unpriced_hours:.2f} machine-hours have only a part of their cost (+)."
        )
    if fleet.unreadable:
        console.print(f"\nNot counted: {len(fleet.unreadable)} records that cannot be read.")


def _row(name: str, one: Total, prices: PriceTable | None) -> tuple[str, ...]:
    row = (plain(name), str(one.launches), f"{one.machine_hours:.2f}")
    if prices is None:
        return row
    return (*row, f"{one.cost:.2f}{' +' if one.unpriced_hours else ''}")


def _missing(uses: Sequence[Use]) -> list[str]:
    return sorted({name for use in uses for name in use.missing})
