"""The page of costs: what a deployment costs a month, from measured calls and list prices."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from deploy.reference.markdown import table

HERE = Path(__file__).parent
MEASURED = HERE / "measured.yaml"
PRICES = HERE / "prices.yaml"
BUILD = HERE.parent.parent / "cloudbuild.yaml"
HOURS = 730.0  # of a month
WINDOW = 55.0  # seconds of a warm minute in which a function works
CALL_SECONDS = 0.1  # assumed for each call of another service
IDLE_CALLS = 8  # of other services in an idle minute: the bucket, W&B, Vertex AI
CREATE_SECONDS = 2.0  # assumed for the waits of an invocation of submit


class Measured(BaseModel):
    """The calls and the CPU time of a minute and of a launch, for all functions together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: date
    idle_class_a: float
    idle_class_b: float
    idle_cpu_seconds: float
    warm_class_a: float
    warm_class_b: float
    launch_class_a: float
    launch_class_b: float
    launch_cpu_seconds: float


class Item(BaseModel):
    """The price of a unit, and the units of each month that are free."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    price: float
    free: float = 0.0

    def cost(self, units: float) -> float:
        """Return the price of a month's units."""
        return max(units - self.free, 0.0) * self.price


class Vm(BaseModel):
    """The machine of an agent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine: str
    hour: float
    address_hour: float
    disk_month: float

    @property
    def month(self) -> float:
        """Return its price for a month."""
        return (self.hour + self.address_hour) * HOURS + self.disk_month


class ListPrices(BaseModel):
    """The table of prices."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: date
    currency: str
    sources: tuple[str, ...]
    items: Mapping[str, Item]
    vm: Vm


@dataclass(frozen=True, slots=True)
class Size:
    """The container of a function, as cloudbuild.yaml deploys it."""

    cpu: float
    gib: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """A month; `free_slots`: poll works all the time too, because another item could be taken."""

    name: str
    warm_hours: float
    launches: float
    free_slots: bool = True


def _busy(name: str, hours_a_day: float, jobs: int, job_hours: float) -> Iterator[Scenario]:
    """Yield the month of running jobs that follow one another, with all slots taken or not."""
    hours = hours_a_day * HOURS / 24
    for free, slots in ((False, "no slot free"), (True, "slots free")):
        whole = f"{name}, {jobs} jobs of {job_hours:g} h at a time, {slots}"
        yield Scenario(whole, hours, jobs * hours / job_hours, free)


SCENARIOS = (
    Scenario("idle", 0.0, 0.0),
    *_busy("8 hours a day", 8, jobs=20, job_hours=1),
    *_busy("around the clock", 24, jobs=200, job_hours=4),
)


def units(scenario: Scenario, measured: Measured, sizes: Mapping[str, Size]) -> dict[str, float]:
    """Return the billed units of a month, by the names of the price table."""
    warm = scenario.warm_hours * 60
    cold = HOURS * 60 - warm
    # poll and status together: CPU time at their share of a CPU, and waits
    half = (measured.idle_cpu_seconds / sizes["poll"].cpu + IDLE_CALLS * CALL_SECONDS) / 2
    seconds = {
        "poll": cold * half + warm * (WINDOW if scenario.free_slots else half),
        "status": cold * half + warm * WINDOW,
        "submit": scenario.launches * (CREATE_SECONDS + measured.launch_cpu_seconds),
    }
    calls = 2 * HOURS * 60
    return {
        "vcpu_second": sum(seconds[name] * sizes[name].cpu for name in seconds),
        "gib_second": sum(seconds[name] * sizes[name].gib for name in seconds),
        "request": calls + scenario.launches,
        "class_a": cold * measured.idle_class_a
        + warm * measured.warm_class_a
        + scenario.launches * measured.launch_class_a,
        "class_b": cold * measured.idle_class_b
        + warm * measured.warm_class_b
        + scenario.launches * measured.launch_class_b,
        "secret_access": calls + scenario.launches,
        "secret_version": 1,
        "scheduler_job": 2,
    }


GROUPS: Mapping[str, tuple[str, ...]] = {
    "Cloud Run": ("vcpu_second", "gib_second", "request"),
    "Cloud Storage": ("class_a", "class_b"),
    "Secret Manager": ("secret_access", "secret_version"),
    "Cloud Scheduler": ("scheduler_job",),
}


def costs(used: Mapping[str, float], prices: ListPrices) -> dict[str, float]:
    """Return the cost of a month by service."""
    return {
        group: sum(prices.items[name].cost(used[name]) for name in names)
        for group, names in GROUPS.items()
    }


def sizes_of(build: str) -> dict[str, Size]:
    """Return the sizes of the three functions in a text of cloudbuild.yaml."""
    steps = {step["id"]: step.get("script", "") for step in yaml.safe_load(build)["steps"]}
    return {name: _size(steps[f"deploy-{name}"]) for name in ("poll", "submit", "status")}


def _size(script: str) -> Size:
    flags = dict(re.findall(r"^\s*--(cpu|memory)=(\S+)", script, re.MULTILINE))
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", flags["memory"]).groups()  # type: ignore[union-attr]
    return Size(float(flags["cpu"]), int(number) / (1024 if unit == "Mi" else 1))


def costs_tables() -> str:
    """Return the tables of the page."""
    measured = Measured.model_validate(_read(MEASURED))
    prices = ListPrices.model_validate(_read(PRICES))
    sizes = sizes_of(BUILD.read_text(encoding="utf-8"))
    rows = []
    for scenario in SCENARIOS:
        cost = costs(units(scenario, measured, sizes), prices)
        rows.append([scenario.name, *(f"{each:.2f}" for each in cost.values()), _sum(cost)])
    vm = prices.vm
    names = [*GROUPS, "sum"]
    agent = f"A virtual machine for the agent ({vm.machine}, with disk and address): {vm.month:.2f}"
    return "\n".join(
        [
            f"{prices.currency} a month, list prices of {prices.date}, calls measured on "
            f"{measured.date}:\n",
            table(["a deployment", *names], rows),
            f"{agent} {prices.currency} a month, idle or not.\n",
            "Sources of the prices: " + ", ".join(f"<{each}>" for each in prices.sources) + ".\n",
        ]
    )


def _sum(cost: Mapping[str, float]) -> str:
    return f"**{sum(cost.values()):.2f}**"


def _read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))
