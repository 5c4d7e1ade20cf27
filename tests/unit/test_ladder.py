"""The operator's ladder: the places where a launch looks for machines, one after another."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from shared.config.ladder import Ladder
from shared.config.policy import AdmissionPolicy
from shared.core.intake import from_item
from shared.core.launch import Backoff, Launch, State
from shared.core.message import Queue
from shared.core.ports import CustomJobCall
from shared.core.shortage import Shortage
from shared.runspec.ladder import place, place_of, places

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALL = Ladder.model_validate(
    {
        "strategies": ["SPOT", "FLEX_START", "STANDARD"],
        "regions": [
            {"region": "us-central1", "staging_bucket": "gs://team-us-too"},
            {"region": "europe-west4", "staging_bucket": "gs://team-eu/jobs"},
        ],
    }
)
STRATEGIES, REGIONS = Ladder(strategies=ALL.strategies), Ladder(regions=ALL.regions)
SPOT_HERE, SPOT_THERE = "us-central1 with SPOT", "europe-west4 with SPOT"


def a_launch() -> Launch:
    """Return a launch that is being claimed."""
    opened = from_item("i", Queue(entity="team", name="q"), {"entity": "team", "project": "cats", "run_id": "r"}, NOW)
    return opened.move(State.SUBMITTING, attempt=1)


def a_call(strategy: str | None = "SPOT", **changes: Any) -> CustomJobCall:
    """Return what a launch asks for itself."""
    bucket = {"staging_bucket": "gs://team-us", "base_output_dir": "gs://team-us/team/cats/r"}
    submit = {"scheduling_strategy": strategy} if strategy else {}
    constructor = {**bucket, "worker_pool_specs": [], **changes.pop("spec", {})}
    return CustomJobCall("p", "us-central1", constructor, {**submit, **changes})


@pytest.mark.parametrize(
    ("ladder", "strategy", "wanted"),
    [
        (Ladder(), "SPOT", [SPOT_HERE]),
        (Ladder(), None, ["us-central1 with STANDARD"]),
        (STRATEGIES, "SPOT", [SPOT_HERE, "us-central1 with FLEX_START", "us-central1 with STANDARD"]),
        (STRATEGIES, "FLEX_START", ["us-central1 with FLEX_START", "us-central1 with STANDARD"]),
        (STRATEGIES, None, ["us-central1 with STANDARD"]),
        (REGIONS, "SPOT", [SPOT_HERE, SPOT_THERE]),
        (REGIONS, None, ["us-central1 with STANDARD", "europe-west4 with STANDARD"]),
        (ALL, "SPOT", [SPOT_HERE, SPOT_THERE, "us-central1 with FLEX_START", "europe-west4 with FLEX_START",
                       "us-central1 with STANDARD", "europe-west4 with STANDARD"]),
        (ALL, "STANDARD", ["us-central1 with STANDARD", "europe-west4 with STANDARD"]),
    ],
)  # fmt: skip
def test_the_places_are_the_launchs_own_and_then_upwards(
    ladder: Ladder, strategy: str | None, wanted: list[str]
) -> None:
    """A launch that asks for STANDARD never becomes one whose machines can be taken away."""
    call = a_call(strategy)
    found, left_out = places(call, ladder, a_launch().entry.run, AdmissionPolicy())
    assert list(found) == wanted == [place_of(each) for each in found.values()]
    assert found[wanted[0]] is call
    assert left_out == ""


def test_a_job_in_another_region_has_its_bucket_and_its_folder_there() -> None:
    """In its own region it keeps its own bucket, whatever the ladder names for it."""
    found, _ = places(a_call(), ALL, a_launch().entry.run, AdmissionPolicy())
    there, here = found["europe-west4 with FLEX_START"], found["us-central1 with FLEX_START"]
    assert there.parent == "projects/p/locations/europe-west4"
    assert there.submit == {"scheduling_strategy": "FLEX_START"}
    assert there.constructor["staging_bucket"] == "gs://team-eu/jobs"
    assert there.constructor["base_output_dir"] == "gs://team-eu/jobs/team/cats/r"
    assert here.constructor == a_call().constructor


def test_a_folder_that_the_request_names_stays() -> None:
    """Its author looks for the results there."""
    found, _ = places(
        a_call(spec={"base_output_dir": "gs://results/mine"}), ALL, a_launch().entry.run, AdmissionPolicy()
    )
    assert {each.constructor["base_output_dir"] for each in found.values()} == {"gs://results/mine"}


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (a_call(network="projects/1/global/networks/n"), "run.network"),
        (a_call(tensorboard="projects/p/locations/us-central1/tensorboards/1"), "run.tensorboard"),
        (a_call(experiment="e"), "run.experiment"),
        (a_call(persistent_resource_id="r"), "run.persistent_resource_id"),
        (a_call(psc_interface_config={"network_attachment": "a"}), "run.psc_interface_config"),
        (a_call(spec={"persistent_resource_id": "r"}), "spec.persistent_resource_id"),
        (a_call(spec={"encryption_spec_key_name": "k"}), "spec.encryption_spec_key_name"),
        (
            a_call(spec={"worker_pool_specs": [{"machine_spec": {"reservation_affinity": {"values": ["r"]}}}]}),
            "spec.worker_pool_specs[0].machine_spec.reservation_affinity.values",
        ),
    ],
)
def test_regional_resources_pin_a_launch_to_their_region(call: CustomJobCall, field: str) -> None:
    """It goes on with the strategies; its notice says what it leaves out, and why."""
    found, left_out = places(call, ALL, a_launch().entry.run, AdmissionPolicy())
    assert list(found) == [SPOT_HERE, "us-central1 with FLEX_START", "us-central1 with STANDARD"]
    assert left_out == f"europe-west4 is left out, because {field} is regional"


def test_the_policy_holds_on_the_ladder() -> None:
    """A place that it does not allow is left out, with the rule's name."""
    policy = AdmissionPolicy(regions=("us-central1",))
    found, left_out = places(a_call(), REGIONS, a_launch().entry.run, policy)
    assert list(found) == [SPOT_HERE]
    assert left_out.startswith("europe-west4 with SPOT is left out: spec.location: is 'europe-west4'")
    assert "policy.regions" in left_out


