"""`provision`, by Google's unmodified clients: made once, no-op twice, and completed after a run that died.

No gcloud is needed here: what the build deploys between its two runs is put in place by hand.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from google.cloud import storage

from deploy.cloud.deployment import Deployment
from deploy.cloud.provision.command import provision as deploy_provision
from tests.cloud.acting import cloud_for
from tests.cloud.functions import CloudFunctions
from tests.cloud.world import Cloud

BUILD = "launch-build@p1.iam.gserviceaccount.com"
DEPLOYMENT = Deployment("p1", "us-central1", number="123456789012")


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Give a project with a ledger and nothing else, in which this process is the build."""
    with cloud_for(BUILD, tmp_path, monkeypatch) as made:
        storage.Client(project="p1").create_bucket("p1-launch-ledger", location="us-central1")
        made.calls.clear()
        yield made


def provision(*options: str) -> Result:
    """Run it."""
    return CliRunner().invoke(deploy_provision, ["--project=p1", "--region=us-central1", *options])


def deploy_submit(cloud: Cloud) -> None:
    """Deploy submit with its trigger, as the build does between two runs."""
    name = f"{DEPLOYMENT.parent}/functions/launch-submit"
    cloud.resources[f"cloudfunctions.googleapis.com/{name}"] = function = {
        "name": name,
        "serviceConfig": {"serviceAccountEmail": DEPLOYMENT.account("submit")},
        "eventTrigger": {
            "eventType": "google.cloud.pubsub.topic.v1.messagePublished",
            "pubsubTopic": "projects/p1/topics/launch-requests",
            "retryPolicy": "RETRY_POLICY_RETRY",
        },
    }
    CloudFunctions(cloud.state).deployed(name, function, all_traffic=True)


def writes(cloud: Cloud) -> list[str]:
    """Return the calls that change something."""
    reading = (":getIamPolicy", ":testIamPermissions", "/token")
    return [
        f"{call.method} {call.path}" for call in cloud.calls if call.method != "GET" and not call.path.endswith(reading)
    ]


def test_it_makes_waits_completes_and_then_has_nothing_to_do(cloud: Cloud) -> None:
    """The two runs of a first build, and the first of the next one."""
    first = provision()
    assert first.exit_code == 0, first.output
    assert "projects/p1/topics/launch-requests: is created" in first.output
    assert "Waiting: the first deployment of launch-submit creates the trigger's subscription." in first.output
    assert provision("--complete").exit_code == 1
    deploy_submit(cloud)
    second = provision("--complete")
    assert second.exit_code == 0, second.output
    assert "jobs/launch-poll: is created" in second.output
    before = writes(cloud)
    third = provision("--complete")
    assert (third.exit_code, third.output) == (0, "Nothing to change.\n")
    assert writes(cloud) == before


def test_the_plan_is_what_is_then_done(cloud: Cloud) -> None:
    """It says the same lines, and calls nothing that changes anything."""
    provision()
    deploy_submit(cloud)
    before = writes(cloud)
    planned = provision("--plan")
    assert writes(cloud) == before
    done = provision()
    assert planned.output.replace(" to change.", " changed.") == done.output
    assert "changed." in done.output


# Every call that changes something in a first deployment, except for monitoring: no run dies of that.
WRITES = (
    ("PATCH", "/b/p1-launch-ledger$"),
    ("PUT", "/topics/launch-requests$"),
    ("PUT", "/topics/launch-dead-letters$"),
    ("PUT", "/topics/launch-events$"),
    ("PUT", "/subscriptions/launch-dead-letters$"),
    ("PUT", "/topics/launch-wake-up$"),
    ("PUT", "/subscriptions/launch-wake-up$"),
    ("PATCH", "/subscriptions/eventarc-[^/]*$"),
    ("POST", "/topics/launch-requests:setIamPolicy$"),
    ("POST", "/topics/launch-dead-letters:setIamPolicy$"),
    ("POST", "/topics/launch-events:setIamPolicy$"),
    ("POST", "/subscriptions/eventarc-[^/]*:setIamPolicy$"),
    ("POST", "/subscriptions/launch-dead-letters:setIamPolicy$"),
    ("POST", "/topics/launch-wake-up:setIamPolicy$"),
    ("POST", "/subscriptions/launch-wake-up:setIamPolicy$"),
    ("POST", "/jobs$"),
)


