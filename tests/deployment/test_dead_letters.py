"""`dead-letters` in a project of Google Cloud: an operator's permissions and messages, and a death halfway."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.operate.dead_letters.command import dead_letters
from shared.core.message import Ticket, encode, launch_key
from tests.cloud.messaging import PubSub
from tests.cloud.world import Cloud

OPERATOR = "operator@example.com"
TOPIC, DEAD = "projects/p1/topics/launch-requests", "projects/p1/topics/launch-dead-letters"
TRIGGER, KEPT = "projects/p1/subscriptions/trigger", "projects/p1/subscriptions/launch-dead-letters"
READ = {("pubsub.subscriptions.consume", f"pubsub.googleapis.com/{KEPT}")}
PUBLISH = {("pubsub.topics.publish", f"pubsub.googleapis.com/{TOPIC}")}
LEDGER = "storage.googleapis.com/projects/_/buckets/p1-launch-ledger"
KEY = launch_key("wandb", "item")
LOOK = {
    ("storage.objects.list", LEDGER),
    *(("storage.objects.get", f"{LEDGER}/objects/{folder}/{KEY}") for folder in ("open", "closed")),
}
TICKET = encode(Ticket(launch_key=KEY))


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Give a project with a ticket among its dead letters, in which this process is an operator."""
    for emulator in ("PUBSUB_EMULATOR_HOST", "STORAGE_EMULATOR_HOST", "LEDGER_BUCKET"):
        monkeypatch.delenv(emulator, raising=False)
    with Cloud(tmp_path) as made:
        for name, value in made.environ(OPERATOR).items():
            monkeypatch.setenv(name, value)
        for topic, subscription in ((TOPIC, TRIGGER), (DEAD, KEPT)):
            made.resources[f"pubsub.googleapis.com/{topic}"] = {"name": topic}
            made.resources[f"pubsub.googleapis.com/{subscription}"] = {"name": subscription, "topic": topic}
        made.resources[LEDGER] = {"name": "p1-launch-ledger"}
        PubSub(made.state).publish(DEAD, {"data": base64.b64encode(TICKET).decode()})
        yield made


def run(*options: str) -> Result:
    """Run it."""
    return CliRunner().invoke(dead_letters, ["--project=p1", "--region=us-central1", "--wait=5", *options])


def allowing(*permissions: set[tuple[str, str]]) -> Callable[[str, str, str], bool]:
    """Allow these, and nothing else."""
    allowed = set().union(*permissions)
    return lambda who, permission, resource: who == OPERATOR and (permission, resource) in allowed


def published(cloud: Cloud) -> list[bytes]:
    """Return what is on the launch topic."""
    return [base64.b64decode(each["data"]) for each in cloud.state.messages.get(TRIGGER, [])]


def test_a_few_permissions_are_enough(cloud: Cloud) -> None:
    """One to look; to replay one more on the topic, and reading on the ledger. What was looked at is let go at once."""
    cloud.enforce(allowing(READ))
    assert "1 dead letter." in run().output
    letting_go = cloud.calls_to("pubsub")[-1]
    assert letting_go.path.endswith(":modifyAckDeadline")
    assert letting_go.document.get("ackDeadlineSeconds", 0) == 0
    cloud.enforce(allowing(READ, PUBLISH, LOOK))
    assert "1 dead letter replayed." in run("--replay").output
    assert published(cloud) == [TICKET]
    assert run().output == "No dead letters.\n"


def test_a_missing_permission_is_named_with_the_command_that_gives_it(cloud: Cloud) -> None:
    """The role, on what, and by whom; a letter that could not be published is let go, and stays."""
    cloud.enforce(allowing())
    done = run()
    assert done.exit_code == 1
    assert f"you lack roles/pubsub.subscriber on {KEPT}" in done.output
    bind = "gcloud pubsub subscriptions add-iam-policy-binding launch-dead-letters --project=p1"
    assert f"{bind} --role=roles/pubsub.subscriber --member=user:YOU" in done.output
    cloud.enforce(allowing(READ, PUBLISH))
    done = run("--replay")
    assert done.exit_code == 1
    assert "You need roles/storage.objectViewer. An owner grants it with:" in done.output
    bind = "gcloud storage buckets add-iam-policy-binding gs://p1-launch-ledger --role=roles/storage.objectViewer"
    assert f"{bind} --member=user:YOU" in done.output
    assert published(cloud) == []
    cloud.enforce(allowing(READ, LOOK))
    done = run("--replay")
    assert done.exit_code == 1
    assert f"you lack roles/pubsub.publisher on {TOPIC}" in done.output
    assert "gcloud pubsub topics add-iam-policy-binding launch-requests --project=p1" in done.output
    assert cloud.calls_to("pubsub")[-1].path.endswith(":modifyAckDeadline")
    assert len(cloud.state.messages[KEPT]) == 1


def test_dead_between_publishing_and_taking_out_it_comes_twice(cloud: Cloud) -> None:
    """No message is lost: the letter stays until it has been published."""
    cloud.fail("POST", "launch-dead-letters:acknowledge$", status=500)
    done = run("--replay")
    assert done.exit_code == 4
    assert "Pub/Sub answers 500" in done.output
    assert (published(cloud), len(cloud.state.messages[KEPT])) == ([TICKET], 1)
    assert run("--replay").exit_code == 0
    assert (published(cloud), cloud.state.messages[KEPT]) == ([TICKET, TICKET], [])


def test_an_error_of_google_is_reported(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google fails, nobody is logged in, or nothing answers: the output has a sentence and no traceback."""
    cloud.fail("POST", "launch-dead-letters:pull$", status=500)
    assert "Pub/Sub answers 500" in run().output
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    done = run()
    assert (done.exit_code, type(done.exception)) == (4, SystemExit)
    assert "cannot be reached" in done.output
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    done = run()
    assert done.exit_code == 1
    assert "Google does not accept your credentials" in done.output
    assert "gcloud auth application-default login" in done.output


def test_an_unreachable_emulator_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, not after a minute of trying."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:9")
    done = run()
    assert done.exit_code == 4
    assert "Pub/Sub answers 503" in done.output
