"""Names that are derived, as they were from the first release: a revision that derives others finds nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from inspect import getmembers

import pytest

from deploy.cloud.deployment import Deployment
from shared.adapters.gcs import Bucket, GcsAgentBook, GcsLedger
from shared.core.console import console_link
from shared.core.intake import from_item, from_request
from shared.core.jobsource import JobSource, Kind
from shared.core.launch import RunPath
from shared.core.message import Queue, Request, launch_key
from shared.core.ports import AgentNote
from shared.runspec.arguments import display_name
from shared.runspec.buckets import base_output_dir
from shared.runspec.labels import all_labels, job_labels, label_value
from shared.runspec.model import Overrides
from shared.runspec.recipe import placed, recipe_of

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


def test_the_agents_label_of_a_run() -> None:
    """As the agent writes it: in lower case, with dashes, at most 63 characters."""
    assert label_value("My Run_1.ä") == "my-run_1--"
    assert label_value("A" * 64) == "a" * 63


def test_the_name_and_the_folder_of_a_job() -> None:
    """A resumed run finds its checkpoints in the folder."""
    assert display_name(None, "spec.display_name", " my run ", "r1") == "my run"
    assert display_name(None, "spec.display_name", " ", "r1") == "r1"
    assert display_name(None, "spec.display_name", "n" * 129, "r1") == "n" * 128
    run = RunPath("team", "cats dogs", "r/1")
    assert base_output_dir("", "spec.base_output_dir", "gs://b/", run) == "gs://b/team/cats%20dogs/r%2F1"


CODE = JobSource(
    "team/cats/train:v1",
    Kind.ARTIFACT,
    code="team/cats/code:v2",
    digest="d1",
    files={"requirements.frozen.txt": "m1", "other": "m2"},
)
REPOSITORY = JobSource(
    "team/cats/train:v1", Kind.REPO, remote="https://git.test/a", commit="c0ffee", files={"diff.patch": "m3"}
)


@pytest.mark.parametrize(
    ("job", "tag"),
    [
        (CODE, "84e0a205d3fe708b81d667ae6b0b8344"),
        (replace(CODE, digest="d2"), "4545edf194bbb3831398f69de0a00cfe"),
        (replace(CODE, dockerfile="Dockerfile.gpu", build_context="sub"), "d87ab65e0c90f5309f6b79561bf3863a"),
        (REPOSITORY, "6a32aaa419cdc353bacedc7df3ef7e9f"),
    ],
)
def test_the_tag_of_an_image(monkeypatch: pytest.MonkeyPatch, job: JobSource, tag: str) -> None:
    """Another tag would build each image again after an upgrade; a new installer changes it, on purpose."""
    monkeypatch.setattr("shared.runspec.recipe.INSTALL", "the installer")
    recipe = recipe_of(job, Overrides.parse({}), "python:3.11", "us-docker.pkg.dev/p/r/jobs")
    assert recipe.image == f"us-docker.pkg.dev/p/r/jobs:{tag}"
    put = placed(recipe, "gs://contexts/")
    assert put
    assert put.store == "gs://contexts/launch-builds"


def test_the_objects_of_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """`open/KEY`, `closed/KEY` and `agents/NAME.json`: status and the commands read them by these names."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    bucket = _Names("ledger")
    ledger = GcsLedger(bucket)
    launch = from_item("item-1", QUEUE, {"entity": "team", "project": "cats"}, NOW)
    ledger.write(launch)
    ledger.is_closed(launch.key)
    ledger.close(launch)
    ledger.withdraw(launch.key)
    GcsAgentBook(bucket, "my-launch").write(AgentNote("me"))
    key = "kihrsbaaxcsncsjimutm2l76plh"
    assert bucket.names == [
        f"open/{key}",
        f"closed/{key}",
        f"closed/{key}",
        f"open/{key}",
        f"open/{key}",
        "agents/my-launch.json",
    ]


class _Names(Bucket):
    """A bucket that notes names, and holds nothing."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.names: list[str] = []

    def write(self, name: str, content: bytes, metadata: dict[str, str], generation: int) -> int:
        """Note the name."""
        self.names.append(name)
        return 1

    def delete(self, name: str, generation: int = 0) -> None:
        """Note the name."""
        self.names.append(name)

    def exists(self, name: str) -> bool:
        """Note the name."""
        self.names.append(name)
        return False


def test_the_place_of_a_job_in_googles_console() -> None:
    """Authors follow it from their item."""
    name = "projects/p/locations/us-central1/customJobs/7"
    page = "https://console.cloud.google.com/agent-platform/locations/us-central1/training/7?project=p"
    assert console_link(name) == page


def test_the_names_of_a_deployment() -> None:
    """A second bootstrap, build or destroy has to find the first one's resources."""
    named = Deployment("my-project", "us-central1", "my-launch", number="123")
    found = {
        name: getattr(named, name)
        for name, value in getmembers(Deployment)
        if isinstance(value, property) and isinstance(getattr(named, name), str)
    }
    assert found == {
        "ledger_bucket": "my-project-my-launch-ledger",
        "sources_bucket": "my-project-my-launch-sources",
        "own_contexts_bucket": "my-project-my-launch-contexts",
        "scheduler_region": "us-central1",
        "scheduler_parent": "projects/my-project/locations/us-central1",
        "build_region": "us-central1",
        "contexts_bucket": "my-project-my-launch-contexts",
        "staging_bucket": "my-project-my-launch-staging",
        "secret": "my-launch-wandb-api-key",
        "topic": "my-launch-requests",
        "dead_letters": "my-launch-dead-letters",
        "wake_up": "my-launch-wake-up",
        "events": "my-launch-events",
        "parent": "projects/my-project/locations/us-central1",
        "repository": "projects/my-project/locations/us-central1/repositories/my-launch",
        "images": "",
        "key_secret": "",
    }
    assert named.accounts == ("poll", "submit", "status", "scheduler", "build", "test")
    assert sorted(named.reserved.own) == [f"my-project-my-launch-{role}" for role in ("contexts", "ledger", "sources")]
    assert [
        named.function("poll"),
        named.account("submit"),
        named.custom_role("status"),
        named.url("poll"),
        named.agent("storage"),
        named.agent("gcp-sa-pubsub"),
    ] == [
        "my-launch-poll",
        "my-launch-submit@my-project.iam.gserviceaccount.com",
        "my_launch_status",
        "https://my-launch-poll-123.us-central1.run.app",
        "service-123@gs-project-accounts.iam.gserviceaccount.com",
        "service-123@gcp-sa-pubsub.iam.gserviceaccount.com",
    ]
