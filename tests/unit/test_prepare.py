"""The preparation of a job: each check is made, in its order, with the settings of the deployment."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.config.ladder import Ladder
from shared.config.policy import AdmissionPolicy
from shared.config.requests import RequestLimits
from shared.core.errors import KeyRefused, Reject
from shared.core.intake import from_request
from shared.core.jobsource import JobSource, Kind
from shared.core.launch import Launch
from shared.core.message import Queue, Request
from shared.core.queueconfig import QueueConfig
from shared.core.reserved import ReservedPlaces
from shared.runspec.prepare import Preparation, PreparedJob
from shared.runspec.scheduler import SchedulerDefaults
from tests.fakes import FakeJobs, FakeQueueConfigs, FakeSweeps
from tests.unit.specs import NAMES, SITE, launch_of, put, run_spec

VERTEX = ("resource_args", "gcp-vertex")
SPEC, RUN = (*VERTEX, "spec"), (*VERTEX, "run")
JOB = JobSource("team/cats/train:v1", Kind.IMAGE, ("python", "x.py"), image="gcr.io/p/i:1")
CONFIG = {"resource_args": {"gcp-vertex": run_spec()["resource_args"]["gcp-vertex"]}}
QUEUE = Queue(entity="team", name="vertex")
LADDER = Ladder.model_validate(
    {"strategies": ["SPOT"], "regions": [{"region": "europe-west4", "staging_bucket": "gs://team-eu"}]}
)
REQUESTS = RequestLimits(entities=("team",)).within("team", ["vertex"])


def refused_key() -> None:
    """Refuse the deployment's key."""
    raise KeyRefused("the key is refused")


def prepared(launch: Launch, **changes: Any) -> PreparedJob:
    """Prepare a launch."""
    given: dict[str, Any] = {
        "queues": FakeQueueConfigs({QUEUE: QueueConfig("q1", resource="gcp-vertex", config=CONFIG)}),
        "job_artifacts": FakeJobs({JOB.path: JOB}),
        "sweeps": FakeSweeps(states={("team", "Cats", "sw1"): "FINISHED"}),
        "defaults": SITE,
        "names": NAMES,
    }
    return Preparation(**{**given, **changes}).prepare(launch)


def test_a_launch_gets_its_place_and_those_that_follow() -> None:
    """The record to claim names them."""
    made = prepared(launch_of(run_spec()), ladder=LADDER)
    assert made.call.parent == made.launch.entry.parent == "projects/gcp-project/locations/us-central1"
    assert made.next_places == ("europe-west4 with STANDARD",)
    assert (made.launch.climb.place, made.launch.climb.next_place) == (
        "us-central1 with STANDARD",
        "europe-west4 with STANDARD",
    )
    alone = prepared(launch_of(run_spec()))
    assert (alone.next_places, alone.launch.entry.climbs) == ((), False)


def test_a_region_that_the_sdk_does_not_know_is_left_out() -> None:
    """The notice says why."""
    names = replace(NAMES, locations=frozenset({"us-central1"}))
    made = prepared(launch_of(run_spec()), ladder=LADDER, names=names)
    assert made.next_places == ()
    assert made.launch.climb.left_out == "europe-west4 is left out: the SDK runs no job there"


def test_a_job_is_resolved_to_its_version() -> None:
    """Every attempt runs the same."""
    jobs = FakeJobs({"team/cats/train:latest": JOB})
    made = prepared(launch_of(run_spec(docker=None, job="train:latest", project="cats")), job_artifacts=jobs)
    assert made.launch.run_spec["job"] == JOB.path
    assert made.call.constructor["worker_pool_specs"][0]["container_spec"]["image_uri"] == "gcr.io/p/i:1"


def test_a_request_gets_its_queues_configuration() -> None:
    """The ledger keeps it with the claim."""
    spec = {**run_spec(project="cats"), "resource_args": None}
    request = Request(idempotency_key="1", source="ci", queue=QUEUE, run_spec=spec)
    launch = from_request(request, datetime(2026, 1, 1, tzinfo=UTC))
    made = prepared(launch, requests=REQUESTS)
    assert made.launch.run_spec["resource_args"] == CONFIG["resource_args"]
    with pytest.raises(Reject, match=r"^queue: is 'team/vertex', which requests\.queues does not allow"):
        prepared(launch)


