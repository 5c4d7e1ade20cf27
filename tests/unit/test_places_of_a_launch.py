"""The places of a launch, one by one: what is left out and why, and what its record keeps."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.config.ladder import Ladder
from shared.config.policy import AdmissionPolicy
from shared.core.errors import Reject
from shared.core.launch import Launch, RunPath
from shared.core.ports import CustomJobCall
from shared.runspec.ladder import place, place_of, places
from tests.unit.specs import launch_of, run_spec

RUN = RunPath("team", "cats", "r")
ANY = AdmissionPolicy()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ladder(*regions: str, strategies: tuple[str, ...] = ()) -> Ladder:
    """Return a ladder of these regions, each with its own bucket."""
    named = [{"region": region, "staging_bucket": f"gs://b-{region}"} for region in regions]
    return Ladder.model_validate({"strategies": strategies, "regions": named})


def call(strategy: str = "SPOT", spec: dict[str, Any] | None = None, **submit: Any) -> CustomJobCall:
    """Return the job of a launch."""
    constructor = {"staging_bucket": "gs://own", "base_output_dir": "gs://own/team/cats/r", **(spec or {})}
    return CustomJobCall("p", "us-central1", constructor, {"scheduling_strategy": strategy, **submit})


def test_each_place_that_is_left_out_has_its_reason() -> None:
    """Once for a region, and once for a place; the launch's own place is never left out."""
    known = {"asia-east1", "europe-west4"}
    regions = ladder("asia-east1", "europe-west1", "europe-west4", strategies=("SPOT", "FLEX_START", "STANDARD"))
    policy = AdmissionPolicy(regions=("us-central1", "europe-west4"))
    pools = [{"machine_spec": {"machine_type": "n1-standard-4"}}]
    found, left_out = places(call(spec={"worker_pool_specs": pools}), regions, RUN, policy, known)
    assert list(found) == ["us-central1 with SPOT", "europe-west4 with SPOT", "europe-west4 with STANDARD"]
    reasons = left_out.split("; ")
    assert [reason.partition(":")[0] for reason in reasons] == [
        "asia-east1 with SPOT is left out",
        "europe-west1 is left out",
        "asia-east1 with FLEX_START is left out",
        "europe-west4 with FLEX_START is left out",
        "asia-east1 with STANDARD is left out",
    ]
    assert reasons[1] == "europe-west1 is left out: the SDK runs no job there"
    assert reasons[0].startswith("asia-east1 with SPOT is left out: spec.location: is 'asia-east1'")
    assert "machine_type: is n1-standard-4, and FLEX_START needs" in reasons[3]


def test_regional_resources_are_named_together() -> None:
    """All of them hold the launch in its region."""
    tied = call(spec={"persistent_resource_id": "r", "base_output_dir": "gs://own/x"}, network="n", tensorboard="")
    found, left_out = places(tied, ladder("us-central1", "europe-west4"), RUN, ANY)
    assert list(found) == ["us-central1 with SPOT"]
    assert left_out == "europe-west4 is left out, because spec.persistent_resource_id, run.network is regional"


def test_only_a_folder_by_default_moves_with_its_job() -> None:
    """The job gets the bucket of its region; the other arguments stay."""
    for folder, there in (("gs://own/team/cats/r", "gs://b-europe-west4/team/cats/r"), ("gs://own/x", "gs://own/x")):
        asked = call(spec={"base_output_dir": folder, "labels": {"a": "b"}}, timeout=60)
        moved = places(asked, ladder("europe-west4"), RUN, ANY)[0]["europe-west4 with SPOT"]
        wanted = {"staging_bucket": "gs://b-europe-west4", "base_output_dir": there, "labels": {"a": "b"}}
        assert moved == replace(asked, location="europe-west4", constructor=wanted)


def test_a_job_without_a_folder_has_none_in_any_place() -> None:
    """Nothing is written down for a later attempt."""
    bare = CustomJobCall("p", "us-central1", {}, {})
    moved = places(bare, ladder("europe-west4"), RUN, ANY)[0]["europe-west4 with STANDARD"]
    assert moved.constructor == {"staging_bucket": "gs://b-europe-west4", "base_output_dir": ""}
    made, chosen, after = place(launch_of(run_spec()), bare, Ladder(), ANY)
    assert (made.climb.output_dir, made.climb.place, chosen, after) == ("", "us-central1 with STANDARD", bare, ())


