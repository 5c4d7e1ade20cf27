"""One of the six upgrades with few items; `make upgrade-test` runs all with every kind."""

from pathlib import Path

import pytest

from tests.upgrade.fleet import FLEETS, Unavailable, Upgrade, checked_out
from tests.upgrade.released import RELEASED

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_each_item_of_an_upgrade_comes_to_its_one_right_ending(tmp_path: Path) -> None:
    """With an old submit beside a new poll and status: a preemption loop ends after six jobs."""
    try:
        old = checked_out(RELEASED, tmp_path / "old")
    except Unavailable as exc:
        pytest.skip(f"this checkout does not have the commit {RELEASED}: {exc}")
    kinds = ("published", "unlucky", "climbs")
    found = Upgrade(tmp_path / "stack", old, ("poll", "status"), kinds).run()
    assert [(row.item.name, row.verdict, row.end, row.attempts) for row in found.rows if row.verdict] == []
    assert (found.strays, found.open_launches, found.jobs_alive) == ([], [], [])
    assert len(found.rows) == 3 * len(kinds)


def test_six_mixtures_are_tried() -> None:
    """Each function is old in some and new in others."""
    assert len(set(FLEETS)) == 6
    assert all({name in new for new in FLEETS} == {True, False} for name in ("poll", "submit", "status"))