def test_a_macro_of_the_deployment_is_the_queues_only() -> None:
    """A template variable brings none into it, and a request has none of its own."""
    config = put(CONFIG, ("resource_args", "gcp-vertex", "spec", "labels"), {"a": "{{x}}"})
    schemas = {"x": {"type": "string"}}
    queues = FakeQueueConfigs({QUEUE: QueueConfig("q1", "", "gcp-vertex", config, schemas)})
    spec = {**run_spec(template_variables={"x": "${TEAM_BUCKET:label}"}), "resource_args": None}
    request = Request(idempotency_key="1", source="ci", queue=QUEUE, run_spec=spec)
    with pytest.raises(Reject, match=r"^template_variables: bring a macro of LAUNCH_MACROS into the queue's"):
        prepared(from_request(request, datetime(2026, 1, 1, tzinfo=UTC)), requests=REQUESTS, queues=queues)
    own = put(run_spec(), (*SPEC, "labels"), {"a": "${TEAM_BUCKET:label}"})
    with pytest.raises(Reject, match=r"^resource_args: contain \$\{TEAM_BUCKET\}, which only a queue's"):
        prepared(
            from_request(Request(idempotency_key="1", source="ci", run_spec=own), datetime(2026, 1, 1, tzinfo=UTC)),
            requests=REQUESTS,
        )


def test_a_scheduler_gets_the_machine_of_the_settings() -> None:
    """Without the settings it is refused."""
    overrides = {"entry_point": ["wandb", "scheduler", "sw1"]}
    spec = {"entity": "team", "project": "Cats", "uri": "placeholder-uri-scheduler", "run_id": "sw1"}
    launch = launch_of({**spec, "overrides": overrides})
    made = prepared(launch, scheduler=SchedulerDefaults("gcr.io/p/wandb:1", "e2-standard-4"))
    [pool] = made.call.constructor["worker_pool_specs"]
    assert pool["machine_spec"] == {"machine_type": "e2-standard-4"}
    with pytest.raises(Reject, match=r"^uri: is a sweep's scheduler"):
        prepared(launch)


ELSEWHERE = AdmissionPolicy(regions=("europe-west4",))
RESERVED = replace(SITE, reserved=ReservedPlaces(own={"team-eu": "the ledger"}))


@pytest.mark.parametrize(
    ("spec", "changes", "why"),
    [
        (run_spec(odd=1), {}, "odd: is not known here"),
        (run_spec(), {"policy": ELSEWHERE}, "spec.location: is 'us-central1', which the rule policy.regions"),
        (
            put(run_spec(), (*RUN, "timeout"), 0),
            {},
            "resource_args.gcp-vertex.run.timeout: is 0. Write a number of seco",
        ),
        (run_spec(sweep_id="sw1"), {}, "sweep_id: the sweep sw1 of team/Cats is FINISHED"),
        (
            put(run_spec(), (*SPEC, "base_output_dir"), "gs://team-eu/x"),
            {"defaults": RESERVED},
            "resource_args.gcp-vertex.spec.base_output_dir: is 'gs://team-eu/x', a bucket that holds the "
            "ledger of this",
        ),
        (run_spec(docker=None, job="a/b/c:v1"), {}, "job: "),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_job_that_cannot_be_created_is_refused(spec: dict[str, Any], changes: dict[str, Any], why: str) -> None:
    """By each check."""
    with pytest.raises(Reject) as refused:
        prepared(launch_of(spec), **changes)
    assert str(refused.value).startswith(why)


def test_a_place_of_the_ladder_is_checked_too() -> None:
    """Its bucket can be reserved, and its region barred."""
    first = prepared(launch_of(run_spec()), ladder=LADDER).launch
    second = replace(first, climb=replace(first.climb, tried=("us-central1 with STANDARD",)))
    assert prepared(second, ladder=LADDER).call.location == "europe-west4"
    with pytest.raises(Reject, match=r"^spec\.staging_bucket: is 'gs://team-eu', a bucket that holds the ledger"):
        prepared(second, ladder=LADDER, defaults=RESERVED)
    here = AdmissionPolicy(regions=("us-central1",))
    assert prepared(second, ladder=LADDER, policy=here).call.location == "us-central1"


def test_only_a_run_without_a_key_of_its_own_needs_the_deployments() -> None:
    """The deployment's key is checked before the sweep."""
    with pytest.raises(KeyRefused):
        prepared(launch_of(run_spec(sweep_id="sw1")), check_key=refused_key)
    assert prepared(launch_of(run_spec(_wandb_api_key="own")), check_key=refused_key)
