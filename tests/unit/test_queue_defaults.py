"""What a request and a sweep's scheduler get from their queue's configuration."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.core.errors import Reject
from shared.core.intake import from_item, from_request
from shared.core.message import Queue, Request
from shared.core.queueconfig import QueueConfig
from shared.runspec.defaults import complete
from shared.runspec.model import Draft
from shared.runspec.scheduler import OF_RUN, OF_SPEC, SchedulerDefaults, schedule_as_job
from tests.fakes import FakeQueueConfigs

QUEUE = Queue(entity="team", name="vertex")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
VERTEX = {"spec": {"staging_bucket": "gs://b-1"}}


def asked(**changes: Any) -> Draft:
    """Return a request on the queue."""
    spec = {"entity": "team", "project": "cats", **changes}
    return Draft.of(from_request(Request(source="ci", idempotency_key="1", run_spec=spec, queue=QUEUE), NOW))


def configs(config: dict[str, Any], resource: str = "gcp-vertex", **schemas: Any) -> FakeQueueConfigs:
    """Return W&B with this configuration of the queue."""
    return FakeQueueConfigs({QUEUE: QueueConfig("q1", "", resource, config, schemas)})


OR = "or leave queue out and give resource_args."


@pytest.mark.parametrize(
    ("config", "resource", "changes", "why"),
    [
        ({"resource_args": {"vertex": VERTEX}}, "vertex", {}, ""),
        ({"resource_args": {"gcp-vertex": VERTEX}}, "", {}, ""),
        ({"resource_args": {"gcp-vertex": VERTEX}, "resource": "gcp-vertex"}, "gcp-vertex", {}, ""),
        ({}, "sagemaker", {}, f"queue: vertex of team is of type sagemaker. Name a queue of type GCP Vertex, {OR}"),
        (
            {},
            "",
            {},
            "queue: vertex of team has no configuration for Vertex AI. Fill in its configuration in W&B, under "
            f"Launch, {OR}",
        ),
        (
            {"resource_args": {"odd": VERTEX}},
            "",
            {},
            "queue: vertex of team has no configuration for Vertex AI. Fill in",
        ),
        (
            {"resource_args": {"gcp-vertex": VERTEX}, "odd": 1},
            "",
            {},
            "queue.odd: is not known here; its value is a number. Known: resource, resource_args.",
        ),
        ({"resource_args": "x"}, "", {}, "queue.resource_args: should be an object, but is a text."),
        ({"resource_args": {"gcp-vertex": "{{odd}} \ud800"}}, "", {}, "queue.resource_args.gcp-vertex: "),
        (
            {"resource_args": {"gcp-vertex": VERTEX}},
            "",
            {"resource_args": {"a": 1}, "template_variables": {"a": 1}},
            "template_variables: fill in a queue's configuration, but the request has its own "
            "resource_args. Leave one of the "
            "two out.",
        ),
        (
            {"resource_args": {"gcp-vertex": {"spec": {"labels": {"a": "{{x}}", "b": "${TEAM}"}}}}},
            "",
            {"template_variables": {"x": "${TEAM}"}},
            "template_variables: bring a macro of LAUNCH_MACROS into the queue's configuration. Write "
            "values without ${…}.",
        ),
        (
            {"resource_args": {"gcp-vertex": {"spec": {"labels": {"a": "{{x}}", "b": "${TEAM}"}}}}},
            "",
            {"template_variables": {"x": "${OTHER}"}},
            "",
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_request_gets_the_configuration_of_its_queue(
    config: dict[str, Any], resource: str, changes: dict[str, Any], why: str
) -> None:
    """Filled in, or refused by its path in the queue."""
    schemas = {"x": {"type": "string", "default": "d"}}
    refused = ""
    try:
        made = complete(asked(**changes), configs(config, resource, **schemas), ["TEAM"]).launch.run_spec
        assert made["resource"] == resource
        assert made["resource_args"].keys() <= {"vertex", "gcp-vertex"}
        assert "template_variables" not in made
    except Reject as exc:
        refused = str(exc)
    assert refused.startswith(why)
    assert bool(refused) == bool(why)


def test_a_request_names_a_queue_that_exists() -> None:
    """The refusal names the queue that is missing."""
    with pytest.raises(Reject) as refused:
        complete(asked(), FakeQueueConfigs({}))
    wanted = f"queue: W&B has no queue vertex of team. Name a queue that this deployment's API key can see, {OR}"
    assert str(refused.value) == wanted


def scheduler(**changes: Any) -> Draft:
    """Return a sweep's scheduler on the queue."""
    overrides = {"entry_point": ["wandb", "scheduler", "sw1"], "args": ["--queue", "'vertex'"], "run_config": {"a": 1}}
    spec = {"entity": "team", "project": "cats", "uri": "placeholder-uri-scheduler", "run_id": "sw1"}
    return Draft.of(from_item("item-1", QUEUE, {**spec, "overrides": overrides, **changes}, NOW))


