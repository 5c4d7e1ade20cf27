"""The page of costs: units from measured calls and sizes, money from a table of prices."""

from datetime import date

import pytest

from deploy.reference.costs import (
    CALL_SECONDS,
    CREATE_SECONDS,
    HOURS,
    IDLE_CALLS,
    SCENARIOS,
    WINDOW,
    Item,
    ListPrices,
    Measured,
    Scenario,
    Size,
    Vm,
    costs,
    sizes_of,
    units,
)

MINUTES = HOURS * 60
SIZES = {"poll": Size(0.25, 0.25), "status": Size(0.25, 0.5), "submit": Size(1, 0.5)}
MEASURED = Measured(
    date=date(2026, 1, 1),
    idle_class_a=3,
    idle_class_b=2,
    idle_cpu_seconds=0.1,
    warm_class_a=14,
    warm_class_b=30,
    launch_class_a=5,
    launch_class_b=6,
    launch_cpu_seconds=0.5,
)


def test_an_item_costs_nothing_within_its_free_units() -> None:
    """And only the units beyond them afterwards."""
    item = Item(price=0.5, free=10)
    assert [item.cost(units) for units in (0, 10, 12)] == [0, 0, 1]


def test_an_idle_month_has_the_calls_of_its_minutes() -> None:
    """Poll and status are called once a minute each, and read the key each time."""
    used = units(Scenario("idle", 0, 0), MEASURED, SIZES)
    seconds = 0.1 / 0.25 + IDLE_CALLS * CALL_SECONDS  # of both together
    assert used["class_a"] == pytest.approx(3 * MINUTES)
    assert used["class_b"] == pytest.approx(2 * MINUTES)
    assert used["request"] == used["secret_access"] == 2 * MINUTES
    assert used["vcpu_second"] == pytest.approx(MINUTES * seconds * 0.25)
    assert used["gib_second"] == pytest.approx(MINUTES * seconds / 2 * 0.75)


def test_a_warm_month_has_windows_instead() -> None:
    """Status works in each minute; poll too if slots are free."""
    free, full = (units(Scenario("warm", HOURS, 0, each), MEASURED, SIZES) for each in (True, False))
    half = (0.1 / 0.25 + IDLE_CALLS * CALL_SECONDS) / 2
    assert free["vcpu_second"] == pytest.approx(MINUTES * 2 * WINDOW * 0.25)
    assert full["vcpu_second"] == pytest.approx(MINUTES * (WINDOW + half) * 0.25)
    assert free["class_a"] == full["class_a"] == pytest.approx(14 * MINUTES)


def test_launches_add_their_own_units() -> None:
    """To those of the minutes, with the same warmth."""
    none, some = (units(Scenario("some", 10, launches), MEASURED, SIZES) for launches in (0, 100))
    more = {name: some[name] - none[name] for name in some}
    assert more == pytest.approx(
        {
            "vcpu_second": 100 * (CREATE_SECONDS + 0.5),
            "gib_second": 100 * (CREATE_SECONDS + 0.5) * 0.5,
            "request": 100,
            "class_a": 500,
            "class_b": 600,
            "secret_access": 100,
            "secret_version": 0,
            "scheduler_job": 0,
        }
    )


def test_costs_are_summed_by_service() -> None:
    """Each unit belongs to one service."""
    used = units(Scenario("idle", 0, 0), MEASURED, SIZES)
    prices = ListPrices(
        date=date(2026, 1, 1),
        currency="USD",
        sources=(),
        items={name: Item(price=number + 1) for number, name in enumerate(used)},
        vm=Vm(machine="small", hour=0.01, address_hour=0.005, disk_month=1),
    )
    whole = sum(amount * (number + 1) for number, amount in enumerate(used.values()))
    assert sum(costs(used, prices).values()) == pytest.approx(whole)
    assert prices.vm.month == pytest.approx(0.015 * HOURS + 1)


def test_sizes_come_from_the_deployment() -> None:
    """A changed container changes the page."""
    step = '{{"id": "deploy-{}", "script": "flags=(\\n  --memory={}  # why\\n  --cpu={}\\n)"}}'
    made = [step.format("poll", "256Mi", "0.25"), step.format("submit", "1Gi", "1"), step.format("status", "512Mi", 2)]
    found = sizes_of(f'{{"steps": [{", ".join(made)}]}}')
    assert found == {"poll": Size(0.25, 0.25), "submit": Size(1, 1), "status": Size(2, 0.5)}


def test_the_scenarios_are_those_of_the_page() -> None:
    """Idle, working days, and around the clock: a job that ends is followed by another."""
    assert [(round(each.warm_hours, 1), round(each.launches), each.free_slots) for each in SCENARIOS] == [
        (0, 0, True),
        (243.3, 4867, False),
        (243.3, 4867, True),
        (730, 36500, False),
        (730, 36500, True),
    ]
