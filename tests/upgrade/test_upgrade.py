"""One of the six upgrades with few items; `make upgrade-test` runs all with every kind."""

from pathlib import Path

import pytest

from tests.chaos.audit import Row
from tests.upgrade.fleet import CUTS, FLEETS, Result, Unavailable, Upgrade, checked_out
from tests.upgrade.items import CROSSING, KINDS, batch
from tests.upgrade.meanwhile import MEANWHILE, right_meanwhile
from tests.upgrade.released import RELEASED

FEW = ("silent", "preempted", "climbs", "of-queue")


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Run an upgrade that stopped half-way: an old submit beside a new poll and status."""
    folder = tmp_path_factory.mktemp("upgrade")
    try:
        old = checked_out(RELEASED, folder / "old")
    except Unavailable as exc:
        pytest.skip(f"this checkout does not have the commit {RELEASED}: {exc}")
    return Upgrade(folder / "stack", old, ("poll", "status"), FEW, phases=("mixed", "new")).run()


@pytest.mark.e2e
@pytest.mark.slow
def test_each_item_of_an_upgrade_comes_to_its_one_right_ending(upgraded: Result) -> None:
    """Also a launch whose submit is replaced in the middle of its create."""
    assert [(row.item.name, verdict, row.end, row.attempts) for row, verdict in upgraded.wrong] == []
    assert (upgraded.left, upgraded.meanwhile, upgraded.cut) == ([], {}, ["submit"])
    assert len(upgraded.audit.rows) == 2 * len(FEW) + len(CROSSING)


def test_six_mixtures_are_tried() -> None:
    """Each function is old in some and new in others, and each is replaced in the middle of a call."""
    assert len(set(FLEETS)) == 6
    assert all({name in new for new in FLEETS} == {True, False} for name in CUTS)


def test_a_batch_has_every_kind_of_item() -> None:
    """Among them a preemption loop, a ladder, a build, and as many sweeps as there are slots."""
    assert {item.kind.name for item in batch("x")} == {kind.name for kind in KINDS}
    assert len({item.name for item in batch("x")}) == len(batch("x"))


def test_the_old_versions_promise_excuses_its_own_ending_only(tmp_path: Path) -> None:
    """Never a second job, an item without a reason, a new function, or a version that knows the feature."""
    [preempted] = batch("old", ["preempted"])
    job = {"state": "JOB_STATE_FAILED", "labels": {"launch_attempt": "1"}}
    ended = Row(preempted, state="CLAIMED", run_state="preempted", jobs=(job,))
    (tmp_path / "status.py").write_text("KNOWS_NOTHING = 1\n")
    assert right_meanwhile(ended, tmp_path, ["status"])
    assert not right_meanwhile(ended, tmp_path, ["poll", "submit"])
    twice = Row(preempted, state="CLAIMED", run_state="preempted", jobs=(job, job))
    assert not right_meanwhile(twice, tmp_path, ["status"])
    [build] = batch("old", ["build"])
    assert right_meanwhile(Row(build, state="FAILED", message="job: is not supported"), tmp_path, ["submit"])
    assert not right_meanwhile(Row(build, state="FAILED"), tmp_path, ["submit"])
    (tmp_path / "status.py").write_text("resumes = 1\n")
    assert not right_meanwhile(ended, tmp_path, ["status"])


def test_each_promise_names_a_kind_and_its_reason() -> None:
    """Today's code knows every feature, so no promise of an old version holds for it."""
    names = {kind.name for kind in KINDS}
    for each in MEANWHILE:
        assert set(each.kinds) <= names
        assert each.why
        assert not each.unknown_to(Path("shared")) or not each.unknown_to(Path("functions"))