@pytest.mark.parametrize(
    ("strategies", "own", "after"),
    [
        (("SPOT", "STANDARD"), "SPOT", ["us-central1 with STANDARD"]),
        (("SPOT", "STANDARD"), "FLEX_START", []),
        (("SPOT", "STANDARD"), "STANDARD", []),
        (("FLEX_START", "SPOT"), "", []),
        (("STANDARD", "SPOT"), "", ["us-central1 with SPOT"]),
    ],
)
def test_a_launch_goes_up_from_its_own_strategy(strategies: tuple[str, ...], own: str, after: list[str]) -> None:
    """STANDARD is Vertex AI's default; a strategy that is not listed leads nowhere."""
    found, _ = places(call(own), ladder(strategies=strategies), RUN, ANY)
    first, *rest = found
    assert first == f"us-central1 with {own or 'STANDARD'}" == place_of(call(own))
    assert rest == after
    if after:
        assert found[after[0]].submit["scheduling_strategy"] == after[0].rpartition(" ")[2]


THREE = ladder("us-central1", "europe-west4", "asia-east1")
HERE, EU, ASIA = "us-central1 with SPOT", "europe-west4 with SPOT", "asia-east1 with SPOT"


def placed(*, tried: tuple[str, ...] = (), barred: tuple[str, ...] = (), regions: Ladder = THREE) -> tuple[Any, ...]:
    """Return the place, the following ones, and the record of a launch that has tried these."""
    launch = launch_of(run_spec(run_id="r"))
    launch = replace(launch, climb=replace(launch.climb, tried=tried, barred=barred))
    made, chosen, after = place(launch, call(), regions, ANY)
    assert place_of(chosen) == made.climb.place
    return made.climb.place, after, made


@pytest.mark.parametrize(
    ("tried", "barred", "here", "after", "kept"),
    [
        ((), (), HERE, (EU, ASIA), ()),
        ((HERE,), (), EU, (ASIA,), (HERE,)),
        ((HERE, EU), (), ASIA, (), (HERE, EU)),
        ((HERE, EU, ASIA), (), HERE, (EU, ASIA), ()),
        ((), (HERE,), EU, (ASIA,), ()),
        ((EU,), (HERE,), ASIA, (), (EU,)),
        ((EU, ASIA), (HERE,), EU, (ASIA,), ()),
        ((), (HERE, EU, ASIA), HERE, (), ()),
    ],
)
def test_an_attempt_goes_to_the_first_place_that_this_round_has_not_tried(
    tried: tuple[str, ...], barred: tuple[str, ...], here: str, after: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    """A new round begins if all were tried; a barred place is none."""
    place_, following, made = placed(tried=tried, barred=barred)
    assert (place_, following) == (here, after)
    assert (made.climb.own, made.climb.next_place, made.climb.tried) == (HERE, after[0] if after else "", kept)
    assert made.climb.barred == barred
    assert made.entry.climbs == (len(barred) < 2)


def test_the_record_keeps_what_the_next_attempt_needs() -> None:
    """The folder of its output, its parent, and why places are left out."""
    _, _, made = placed(tried=(HERE,))
    assert made.climb.output_dir == "gs://b-europe-west4/team/cats/r"
    assert made.entry.parent == "projects/p/locations/europe-west4"
    _, _, alone = placed(regions=Ladder())
    assert (alone.entry.climbs, alone.climb.left_out, alone.climb.output_dir) == (False, "", "gs://own/team/cats/r")


def resumed(output_dir: str, resumes: int) -> Launch:
    """Return a launch that has run before."""
    launch = launch_of(run_spec(run_id="r"))
    entry = replace(launch.entry, resumes=resumes)
    return replace(launch, entry=entry, climb=replace(launch.climb, output_dir=output_dir))


@pytest.mark.parametrize(
    ("output_dir", "resumes", "folder"),
    [("gs://old/x", 1, "gs://old/x"), ("gs://old/x", 0, "gs://own/team/cats/r"), ("", 1, "gs://own/team/cats/r")],
)
def test_only_a_resumed_run_keeps_its_folder(output_dir: str, resumes: int, folder: str) -> None:
    """If its record names one."""
    made, chosen, _ = place(resumed(output_dir, resumes), call(), Ladder(), ANY)
    assert (chosen.constructor["base_output_dir"], made.climb.output_dir) == (folder, folder)


def test_a_strategy_of_another_type_is_refused_by_its_path() -> None:
    """And so is a bucket."""
    with pytest.raises(Reject, match=r"^run\.scheduling_strategy: should be a text"):
        place_of(call(5))  # type: ignore[arg-type]
    with pytest.raises(Reject, match=r"^spec\.staging_bucket: should be a text"):
        places(call(spec={"staging_bucket": 5}), THREE, RUN, ANY)
    with pytest.raises(Reject, match=r"^spec\.base_output_dir: should be a text"):
        place(launch_of(run_spec()), call(spec={"base_output_dir": 5}), Ladder(), ANY)
