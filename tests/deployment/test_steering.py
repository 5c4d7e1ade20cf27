"""The commands that steer, in a project of Google Cloud: what an operator needs, and what one lacks."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.__main__ import main
from shared.adapters.gcs import GcsLedger
from shared.core.intake import from_request
from shared.core.launch import Launch
from shared.core.message import Request
from tests.cloud.world import Cloud

OPERATOR = "operator@example.com"
BUCKET = "p1-launch-ledger"
LEDGER = f"storage.googleapis.com/projects/_/buckets/{BUCKET}"
READ = ("storage.objects.get", "storage.objects.list")


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Give a project in which this process is an operator."""
    for emulator in ("PUBSUB_EMULATOR_HOST", "STORAGE_EMULATOR_HOST", "LEDGER_BUCKET"):
        monkeypatch.delenv(emulator, raising=False)
    with Cloud(tmp_path) as made:
        for name, value in made.environ(OPERATOR).items():
            monkeypatch.setenv(name, value)
        made.resources[LEDGER] = {"name": BUCKET}
        yield made


@pytest.fixture
def launch(cloud: Cloud) -> Launch:
    """Write a launch that an operator without further rights finds afterwards."""
    request = Request(source="ci", idempotency_key="1", run_spec={"entity": "team", "project": "cats"})
    return GcsLedger(BUCKET).write(from_request(request, datetime.now(UTC)))


def run(*arguments: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(main, [*arguments, "--project=p1"])


def allowing(*permissions: str) -> Callable[[str, str, str], bool]:
    """Allow these on the ledger's bucket, and nothing else."""
    return lambda who, permission, resource: (
        who == OPERATOR and permission in permissions and resource.startswith(LEDGER)
    )


def test_an_account_that_only_reads_learns_what_it_lacks(cloud: Cloud, launch: Launch) -> None:
    """Each command names the role on the bucket, and nothing is changed."""
    cloud.enforce(allowing(*READ))
    bind = f"gcloud storage buckets add-iam-policy-binding gs://{BUCKET} --role=roles/storage.objectUser"
    for command in (("cancel", launch.key, "--yes"), ("pause",), ("resume",), ("agent", "stop")):
        done = run(*command)
        assert (done.exit_code, bind in done.output) == (1, True), done.output
    cloud.enforce(allowing(*READ, "storage.objects.create", "storage.objects.delete"))
    assert run("cancel", launch.key, "--yes").exit_code == 0


def test_a_publisher_needs_one_role(cloud: Cloud, tmp_path: Path) -> None:
    """On the topic; the message names it."""
    topic = "projects/p1/topics/launch-requests"
    cloud.resources[f"pubsub.googleapis.com/{topic}"] = {"name": topic}
    file = tmp_path / "train.json"
    file.write_text('{"entity": "team", "project": "cats", "docker": {"docker_image": "x"}}', encoding="utf-8")
    cloud.enforce(allowing())
    done = run("publish", str(file))
    assert done.exit_code == 1
    assert f"you lack roles/pubsub.publisher on {topic}" in done.output
    cloud.enforce(lambda who, permission, _: (who, permission) == (OPERATOR, "pubsub.topics.publish"))
    done = run("publish", str(file), "--source=ci", "--key=1")
    assert (done.exit_code, "is published as ci/1" in done.output) == (0, True), done.output