SETTINGS = SchedulerDefaults("i:1", "e2-standard-4")
SPEC = {"project": "p", "location": "us-east1", "staging_bucket": "{{bucket}}", "labels": {"a": "{{unset}}"},
        "encryption_spec_key_name": "k", "service_account": "s"}  # fmt: skip
RUN = {"service_account": "s", "network": "n", "psc_interface_config": {"network_attachment": "a"}}


@pytest.mark.parametrize("in_item", [True, False])
def test_a_scheduler_gets_its_place_and_nothing_else(in_item: bool) -> None:
    """Of its own resource_args, or else of its queue's, with the defaults of template variables."""
    vertex = {"spec": {**SPEC, "worker_pool_specs": ["x"], "display_name": "x"}, "run": {**RUN, "timeout": 5}}
    wandb = configs({"resource_args": {"vertex": vertex}}, bucket={"default": "gs://b-1"}, unset={"type": "string"})
    made = schedule_as_job(scheduler(**({"resource_args": {"vertex": vertex}} if in_item else {})), wandb, SETTINGS)
    pool = {
        "machine_spec": {"machine_type": "e2-standard-4"},
        "replica_count": 1,
        "container_spec": {"image_uri": "${image_uri}"},
    }
    bucket = "{{bucket}}" if in_item else "gs://b-1"
    spec = {**SPEC, "staging_bucket": bucket, "worker_pool_specs": [pool]}
    assert made.launch.run_spec["resource_args"] == {"gcp-vertex": {"spec": spec, "run": RUN}}
    assert (made.launch.run_spec["resource"], made.launch.run_spec["docker"]) == ("gcp-vertex", {"docker_image": "i:1"})
    assert made.launch.run_spec["overrides"] == {
        "entry_point": ["wandb", "scheduler", "sw1"],
        "args": ["--queue", "vertex"],
        "run_config": {"a": 1},
    }
    assert (tuple(SPEC), tuple(RUN)) == (OF_SPEC, OF_RUN)


ASK = "Ask the operator of this deployment to set"
MACHINE = "LAUNCH_SCHEDULER_MACHINE (scheduler.machine_type in the launch-config)"
IMAGE = "LAUNCH_SCHEDULER_IMAGE (scheduler.image in the launch-config)"


@pytest.mark.parametrize(
    ("settings", "changes", "why"),
    [
        (
            SchedulerDefaults(),
            {},
            f"{MACHINE} and {IMAGE} are not set. {ASK} them, or write resource: gcp-vertex with "
            "resource_args and docker_image under scheduler in the sweep.",
        ),
        (
            SchedulerDefaults("i:1"),
            {},
            f"{MACHINE} is not set. {ASK} it, or write resource: gcp-vertex with resource_args "
            "under scheduler in the sweep.",
        ),
        (
            SchedulerDefaults(machine_type="m"),
            {},
            f"{IMAGE} is not set. {ASK} it, or write docker_image under scheduler in the sweep.",
        ),
        (SchedulerDefaults(), {"job": "a/b/c:v1"}, f"{MACHINE} is not set."),
        (SchedulerDefaults(), {"image_uri": "i"}, f"{MACHINE} is not set."),
        (SchedulerDefaults(), {"resource": "vertex", "resource_args": {"vertex": VERTEX}}, f"{IMAGE} is not set."),
        (SchedulerDefaults(), {"resource": "vertex"}, f"{MACHINE} and {IMAGE} are not set."),
        (SchedulerDefaults(), {"resource_args": {"vertex": VERTEX}}, f"{MACHINE} and {IMAGE} are not set."),
        (SchedulerDefaults(), {"resource": "vertex", "resource_args": {"vertex": VERTEX}, "image_uri": "i"}, ""),
    ],
    ids=str,
)
def test_a_scheduler_without_a_setting_is_refused(
    settings: SchedulerDefaults, changes: dict[str, Any], why: str
) -> None:
    """With all that is missing, and with what its sweep may name instead."""
    refused = ""
    try:
        schedule_as_job(scheduler(**changes), configs({}), settings)
    except Reject as exc:
        refused = str(exc)
    assert refused.startswith(f"uri: is a sweep's scheduler, and {why}" if why else "")
    assert bool(refused) == bool(why)
