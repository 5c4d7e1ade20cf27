"""Names that are derived, as they were from the first release: a revision that derives others finds nothing."""

import json
from datetime import UTC, datetime

from deploy.cloud.deployment import Deployment
from shared.core.intake import from_item, from_request
from shared.core.message import Queue, Request, launch_key
from shared.runspec.labels import all_labels, job_labels

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = Queue(entity="team", name="vertex")


def test_a_launch_key_is_a_hash_of_its_source_and_identity() -> None:
    """Of their JSON, so that no two pairs share a text; base 32 of SHA-256, with a letter in front."""
    assert launch_key("wandb", "UnVuUXVldWVJdGVtOjE=") == "k2knwgqjttwqwsavwn5qs6h6d7a"
    assert launch_key("request:ci", "build-1") == "kteg5znxt333lmpxivrqcqqdqtv"
    assert launch_key("a:b", "c") != launch_key("a", "b:c")


def test_a_request_and_an_item_have_these_keys_and_run_ids() -> None:
    """The run id is a part of the key, unless the item has one. W&B writes projects in lower case."""
    request = Request(source="ci", idempotency_key="build-1", run_spec={"entity": "team", "project": "Cats"})
    launch = from_request(request, NOW)
    assert (launch.key, launch.entry.run.run_id) == (launch_key("request:ci", "build-1"), launch.key[1:13])
    item = from_item("item-1", QUEUE, {"entity": "team", "project": "Cats", "run_id": "mine"}, NOW)
    assert (item.key, item.entry.run.run_id, item.entry.run.project) == ("kihrsbaaxcsncsjimutm2l76plh", "mine", "cats")


def test_a_sweeps_project_keeps_its_letters() -> None:
    """W&B's scheduler, and its runs, look it up by that name; an ordinary launch's is the agent's, in lower case."""
    cats = {"entity": "team", "project": "Bob's Cats"}
    of_sweep = ({"uri": "placeholder-uri-scheduler", "run_id": "sw1"}, {"sweep_id": "sw1"})
    projects = {from_item("i", QUEUE, {**cats, **more}, NOW).entry.run.project for more in of_sweep}
    assert projects == {"Bob's Cats"}
    assert from_item("i", QUEUE, cats, NOW).entry.run.project == "bob's cats"


def test_a_requests_digest_does_not_depend_on_the_order_of_keys() -> None:
    """A repeated request is compared by it for 30 days, by each revision."""
    spec = json.loads('{"b": [1, {"y": "ä", "x": null}], "a": 1.5}')
    request = Request(source="ci", idempotency_key="1", run_spec=spec, queue=QUEUE)
    assert request.digest == "8e6a6d32c0800c6207306f055b815287bcecb8c20ff3c3308299e5a88c50e4e9"


def test_the_labels_of_a_job() -> None:
    """Submit and status find it by them."""
    launch = from_item("item-1", QUEUE, {"entity": "team", "project": "cats", "run_id": "My Run"}, NOW)
    assert job_labels(launch, "launch") == {
        "launch_key": launch.key,
        "launch_attempt": "0",
        "launch_agent": "launch",
    }
    labels, _ = all_labels({}, "labels", launch, "launch")
    assert labels["wandb-run-id"] == "my-run"


def test_the_names_of_a_deployment() -> None:
    """A second bootstrap, build or destroy has to find the first one's resources."""
    deployment = Deployment("my-project", "us-central1", "my-launch", number="123")
    found = [
        deployment.ledger_bucket,
        deployment.secret,
        deployment.topic,
        deployment.dead_letters,
        deployment.function("poll"),
        deployment.account("submit"),
        deployment.custom_role("status"),
        deployment.url("poll"),
    ]
    assert found == [
        "my-project-my-launch-ledger",
        "my-launch-wandb-api-key",
        "my-launch-requests",
        "my-launch-dead-letters",
        "my-launch-poll",
        "my-launch-submit@my-project.iam.gserviceaccount.com",
        "my_launch_status",
        "https://my-launch-poll-123.us-central1.run.app",
    ]
