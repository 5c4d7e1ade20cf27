"""The scheduler of a sweep becomes a small CustomJob, or is refused with what is missing."""

from typing import Any

import pytest

from shared.core.errors import Reject, Retry
from shared.core.message import Queue
from shared.core.queueconfig import QueueConfig
from shared.runspec.model import Draft
from shared.runspec.render import render
from shared.runspec.scheduler import SchedulerDefaults, schedule_as_job
from shared.runspec.source import resolve
from tests.fakes import FakeJobs, FakeQueueConfigs
from tests.unit.specs import NAMES, SITE, draft_of, put, run_spec

QUEUE = Queue(entity="team", name="vertex")
SCHEDULER = SchedulerDefaults("us-docker.pkg.dev/p/r/wandb:1", "e2-standard-4")
TRAINING: dict[str, Any] = run_spec()["resource_args"]["gcp-vertex"]


def item(**changes: Any) -> Draft:
    """Return the launch of what `wandb launch-sweep` enqueues."""
    spec = {
        "uri": "placeholder-uri-scheduler",
        "entity": "team",
        "project": "cats",
        "name": "Scheduler.sw1",
        "run_id": "sw1",
        "docker": {},
        "git": {},
        "resource": "local-process",
        "overrides": {
            "run_config": {"scheduler": {"num_workers": 2}},
            "args": [
                "--queue",
                "'vertex'",
                "--project",
                "'cats'",
                "--author",
                '"it\'s"',
                "--image_uri",
                "us-docker.pkg.dev/p/r/train:1",
            ],
            "entry_point": ["wandb", "scheduler", "sw1"],
        },
    }
    return draft_of({**spec, **changes})


def configured(**spec: Any) -> FakeQueueConfigs:
    """Return the queue's configuration, with changes to its spec."""
    given = {"resource_args": {"gcp-vertex": {**TRAINING, "spec": {**TRAINING["spec"], **spec}}}}
    return FakeQueueConfigs({QUEUE: QueueConfig("q1", "PROJECT", "gcp-vertex", given)})


def test_a_scheduler_is_a_small_job_of_its_own() -> None:
    """The settings give it image and machine, its queue the place; the sweep's id is its run, as the agent has it."""
    queues = configured(labels={"team": "red"}, worker_pool_specs=[{"machine_spec": {"machine_type": "a3-highgpu-8g"}}])
    placed, job = resolve(schedule_as_job(item(), queues, SCHEDULER), FakeJobs())
    call = render(placed, SITE, NAMES, job)
    [pool] = call.constructor["worker_pool_specs"]
    container = pool.pop("container_spec")
    assert pool == {"machine_spec": {"machine_type": "e2-standard-4"}, "replica_count": 1}
    assert (container["image_uri"], container["command"]) == (SCHEDULER.image, ["wandb", "scheduler", "sw1"])
    assert container["args"] == [
        "--queue",
        "vertex",
        "--project",
        "cats",
        "--author",
        "it's",
        "--image_uri",
        "us-docker.pkg.dev/p/r/train:1",
    ]
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert (variables["WANDB_RUN_ID"], variables["WANDB_CONFIG"]) == ("sw1", '{"scheduler": {"num_workers": 2}}')
    assert (call.constructor["staging_bucket"], call.constructor["labels"]["team"]) == ("gs://staging", "red")


def test_a_schedulers_place_comes_from_the_item_if_wandb_puts_it_there() -> None:
    """It takes nothing else from the item: no machines, no time limit, no kind of capacity."""
    run = {"service_account": "a@p.iam.gserviceaccount.com", "timeout": 60, "scheduling_strategy": "SPOT"}
    arguments = {"vertex": {"spec": {**TRAINING["spec"], "persistent_resource_id": "r", "location": "l"}, "run": run}}
    unasked = FakeQueueConfigs(unreachable=AssertionError("W&B was asked"))
    placed = schedule_as_job(item(resource_args=arguments), unasked, SCHEDULER)
    given = placed.launch.run_spec["resource_args"]["gcp-vertex"]
    assert given["run"] == {"service_account": "a@p.iam.gserviceaccount.com"}
    assert given["spec"].keys() == {"staging_bucket", "location", "worker_pool_specs"}
    assert schedule_as_job(placed, unasked, SCHEDULER) == placed, "a later attempt launches the same"


def test_template_variables_take_their_defaults() -> None:
    """Authors cannot set other values for a scheduler."""
    queues = configured(staging_bucket="gs://{{bucket}}")
    found = queues.configs[QUEUE]
    queues.configs[QUEUE] = QueueConfig(found.id, config=found.config, template_variables={"bucket": {"default": "b"}})
    placed = schedule_as_job(item(), queues, SCHEDULER)
    assert placed.launch.run_spec["resource_args"]["gcp-vertex"]["spec"]["staging_bucket"] == "gs://b"


OWN_MACHINE: list[tuple[dict[str, Any], str]] = [
    ({"resource": "gcp-vertex"}, SCHEDULER.image),
    ({"resource": "vertex"}, SCHEDULER.image),
    ({"resource": "gcp-vertex", "image_uri": "own:1"}, "own:1"),
    ({"resource": "gcp-vertex", "docker": {"docker_image": "own:1"}}, "own:1"),
]