def attempt(launch: Launch, call: CustomJobCall, ladder: Ladder = ALL) -> tuple[Launch, CustomJobCall]:
    """Claim a launch."""
    claimed = launch if launch.entry.state is State.SUBMITTING else launch.move(State.SUBMITTING)
    placed, chosen, _ = place(claimed, call, ladder, AdmissionPolicy())
    return placed, chosen


def refused(launch: Launch, shortage: Shortage, backoff: Backoff | None = None) -> tuple[Launch, float]:
    """Let there be no room; return the launch and its wait."""
    queued = launch.wait_for_capacity(NOW, shortage, "no room", backoff or Backoff())
    assert queued.entry.retry_at
    return queued, (queued.entry.retry_at - NOW).total_seconds()


def test_a_launch_climbs_at_once_and_waits_after_the_last_place() -> None:
    """Each round waits longer; each step has a notice, before and after."""
    launch, ladder = a_launch(), REGIONS
    seen = []
    for _ in range(6):
        launch, call = attempt(launch, a_call(), ladder)
        assert launch.entry.parent == call.parent
        assert launch.entry.climbs
        launch, waited = refused(launch, Shortage.STOCKOUT)
        seen.append((place_of(call), waited, launch.entry.notice))
    assert seen[:2] == [
        (SPOT_HERE, 15, f"Waiting: no room; next: {SPOT_THERE}"),
        (SPOT_THERE, 15, "Waiting: no room"),
    ]
    assert [waited for _, waited, _ in seen] == [15, 15, 15, 30, 15, 60]


def test_a_quota_of_calls_is_no_reason_to_climb() -> None:
    """A moment later there are new ones, in the same place."""
    launch, _ = attempt(a_launch(), a_call())
    launch, _ = refused(launch, Shortage.RATE)
    assert place_of(attempt(launch, a_call())[1]) == SPOT_HERE


