"""A dated table of prices, which the operator writes: the code has no price of its own.

`hourly_cost` and `described` serve `plan` and `show` too.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import click
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.config.yaml_file import read_yaml
from shared.core.errors import SettingsError
from shared.core.shorten import shown
from shared.core.spelling import nearest

PRICES_FILE = "prices.yaml"
VARIABLE = "LAUNCH_PRICES"
Amount = Annotated[Decimal, Field(ge=0, le=1_000_000)]
_SPOT, _FLEX_START = "SPOT", "FLEX_START"
# 4×g2-standard-8 (1×NVIDIA_L4), as shared.core.machine writes each pool
_POOL = re.compile(
    r"(?P<count>\d+)×(?P<machine>[^\s()]+)(?: \((?P<number>\d+)×(?P<kind>[^\s()]+)\))?"
)


class Price(BaseModel):
    """The price of one machine, or of one accelerator, for an hour."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hour: Annotated[Amount, Field(description="of a machine that is not Spot")]
    spot: Annotated[Amount | None, Field(description="with strategy SPOT")] = None
    flex_start: Annotated[Amount | None, Field(description="with strategy FLEX_START")] = None

    def of(self, strategy: str) -> Decimal | None:
        """Return the price with a scheduling strategy; None if the table does not have it."""
        return {_SPOT: self.spot, _FLEX_START: self.flex_start}.get(strategy, self.hour)


class Prices(BaseModel):
    """Prices by the names that Vertex AI uses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    machines: Annotated[
        Mapping[str, Price], Field(description="by machine type: n1-standard-4")
    ] = {}
    accelerators: Annotated[
        Mapping[str, Price], Field(description="by accelerator type: NVIDIA_TESLA_T4; each")
    ] = {}


class PriceTable(Prices):
    """The table; `regions` has the prices that differ in a region."""

    date: Annotated[date, Field(description="the day of the prices: 2026-11-01")]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$", description="its code: USD")]
    source: Annotated[str, Field(description="where the prices come from, for readers")] = ""
    regions: Annotated[
        Mapping[str, Prices], Field(description="machines and accelerators by region")
    ] = {}

    def price(self, kind: str, name: str, region: str) -> Price | None:
        """Return a price; that of the region wins."""
        of_region = getattr(self.regions.get(region, Prices()), kind)
        found: Price | None = of_region.get(name) or getattr(self, kind).get(name)
        return found

    @property
    def says(self) -> str:
        """Return the currency and the day, for people."""
        return f"{self.currency}, prices of {self.date}"


@dataclass(frozen=True, slots=True)
class Hourly:
    """The price of a job's machines for an hour; `missing` names what the table lacks."""

    amount: Decimal
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """Equal machines of a job."""

    count: int
    machine: str
    accelerators: int = 0  # of each machine
    accelerator: str = ""


def pools_of(machine: str) -> tuple[list[Pool], str]:
    """Read the machines and the strategy of a job, as a listing shows them.

    Without pools: the text is empty, or too long for the listing.
    """
    parts = machine.split(" + ")
    last, _, strategy = parts[-1].rpartition(" ")
    if last and not strategy.startswith("("):
        parts[-1] = last
    else:
        strategy = ""
    matches = [_POOL.fullmatch(part) for part in parts]
    pools = [
        Pool(int(each["count"]), each["machine"], int(each["number"] or 0), each["kind"] or "")
        for each in matches
        if each
    ]
    return (pools, strategy) if len(pools) == len(parts) else ([], "")


def hourly_cost(machine: str, region: str, table: PriceTable) -> Hourly:
    """Return the price of these machines for an hour in a region."""
    pools, strategy = pools_of(machine)
    if not pools:
        return Hourly(Decimal(0), (machine or "machines that the ledger does not name",))
    amount, missing = Decimal(0), []
    for pool in pools:
        asked = [("machines", pool.machine, pool.count)]
        if pool.accelerators:
            asked.append(("accelerators", pool.accelerator, pool.count * pool.accelerators))
        for kind, name, count in asked:
            price = table.price(kind, name, region)
            of_strategy = price.of(strategy) if price else None
            if of_strategy is None:
                missing.append(f"{name} {strategy}".strip())
            else:
                amount += of_strategy * count
    return Hourly(amount, tuple(dict.fromkeys(missing)))


def described(machine: str, region: str, table: PriceTable) -> str:
    """Return the price of these machines for an hour as text: 1.20 USD, prices of 2026-11-01."""
    hourly = hourly_cost(machine, region, table)
    if hourly.missing:
        return f"unknown: the price table has no price for {', '.join(hourly.missing)}"
    return f"{hourly.amount:.2f} {table.says}"


def read_prices(path: Path) -> PriceTable:
    """Return a price table.

    Raises:
        SettingsError: names each wrong field, and the fix.
    """
    try:
        return PriceTable.model_validate(read_yaml(path) or {})
    except ValidationError as exc:
        problems = [
            f"{path}: {shown('.'.join(map(str, error['loc'])))}: "
            f"{shown(_problem(error['loc'], error), 200)}"
            for error in exc.errors(include_input=False, include_url=False)[:10]
        ]
        raise SettingsError("; ".join(problems)) from exc


def _problem(loc: tuple[int | str, ...], error: Any) -> str:
    """Return what is wrong with a field; of an unknown one, the known ones beside it."""
    if error["type"] != "extra_forbidden":
        return str(error["msg"])
    model: type[BaseModel] = PriceTable
    if len(loc) > 1:
        model = Prices if len(loc) == 3 and loc[0] == "regions" else Price
    name, known = str(loc[-1]), sorted(model.model_fields)
    like = nearest(name, tuple(known))
    return f"is not known; write {like}" if like else f"is not known; known: {', '.join(known)}"


def prices_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add --prices; the command receives `prices`: a PriceTable or None."""

    @click.option(
        "--prices",
        "prices_file",
        envvar=VARIABLE,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help=f"The price table.  [default: {VARIABLE}, or {PRICES_FILE} if it exists]",
    )
    @wraps(command)
    def with_prices(*given: Any, prices_file: Path | None, **others: Any) -> None:
        path = prices_file or Path(PRICES_FILE)
        try:
            prices = read_prices(path) if prices_file or path.is_file() else None
        except SettingsError as exc:
            raise click.ClickException(str(exc)) from exc
        command(*given, prices=prices, **others)

    return with_prices


def configured_prices() -> PriceTable | None:
    """Return the configured table; None if there is none, or if it is wrong: `cost` says why."""
    path = Path(os.environ.get(VARIABLE) or PRICES_FILE)
    try:
        return read_prices(path) if path.is_file() else None
    except SettingsError:
        return None
