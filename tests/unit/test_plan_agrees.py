"""`plan` and submit give one verdict, for random queues, items and policies; and Vertex AI agrees with it.

W&B's stand-in merges an item over its queue and fills in template variables; poll's record goes through the ledger's
JSON; submit reads that. `plan` sees the item as W&B would show it.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from deploy.local.servers.vertex.app import create_app
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.state import State as WandbState
from deploy.local.serving import serving
from deploy.planner import LAUNCHED, REFUSED, Planned, Planner
from deploy.wandb_queues import PendingItem, QueueView
from shared.adapters.vertex.submit import VertexCompute
from shared.config.ladder import Ladder
from shared.config.policy import AdmissionPolicy
from shared.core.jobsource import JobSource, Kind
from shared.core.launch import NOTICE_BYTES, Launch, Outcome, State
from shared.core.shorten import shortened
from shared.runspec.prepare import Preparation
from shared.runspec.scheduler import SchedulerDefaults
from tests.contract.sending import NAMES
from tests.contract.test_same_request import JSON, places
from tests.fakes import FakeJobs, FakeQueueConfigs, FakeSweeps, InMemoryLedger
from tests.unit.specs import SITE, put
from tests.unit.submitting import Scene

RECORD = TypeAdapter(Launch)
JOB = "team/cats/train:v1"
JOBS = {
    JOB: JobSource(JOB, Kind.ARTIFACT, ("python", "x.py"), code="team/cats/code:v1"),
    "team/cats/image:v1": JobSource("team/cats/image:v1", Kind.IMAGE, image="us-docker.pkg.dev/p/r/x:1"),
}
BUILT = "us-docker.pkg.dev/gcp-project/r/built"


class StoredLedger(InMemoryLedger):
    """A ledger whose records have been JSON, as in a bucket."""

    def write(self, launch: Launch) -> Launch:
        """Write the record as it comes back from JSON."""
        stored = from_json(to_json(RECORD.dump_python(launch, mode="json")))
        return super().write(replace(RECORD.validate_python(stored), generation=launch.generation))


@dataclass(frozen=True)
class Case:
    """One queue, one item on it, and one deployment."""

    queue: dict[str, Any]  # the Vertex part of its configuration
    item: dict[str, Any]
    policy: AdmissionPolicy = field(default_factory=AdmissionPolicy)
    ladder: Ladder = field(default_factory=Ladder)
    site: dict[str, Any] = field(default_factory=dict)
    scheduler: SchedulerDefaults = field(default_factory=SchedulerDefaults)
    variables: dict[str, Any] = field(default_factory=dict)

    @property
    def preparation(self) -> Preparation:
        """Return what both share: the deployment's settings, and W&B's answers."""
        sweeps = FakeSweeps({("team", "cats", "sw1"): "RUNNING", ("team", "cats", "over"): "FINISHED"})
        return Preparation(
            FakeQueueConfigs(),
            FakeJobs(JOBS),
            sweeps,
            replace(SITE, **self.site),
            NAMES,
            policy=self.policy,
            ladder=self.ladder,
            scheduler=self.scheduler,
        )


def verdicts(case: Case, compute: VertexCompute | None = None) -> tuple[Planned, Launch, Scene]:
    """Return what plan shows for an item, and the record that submit leaves."""
    wandb = WandbState()
    schemas = {name: {"type": "string"} for name in case.variables}
    wandb.make_queue("team", "vertex", config=case.queue, template_variables=schemas)
    pushed = wandb.push("team", "vertex", case.item, template_variables=case.variables).run_spec
    view = QueueView("team", "vertex", "1", "PROJECT", "gcp-vertex", {}, {})
    planner = Planner(None, "team", case.preparation)  # type: ignore[arg-type] # it asks W&B nothing here
    planned = planner._item(view, PendingItem("item-1", copy.deepcopy(pushed)))  # noqa: SLF001 - without a W&B
    scene = Scene()
    scene.ledger = StoredLedger(scene.clock)
    scene.submit = replace(
        scene.submit,
        ledger=scene.ledger,
        prepare=case.preparation.prepare,
        compute=compute or scene.vertex,
    )
    ticket = scene.open(**pushed)
    scene.deliver(ticket)
    return planned, scene.launch(ticket), scene


MACHINES = st.sampled_from(
    [
        {"machine_type": "n1-standard-4"},
        {"machine_type": "g2-standard-4", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1},
        {"machine_type": "ct5lp-hightpu-1t", "tpu_topology": "1x1"},
        {"machine_type": "cloud-tpu", "accelerator_type": "TPU_V3", "accelerator_count": 32},
        {"machine_type": "n1-standard-8"},
    ]
)
IMAGES = st.sampled_from(["${image_uri}", "us-docker.pkg.dev/p/team/own:2", "python:3.12", "ghcr.io/x/y"])
POOLS = st.fixed_dictionaries(
    {
        "machine_spec": MACHINES,
        "replica_count": st.integers(1, 3),
        "container_spec": st.fixed_dictionaries(
            {"image_uri": IMAGES},
            optional={
                "command": st.sampled_from([["python"], []]),
                "env": st.sampled_from([[{"name": "TRAIN_LR", "value": "1"}], [{"name": "LD_PRELOAD", "value": "x"}]]),
            },
        ),
    },
    optional={"disk_spec": st.fixed_dictionaries({"boot_disk_size_gb": st.integers(100, 300)})},
)
QUEUES = st.fixed_dictionaries(
    {
        "spec": st.fixed_dictionaries(
            {
                "staging_bucket": st.sampled_from(["gs://team", "gs://team/folder", "gs://other"]),
                "worker_pool_specs": st.builds(
                    lambda one, more: [one, *more], POOLS, st.lists(POOLS | st.just({}), max_size=2)
                ),
            },
            optional={
                "labels": st.dictionaries(st.sampled_from(["a", "team"]), st.sampled_from(["x", "${author}"])),
                "location": st.sampled_from(["us-central1", "europe-west4"]),
                "display_name": st.sampled_from(["${run_name}", "own"]),
                "persistent_resource_id": st.just("pr-1"),
            },
        ),
    },
    optional={
        "run": st.fixed_dictionaries(
            {},
            optional={
                "service_account": st.sampled_from(
                    ["a@p.iam.gserviceaccount.com", "b@other-project.iam.gserviceaccount.com"]
                ),
                "network": st.just("projects/123/global/networks/n"),
                "timeout": st.sampled_from([60, "60s"]),
                "scheduling_strategy": st.sampled_from(["SPOT", 2, "standard"]),
                "enable_web_access": st.booleans(),
            },
        ),
        "builder": st.sampled_from([{"base_image": "python:3.12"}, {"accelerator": {"base_image": "cuda:12"}}]),
    },
)
SCHEDULER = {"entry_point": ["wandb", "scheduler", "sw1"], "args": ["--queue", "'vertex'", "--project", "'cats'"]}
SOURCES = st.sampled_from(
    [
        {"docker": {"docker_image": "us-docker.pkg.dev/p/team/train:1"}},
        {"docker": {"docker_image": "python:3.12"}},
        {"image_uri": "ghcr.io/x/y:1"},
        {"job": JOB},
        {"job": "image:v1"},
        {"job": "team/cats/gone:v1"},
        {},
        {"uri": "https://github.com/x/y"},
        {"uri": "placeholder-uri-scheduler", "run_id": "sw1", "resource": "local-process", "overrides": SCHEDULER},
        {"uri": "placeholder-uri-scheduler", "run_id": "sw1", "resource": "gcp-vertex", "overrides": SCHEDULER},
        {"uri": "placeholder-uri-scheduler", "run_id": "sw2", "resource": "gcp-vertex", "overrides": SCHEDULER},
    ]
)
ITEMS = st.builds(
    lambda source, rest: {"entity": "team", "project": "cats", **rest, **source},
    SOURCES,
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["blue", "n" * 128, "It's ü"]),
            "author": st.sampled_from(["ann", None]),
            "run_id": st.sampled_from(["r1", "R.1", None]),
            "sweep_id": st.sampled_from(["sw1", "over"]),
            "resource": st.sampled_from(["gcp-vertex", "vertex", "local-container", None]),
            "_wandb_api_key": st.just("own" * 20),
            "overrides": st.fixed_dictionaries(
                {},
                optional={
                    "args": st.sampled_from([["--lr", "1"], [1, 2.5], "--lr 1"]),
                    "entry_point": st.sampled_from([["python", "y.py"], ["sh", "-c", "$(WANDB_API_KEY)"]]),
                    "run_config": st.dictionaries(st.text(max_size=3), JSON, max_size=2),
                    "files": st.sampled_from([{"a.yaml": {"x": 1}}, [1], None]),
                },
            ),
        },
    ),
)
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "images": st.sampled_from([["us-docker.pkg.dev/p/team"], ["docker.io/library", "ghcr.io"]]),
        "machine_types": st.sampled_from([["n1-standard-4"], ["n1-standard-4", "g2-standard-4", "e2-standard-4"]]),
        "accelerator_types": st.sampled_from([[], ["NVIDIA_L4"]]),
        "max_replicas": st.integers(1, 4),
        "max_boot_disk_gb": st.sampled_from([100, 200]),
        "buckets": st.just(["gs://team"]),
        "regions": st.just(["us-central1"]),
        "service_accounts": st.sampled_from([[], ["a@p.iam.gserviceaccount.com"]]),
        "environment_variables": st.just(["TRAIN_*"]),
        "enable_web_access": st.just(False),
        "projects": st.just(["gcp-project", "p", "123"]),
        "wandb_projects": st.sampled_from([["team/cats"], ["team/dogs"]]),
    },
).map(AdmissionPolicy.model_validate)
LADDERS = st.sampled_from(
    [
        Ladder(),
        Ladder.model_validate({"strategies": ["SPOT", "STANDARD"]}),
        Ladder.model_validate({"regions": [{"region": "europe-west4", "staging_bucket": "gs://team-eu"}]}),
    ]
)
SITES = st.fixed_dictionaries(
    {},
    optional={
        "secure_mode": st.booleans(),
        "key_secret": st.just("projects/p/secrets/s"),
        "base_image": st.just("python:3.11"),
        "destination": st.just(BUILT),
    },
)
SCHEDULERS = st.sampled_from(
    [
        SchedulerDefaults(),
        SchedulerDefaults("us-docker.pkg.dev/p/team/wandb:1", "e2-standard-4"),
        SchedulerDefaults("us-docker.pkg.dev/p/team/wandb:1"),
        SchedulerDefaults(machine_type="e2-standard-4"),
    ]
)
CASES = st.builds(Case, QUEUES, ITEMS, POLICIES, LADDERS, SITES, SCHEDULERS)
ODD = JSON | st.sampled_from(
    ["", " ", "\n", "0", "-1", "${run_name}", "${UNKNOWN}", "{{t}}", "gs://x/../y", "x y", "US-CENTRAL1", -1, 0, 10**20]
)


@st.composite
def spoilt(draw: st.DrawFn) -> Case:
    """Draw a case with an odd value in its queue or its item, perhaps from a template variable."""
    case = draw(CASES)
    part = draw(st.sampled_from(["queue", "item"]))
    whole = getattr(case, part)
    changed = put(whole, draw(st.sampled_from(list(places(whole)))), draw(ODD))
    value = draw(st.sampled_from(["n1-standard-4", "SPOT", "gs://team", "", "x y"]))
    return replace(case, variables={"t": value}, **{part: changed})


def assert_one_verdict(case: Case) -> None:
    """Compare the verdicts: launched with the same call, built first, or refused for the same reason."""
    planned, launch, scene = verdicts(case)
    event(f"{planned.outcome}: {planned.refusal.field.partition('.')[0] if planned.refusal else ''}")
    if planned.outcome == REFUSED:
        assert (launch.entry.outcome, launch.reason) == (Outcome.REJECTED, str(planned.refusal))
        assert not scene.vertex.calls
        return
    assert planned.outcome == LAUNCHED
    assert planned.call
    if planned.call.recipe:
        assert (launch.entry.state, scene.builds.begun) == (State.QUEUED, [planned.call.recipe])
        return
    assert (launch.entry.state, scene.vertex.calls) == (State.SUBMITTED, [planned.call])
    assert launch.entry.notice == shortened("; ".join(planned.call.warnings), NOTICE_BYTES)


@given(CASES)
@settings(max_examples=80, deadline=None)
def test_plan_and_submit_agree(case: Case) -> None:
    """On any deployment, for values that can be launched."""
    assert_one_verdict(case)


@given(spoilt())
@settings(max_examples=120, deadline=None)
def test_they_agree_on_odd_values_too(case: Case) -> None:
    """Of any type, anywhere in a queue or an item."""
    assert_one_verdict(case)


@pytest.fixture(scope="module")
def vertex() -> Iterator[tuple[VertexState, VertexCompute]]:
    """Serve one Vertex AI, which refuses what Google documents as invalid."""
    state = VertexState()
    with serving(create_app(state)) as url:
        yield state, VertexCompute(SITE.project, SITE.location, url)


@given(CASES | spoilt())
@settings(max_examples=40, deadline=None)
def test_vertex_ai_takes_what_plan_lets_pass(vertex: tuple[VertexState, VertexCompute], case: Case) -> None:
    """And no more: a job exists for each launch that plan promises, and for no other."""
    state, compute = vertex
    planned, launch, _ = verdicts(case, compute)
    for job in list(state.jobs()):
        state.forget(job.name)
    waits = bool(planned.call and planned.call.recipe)
    expected = State.ENDED if planned.refusal else State.QUEUED if waits else State.SUBMITTED
    assert (launch.entry.state, launch.reason) == (expected, str(planned.refusal or ""))