def first_deployment(cloud: Cloud) -> list[Result]:
    """Run it as the first build does."""
    before = provision()
    deploy_submit(cloud)
    return [before, provision("--complete")]


def test_these_are_all_its_writes(cloud: Cloud) -> None:
    """So that the next test leaves none out."""
    first_deployment(cloud)
    made = [write for write in writes(cloud) if not re.search("/(metrics|alertPolicies|dashboards)$", write)]
    assert all(any(each.startswith(m) and re.search(path, each) for m, path in WRITES) for each in made)


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize(("method", "path"), WRITES, ids=[path for _, path in WRITES])
def test_a_run_that_died_is_completed_by_the_next(cloud: Cloud, method: str, path: str, lost: bool) -> None:
    """Wherever it died, and whether or not its last call had its effect: nothing is missing, nothing is twice."""
    fault = cloud.lose(method, path, status=500) if lost else cloud.fail(method, path, status=500)
    died = [result for result in first_deployment(cloud) if result.exit_code]
    assert fault.times == 0
    assert died
    assert "Error: " in died[0].output
    completed = provision("--complete")
    assert completed.exit_code == 0, completed.output
    assert provision("--complete").output == "Nothing to change.\n"
    made = {full.rpartition("/")[2] for full in cloud.resources if full.startswith(("pubsub.", "cloudscheduler."))}
    assert {name for name in made if not name.startswith("eventarc-")} == {
        "launch-requests",
        "launch-dead-letters",
        "launch-wake-up",
        "launch-events",
        "launch-poll",
        "launch-status",
    }
    publishers = cloud.policy_members(
        "pubsub.googleapis.com/projects/p1/topics/launch-requests", "roles/pubsub.publisher"
    )
    assert sorted(publishers) == sorted(
        {f"serviceAccount:{DEPLOYMENT.account(a)}" for a in ("build", "poll", "status")}
    )


def test_pub_sub_may_call_poll_as_the_scheduler_does(cloud: Cloud) -> None:
    """Another account, audience or path would be refused at poll's door; repaired if somebody changes it."""
    provision()
    name = "pubsub.googleapis.com/projects/p1/subscriptions/launch-wake-up"
    url = f"https://launch-poll-{DEPLOYMENT.number}.us-central1.run.app"
    pushed = cloud.resources[name]["pushConfig"]
    assert pushed["pushEndpoint"] == f"{url}/wake-up"
    assert pushed["oidcToken"] == {"serviceAccountEmail": DEPLOYMENT.account("scheduler"), "audience": url}
    cloud.resources[name]["pushConfig"] = {"pushEndpoint": "https://x.example.com"}
    assert "launch-wake-up: push_config: " in provision().output
    assert cloud.resources[name]["pushConfig"] == pushed


def test_the_schedule_can_be_in_another_location(cloud: Cloud) -> None:
    """Cloud Scheduler does not serve all regions: its jobs call the functions of the region."""
    deploy_submit(cloud)
    done = provision("--complete", "--scheduler-region=europe-west1")
    assert done.exit_code == 0, done.output
    jobs = [full for full in cloud.resources if full.startswith("cloudscheduler.") and "/jobs/" in full]
    assert sorted(jobs) == [
        f"cloudscheduler.googleapis.com/projects/p1/locations/europe-west1/jobs/launch-{verb}"
        for verb in ("poll", "status")
    ]
    assert ".us-central1.run.app" in cloud.resources[jobs[0]]["httpTarget"]["uri"]
    assert provision("--complete", "--scheduler-region=europe-west1").output == "Nothing to change.\n"