@pytest.mark.parametrize(("changes", "image"), OWN_MACHINE)
def test_a_scheduler_for_vertex_ai_keeps_its_machine_and_loses_its_quotes(changes: dict[str, Any], image: str) -> None:
    """It runs in its own image, or else in that of the settings, on the machine of its resource_args."""
    unasked = FakeQueueConfigs(unreachable=AssertionError("W&B was asked"))
    large = put(TRAINING, ("spec", "worker_pool_specs", 0, "machine_spec", "machine_type"), "n1-highmem-96")
    given = item(resource_args={"vertex": large}, **changes)
    placed = schedule_as_job(given, unasked, SchedulerDefaults(SCHEDULER.image))
    call = render(placed, SITE, NAMES, resolve(placed, FakeJobs())[1])
    [pool] = call.constructor["worker_pool_specs"]
    container = pool["container_spec"]
    assert (container["image_uri"], pool["machine_spec"]["machine_type"]) == (image, "n1-highmem-96")
    assert container["command"] == ["wandb", "scheduler", "sw1"]
    assert container["args"][:4] == ["--queue", "vertex", "--project", "cats"]
    assert schedule_as_job(placed, unasked, SCHEDULER) == placed, "a later attempt launches the same"


def test_a_scheduler_for_vertex_ai_without_a_machine_gets_that_of_the_settings() -> None:
    """Its sweep names the resource only, and its queue has no configuration of its own in W&B."""
    placed = schedule_as_job(item(resource="gcp-vertex"), configured(), SCHEDULER)
    [pool] = placed.launch.run_spec["resource_args"]["gcp-vertex"]["spec"]["worker_pool_specs"]
    assert pool["machine_spec"] == {"machine_type": "e2-standard-4"}


def test_a_run_of_a_sweep_is_left_alone() -> None:
    """It is no scheduler."""
    unasked = FakeQueueConfigs(unreachable=AssertionError("W&B was asked"))
    draft = draft_of(run_spec(sweep_id="sw1"))
    assert schedule_as_job(draft, unasked, SchedulerDefaults()) is draft


def test_a_schedulers_own_job_or_image_wins() -> None:
    """Only the machine has to be set then."""
    machine = SchedulerDefaults(machine_type="e2-standard-4")
    named = schedule_as_job(item(docker={"docker_image": "own:1"}, resource="local-container"), configured(), machine)
    assert named.launch.run_spec["docker"] == {"docker_image": "own:1"}
    overrides = {"run_config": {"sweep_args": {"queue": "'kept'"}}}
    job = schedule_as_job(item(job="t/p/j:v0", resource="local-container", overrides=overrides), configured(), machine)
    assert (job.launch.run_spec["job"], job.launch.run_spec["docker"], job.launch.run_spec["overrides"]) == (
        "t/p/j:v0",
        {},
        overrides,
    )


@pytest.mark.parametrize(
    ("scheduler", "changes", "message"),
    [
        (
            SchedulerDefaults(),
            {},
            r"uri: is a sweep's scheduler.*LAUNCH_SCHEDULER_MACHINE .* and LAUNCH_SCHEDULER_IMAGE .* not",
        ),
        (
            SchedulerDefaults(image="i:1"),
            {},
            r"and LAUNCH_SCHEDULER_MACHINE \(scheduler.machine_type in the .*\) is not set",
        ),
        (SchedulerDefaults(machine_type="m"), {}, r"and LAUNCH_SCHEDULER_IMAGE \(scheduler.image in .*\) is not set"),
        (
            SchedulerDefaults(machine_type="m"),
            {"resource": "gcp-vertex", "resource_args": {"vertex": TRAINING}},
            r"uri: is a sweep's scheduler, and LAUNCH_SCHEDULER_IMAGE .* write docker_image under scheduler in the sw",
        ),
        (
            SCHEDULER,
            {"resource": "gcp-vertex", "resource_args": {"vertex": TRAINING}, "overrides": {"entry_point": ["sh"]}},
            r"overrides.entry_point: is not `wandb scheduler SWEEP`",
        ),
        (SCHEDULER, {"overrides": {"entry_point": ["sh", "-c", "x"]}}, r"overrides.entry_point: is not `wandb schedul"),
        (
            SCHEDULER,
            {"overrides": {"entry_point": ["wandb", "scheduler"]}},
            r"Enqueue the sweep with `wandb launch-sweep`",
        ),
        (SCHEDULER, {"overrides": None}, r"overrides.entry_point"),
        (SCHEDULER, {"overrides": []}, r"overrides: should be an object"),
        (SCHEDULER, {"job": 1}, r"job: should be a text"),
        (SCHEDULER, {"resource_args": {"vertex": {"spec": []}}}, r"resource_args.vertex.spec: should be an object"),
    ],
)
def test_a_scheduler_that_cannot_run_is_refused(
    scheduler: SchedulerDefaults, changes: dict[str, Any], message: str
) -> None:
    """With the setting that is missing, or the field that is wrong."""
    with pytest.raises(Reject, match=message):
        schedule_as_job(item(**changes), configured(), scheduler)


def test_wandb_out_of_reach_is_tried_again() -> None:
    """The queue's configuration is needed."""
    with pytest.raises(Retry):
        schedule_as_job(item(), FakeQueueConfigs(unreachable=Retry("down")), SCHEDULER)


def test_a_queue_without_a_configuration_is_refused_for_its_bucket() -> None:
    """As any launch without one is."""
    placed, job = resolve(schedule_as_job(item(), FakeQueueConfigs(), SCHEDULER), FakeJobs())
    with pytest.raises(Reject, match="staging_bucket"):
        render(placed, SITE, NAMES, job)