def test_a_place_without_any_quota_is_not_tried_again() -> None:
    """If no place is left, the launch is hopeless."""
    launch, _ = attempt(a_launch(), a_call(), REGIONS)
    launch, _ = refused(launch, Shortage.ZERO)
    for _ in range(2):
        launch, call = attempt(launch, a_call(), REGIONS)
        assert place_of(call) == SPOT_THERE
        assert launch.climb.hopeless
        launch, _ = refused(launch, Shortage.AMOUNT)


def test_a_round_with_one_place_that_may_have_room_is_not_hopeless() -> None:
    """The last place is barred, the first was only full."""
    launch, _ = attempt(a_launch(), a_call(), REGIONS)
    launch, _ = refused(launch, Shortage.AMOUNT)
    launch, _ = attempt(launch, a_call(), REGIONS)
    assert not launch.climb.hopeless
    launch, _ = refused(launch, Shortage.ZERO)
    assert place_of(attempt(launch, a_call(), REGIONS)[1]) == SPOT_HERE


def test_a_run_that_goes_on_keeps_its_folder_and_begins_in_its_own_place() -> None:
    """Its checkpoints are in the bucket of the region where it ran first."""
    launch, _ = attempt(a_launch(), a_call(), REGIONS)
    launch, _ = refused(launch, Shortage.STOCKOUT)
    launch, there = attempt(launch, a_call(), REGIONS)
    launch = launch.move(State.SUBMITTED, job_name="j").resume(NOW, 5)
    launch, here = attempt(launch, a_call(), REGIONS)
    assert (place_of(there), place_of(here)) == (SPOT_THERE, SPOT_HERE)
    assert (
        here.constructor["base_output_dir"] == there.constructor["base_output_dir"] == "gs://team-eu/jobs/team/cats/r"
    )
    assert here.constructor["staging_bucket"] == "gs://team-us"
    launch, _ = refused(launch, Shortage.STOCKOUT)
    assert attempt(launch, a_call(), REGIONS)[1].constructor["base_output_dir"] == "gs://team-eu/jobs/team/cats/r"


def test_a_run_that_never_began_takes_no_folder_along() -> None:
    """Nothing was written where its first job found no machines."""
    launch, _ = attempt(a_launch(), a_call(), REGIONS)
    launch = launch.move(State.SUBMITTED, job_name="j")
    launch, _ = refused(launch, Shortage.STOCKOUT)
    assert attempt(launch, a_call(), REGIONS)[1].constructor["base_output_dir"] == "gs://team-eu/jobs/team/cats/r"


def test_a_ladder_that_was_taken_away_leads_back() -> None:
    """Whatever the launch remembers of it."""
    launch, _ = attempt(a_launch(), a_call())
    launch, _ = refused(launch, Shortage.STOCKOUT)
    launch, call = attempt(launch, a_call(), Ladder())
    assert place_of(call) == SPOT_HERE
    launch, waited = refused(replace(launch, entry=replace(launch.entry, waits=3)), Shortage.STOCKOUT)
    assert (waited, launch.entry.climbs, launch.entry.notice) == (timedelta(minutes=2).total_seconds(), False,
                                                                  "Waiting: no room")  # fmt: skip


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"strategies": ["CHEAP"]}, "'SPOT', 'FLEX_START' or 'STANDARD'"),
        ({"regions": ["us-central1"]}, "valid dictionary"),
        ({"regions": [{"region": "us-central1"}]}, "staging_bucket"),
        ({"regions": [{"region": "somewhere", "staging_bucket": "gs://b-1"}]}, "region"),
        ({"regions": [{"region": "us-central1", "staging_bucket": "b-1"}]}, "staging_bucket"),
        ({"regions": None}, "valid tuple"),
        ({"zones": []}, "Extra inputs"),
    ],
)
def test_a_wrong_ladder_is_refused(written: dict[str, Any], message: str) -> None:
    """Rather than that launches go where nobody meant."""
    with pytest.raises(ValidationError, match=message):
        Ladder.model_validate(written)


def test_no_policy_refuses_a_launchs_own_place_here() -> None:
    """Admission refuses it before, and ends the launch."""
    nowhere = AdmissionPolicy(regions=("asia-east1",))
    found, _ = places(a_call(), ALL, a_launch().entry.run, nowhere)
    assert list(found) == [SPOT_HERE]
