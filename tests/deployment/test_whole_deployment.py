"""The whole deployment, by the real gcloud and Google's own clients, in a cloud on loopback where IAM is in force.

It is made by the commands of docs/how-to, line by line. What `gcloud builds submit` uploads and the build's own
steps deploy is then run: the functions start from the archives that gcloud made, with requirements.txt and nothing
else, each by its own account.
"""

import io
import re
import shutil
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests
import yaml

from deploy.cloud.iam import bindings, custom_roles, table
from shared.config.launch_config import AdmissionPolicy, LaunchConfig
from tests.cloud.messaging import PubSub
from tests.cloud.state import now
from tests.deployment.build import Build
from tests.deployment.whole import BUILD, DEPLOYMENT, ENTITY, KEY, OWNER, ROOT, TRAINER, Whole, blocks, sections, whole
from tests.unit.specs import PAGE_DEFAULT, put
from tests.waiting import eventually

pytestmark = [
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed: it deploys"),
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed: it says what is committed"),
    pytest.mark.skipif(
        not (ROOT / ".git").exists(), reason="no clone of the repository: what is committed is deployed"
    ),
]

PREPARE = "2. Prepare the project, once"
QUEUE = put(
    put(PAGE_DEFAULT, ("spec", "staging_bucket"), "gs://p1-launch-staging/jobs"), ("run", "service_account"), TRAINER
)
LOCATION = "projects/p1/locations/us-central1"
MONITORING = "monitoring.googleapis.com/projects/p1"
TOPIC = "projects/p1/topics/launch-requests"
DEPLOYED = replace(DEPLOYMENT, config=LaunchConfig(policy=AdmissionPolicy(service_accounts=(TRAINER,))))
DEAD = "launch-dead-letters"
LEDGER = "storage.googleapis.com/projects/_/buckets/p1-launch-ledger"
WRITTEN = ("etag", "updateTime", "updated", "metageneration")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """Give a project that was bootstrapped once."""
    with whole(tmp_path_factory.mktemp("whole")) as made:
        made.wandb.make_queue(ENTITY, "vertex", "gcp-vertex", QUEUE)
        made.follow("1. Name the queues, and the account of the jobs")
        made.follow(PREPARE)
        yield made


@pytest.fixture(scope="module")
def build(project: Whole) -> Build:
    """Give the first build; what it deployed stays for all tests."""
    made = project.build()
    assert made.failed == [], made.outputs
    return made


def what_is_there(project: Whole) -> dict[str, Any]:
    """Return resources and policies, without what changes with every write."""
    kept = {
        full: {key: value for key, value in found.items() if key not in WRITTEN}
        for full, found in project.cloud.resources.items()
    }
    return deepcopy({"resources": kept, "policies": project.cloud.policies})


def test_a_second_bootstrap_changes_nothing(project: Whole) -> None:
    """It does not ask for the key again, and makes no second version of it."""
    before, key = what_is_there(project), dict(project.cloud.state.secrets)
    project.follow(PREPARE)
    assert what_is_there(project) == before
    assert project.cloud.state.secrets == key == {"projects/p1/secrets/launch-wandb-api-key/versions/1": KEY.encode()}


def test_bootstrap_makes_buckets_in_the_jobs_region(project: Whole) -> None:
    """With uniform access, closed to the public; what is closed is deleted from the ledger after 30 days."""
    for name in ("p1-launch-ledger", "p1-launch-sources", "p1-launch-staging"):
        bucket = project.cloud.resources[f"storage.googleapis.com/projects/_/buckets/{name}"]
        assert bucket["location"].lower() == "us-central1"
        access = bucket["iamConfiguration"]
        assert access["uniformBucketLevelAccess"]["enabled"]
        assert access["publicAccessPrevention"] == "enforced"
    [rule] = project.cloud.resources[LEDGER]["lifecycle"]["rule"]
    assert rule["action"] == {"type": "Delete"}
    assert rule["condition"] == {"age": 30, "matchesPrefix": ["closed/"]}


def test_bootstrap_makes_roles_with_exactly_what_the_table_says(project: Whole) -> None:
    """Not one permission more."""
    for name, role in custom_roles(DEPLOYED).items():
        made = project.cloud.resources[f"iam.googleapis.com/projects/p1/roles/launch_{name}"]
        assert set(made["includedPermissions"]) == set(role.permissions)
    assert set(table().roles["submit"].permissions) == {
        f"aiplatform.customJobs.{do}" for do in ("create", "get", "list")
    }
    assert set(table().roles["status"].permissions) == {
        *(f"aiplatform.customJobs.{do}" for do in ("cancel", "get", "list")),
        "logging.logEntries.list",
    }


def test_cloud_build_gets_the_file_and_its_own_account(build: Build) -> None:
    """The build that gcloud asks for runs cloudbuild.yaml's steps as the account of the deployment."""
    written = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text(encoding="utf-8"))
    assert [(step["id"], step["script"]) for step in build.asked["steps"]] == [
        (step["id"], step["script"]) for step in written["steps"]
    ]
    assert build.asked["serviceAccount"] == written["serviceAccount"]
    assert re.fullmatch("[0-9a-f]{40}", build.asked["substitutions"]["COMMIT_SHA"])


COMMON = {
    "environment": "GEN_2",
    "buildConfig": {
        "runtime": "python312",
        "dockerRepository": f"{LOCATION}/repositories/launch",
        "serviceAccount": "projects/p1/serviceAccounts/launch-build@p1.iam.gserviceaccount.com",
    },
    "serviceConfig": {
        "ingressSettings": "ALLOW_INTERNAL_ONLY",
    },
}
SIZES = ("availableCpu", "availableMemory", "timeoutSeconds", "maxInstanceCount", "maxInstanceRequestConcurrency")
FUNCTIONS = {
    "poll": ("0.25", "256Mi", 120, 1, 1),
    "submit": ("1", "512Mi", 540, 5, 4),
    "status": ("0.25", "512Mi", 120, 1, 1),
}


@pytest.mark.parametrize("verb", FUNCTIONS)
def test_a_function_is_deployed_as_described(project: Whole, build: Build, verb: str) -> None:
    """Runtime, source, account, secret, sizes, ingress, labels; and where it finds everything."""
    function = project.resource("cloudfunctions", f"functions/launch-{verb}")
    for part in ("buildConfig", "serviceConfig"):
        assert COMMON[part].items() <= function[part].items()  # type: ignore[attr-defined]
    config = function["serviceConfig"]
    assert tuple(config[size] for size in SIZES) == FUNCTIONS[verb]
    assert function["buildConfig"]["entryPoint"] == verb
    assert config["environmentVariables"]["DEPLOYED_COMMIT"] == build.asked["substitutions"]["COMMIT_SHA"]
    assert config["environmentVariables"]["DEPLOYED_BUILD"] == build.asked["name"]
    assert function["labels"]["vertex-launch"] == "launch"
    assert config["serviceAccountEmail"] == f"launch-{verb}@p1.iam.gserviceaccount.com"
    assert "secretEnvironmentVariables" not in config
    [volume] = config["secretVolumes"]
    [version] = volume["versions"]
    assert (volume["secret"], version["version"]) == ("launch-wandb-api-key", "latest")
    variables = config["environmentVariables"]
    assert variables["WANDB_API_KEY_FILE"] == f"{volume['mountPath']}/{version['path'].lstrip('/')}"
    assert (
        variables.items()
        >= {
            "GOOGLE_CLOUD_PROJECT": "p1",
            "VERTEX_LOCATION": "us-central1",
            "LEDGER_BUCKET": "p1-launch-ledger",
            "SOURCES_BUCKET": "p1-launch-sources",
            "CONTEXTS_BUCKET": "p1-launch-contexts",
            "LAUNCH_TOPIC": "launch-requests",
            "WANDB_BASE_URL": project.wandb_url,
            "OVERDUE_SECONDS": "1",
            "CLOUD_RUN_TIMEOUT_SECONDS": str(config["timeoutSeconds"]),
            "THREADED_TIMEOUT_ENABLED": "true",
        }.items()
    )
    assert KEY not in str(function)
    assert ("eventTrigger" in function) == (verb == "submit")


def test_submit_is_triggered_and_tried_again(project: Whole, build: Build) -> None:
    """Retries are off by default; its trigger delivers as submit's own account, with patience, and to dead letters."""
    trigger = project.resource("cloudfunctions", "functions/launch-submit")["eventTrigger"]
    assert trigger["retryPolicy"] == "RETRY_POLICY_RETRY"
    assert trigger["pubsubTopic"] == TOPIC
    assert trigger["serviceAccountEmail"] == "launch-submit@p1.iam.gserviceaccount.com"
    [subscription] = PubSub(project.cloud.state).subscriptions(TOPIC)
    assert subscription["ackDeadlineSeconds"] == 600
    assert subscription["retryPolicy"] == {"minimumBackoff": "10s", "maximumBackoff": "600s"}
    assert subscription["deadLetterPolicy"] == {
        "deadLetterTopic": f"projects/p1/topics/{DEAD}",
        "maxDeliveryAttempts": 20,
    }
    assert subscription["expirationPolicy"] == {}
    [kept] = PubSub(project.cloud.state).subscriptions(f"projects/p1/topics/{DEAD}")
    assert kept["messageRetentionDuration"] == "2678400s"


@pytest.mark.parametrize("verb", ["poll", "status"])
def test_cloud_scheduler_calls_with_an_id_token(project: Whole, build: Build, verb: str) -> None:
    """Each minute, as an account that may do nothing else, for the function's own address."""
    job = project.resource("cloudscheduler", f"jobs/launch-{verb}")
    address = f"https://launch-{verb}-123456789012.us-central1.run.app"
    assert (job["schedule"], job["state"], job["attemptDeadline"]) == ("* * * * *", "ENABLED", "120s")
    assert job["httpTarget"]["uri"] == address
    token = {"serviceAccountEmail": "launch-scheduler@p1.iam.gserviceaccount.com", "audience": address}
    assert job["httpTarget"]["oidcToken"] == token


@pytest.mark.parametrize("verb", FUNCTIONS)
def test_nobody_else_gets_in(project: Whole, build: Build, verb: str) -> None:
    """Another account, the right one with a token for another address, and a caller without a token are refused."""
    address, caller = DEPLOYMENT.url(verb), DEPLOYMENT.account("submit" if verb == "submit" else "scheduler")
    project.enforcement.expected.add(("guest@example.com", "run.routes.invoke"))
    assert project.platform.post(address, "guest@example.com", address) == 403
    assert project.platform.post(address, caller, "https://elsewhere.example.com") == 401
    via = {"https": project.cloud.proxy}
    authority = project.cloud.environ(OWNER)["REQUESTS_CA_BUNDLE"]
    assert requests.post(address, proxies=via, verify=authority, timeout=30).status_code == 401


def test_the_archive_holds_the_functions_and_nothing_else(project: Whole, build: Build) -> None:
    """No test, no command of ours, no key: what runs is what main.py can reach."""
    archive = next(content for name, content in project.cloud.uploads.items() if name.endswith(".zip"))
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        names = {name for name in packed.namelist() if not name.endswith("/")}
    code = [path for part in ("functions", "shared") for path in (ROOT / part).rglob("*")]
    own = {str(path.relative_to(ROOT)) for path in code if path.suffix in (".py", ".sh")}
    assert names == own | {"main.py", "requirements.txt", "constraints.txt", "launch-config.yaml"}


def test_each_function_served_from_its_archive(project: Whole, build: Build) -> None:
    """The smoke test saw all three answer; no second start was needed."""
    assert "status closed it, as expected: docker.docker_image: is missing" in build.outputs["smoke"]
    first = [f"launch-{verb}-00001" for verb in FUNCTIONS]
    assert sorted(name.rpartition("-")[0] for name in project.platform.containers.revisions) == sorted(first)


def test_a_launch_goes_all_the_way(project: Whole, build: Build) -> None:
    """From W&B's queue to a job that runs as the queue's account, and back to W&B."""
    item, job = project.launch("one")
    assert job.message.job_spec.service_account == TRAINER
    project.vertex.force(job.name, "JOB_STATE_FAILED", "out of memory")
    project.until(lambda: item.state == "FAILED", "the item has failed")
    assert "out of memory" in str(item.error)


def test_a_lost_answer_makes_no_second_job(project: Whole, build: Build) -> None:
    """Vertex AI made the job, its answer was lost: submit looks for it by its labels."""
    project.cloud.lose("POST", "/customJobs$")
    item, job = project.launch("lost")
    submit = DEPLOYMENT.account("submit")
    project.until(
        lambda: any(call.identity == submit for call in project.cloud.calls_to("aiplatform", "GET")),
        "submit looks for the job",
    )
    project.vertex.force(job.name, "JOB_STATE_FAILED", "gone")
    project.until(lambda: item.state == "FAILED", "the item has failed")
    assert [j.display_name for j in project.vertex.jobs()].count("lost") == 1


def test_stop_in_wandb_cancels_the_job(project: Whole, build: Build) -> None:
    """Status cancels it: no other function may."""
    _, job = project.launch("stopped")
    project.vertex.force(job.name, "JOB_STATE_RUNNING")
    variables = {v.name: v.value for v in job.message.job_spec.worker_pool_specs[0].container_spec.env}
    run, _ = project.wandb.upsert_run(ENTITY, "cats", variables["WANDB_RUN_ID"], {})
    project.wandb.runs.stop(run.id)
    project.until(lambda: job.state == "JOB_STATE_CANCELLED", "it is cancelled")


def test_a_job_that_somebody_deleted_is_reported(project: Whole, build: Build) -> None:
    """It is in no list any more; status asks for it by name before it says so."""
    item, job = project.launch("deleted")
    project.until(lambda: True, "status has seen the job")
    project.vertex.forget(job.name)
    project.until(lambda: item.state == "FAILED", "the item has failed")
    assert "deleted" in str(item.error)


def test_a_foreign_account_is_refused_to_the_launchs_author(project: Whole, build: Build) -> None:
    """Vertex AI is not asked for a job as an account that policy.service_accounts does not name; W&B shows the rule."""
    stranger = "boss@p1.iam.gserviceaccount.com"
    args = {"gcp-vertex": put(QUEUE, ("run", "service_account"), stranger)}
    spec = {
        "entity": ENTITY,
        "project": "cats",
        "name": "boss",
        "docker": {"docker_image": "us-docker.pkg.dev/p/i/t:1"},
    }
    item = project.wandb.push(ENTITY, "vertex", {**spec, "resource_args": args})
    assert project.call("poll") == 200
    project.until(lambda: item.state == "FAILED", "the item has failed")
    assert stranger in str(item.error)
    assert "the rule policy.service_accounts does not allow" in str(item.error)
    assert "boss" not in [job.display_name for job in project.vertex.jobs()]


def test_a_message_that_submit_cannot_take_becomes_a_dead_letter(project: Whole, build: Build) -> None:
    """Moved there by Pub/Sub's own agent, after as many deliveries as provision has set."""
    PubSub(project.cloud.state).publish(TOPIC, {"data": "Z2FyYmFnZQ=="})
    kept = f"projects/p1/subscriptions/{DEAD}"
    [dead] = eventually(lambda: project.cloud.state.messages.get(kept), "the message is a dead letter")
    assert dead["data"] == "Z2FyYmFnZQ=="
    [subscription] = PubSub(project.cloud.state).subscriptions(TOPIC)
    assert project.cloud.state.messages[subscription["name"]] == []


def test_a_cancelled_build_leaves_its_revisions_in_service(project: Whole, build: Build) -> None:
    """Cloud Build runs no further step; doctor names the revisions, and the next build replaces them."""
    steps = {step["id"] for step in build.asked["steps"]}
    left = project.build(steps - {"hold", *(f"deploy-{verb}" for verb in FUNCTIONS), "route"}, cancelled_after="route")
    assert left.failed == [], left.outputs
    for verb in FUNCTIONS:
        assert serving(project, verb).startswith(f"launch-{verb}-00002")
    done = project.run("vertex-launch doctor --project=p1 --region=us-central1 --only=running")
    assert "launch-status-00002" in done.stdout
    assert f"{left.asked['name']} is CANCELLED: the smoke test has not passed" in done.stdout
    assert (
        "update-traffic launch-status --region=us-central1 --project=p1 --to-revisions=launch-status-0" in done.stdout
    )


def test_a_failed_smoke_test_brings_the_previous_revisions_back(project: Whole, build: Build) -> None:
    """Those of the last good build, not those of the cancelled one. What was provisioned once stays as it is."""
    fault = project.cloud.fail("POST", "/jobs/launch-poll:run$", status=403)
    project.enforcement.later = timedelta(days=3)  # its permissions to set policies have ended
    bad = project.build()
    assert fault.times == 0
    assert bad.failed == ["smoke", "roll-back-unless-good"]
    for verb in FUNCTIONS:
        assert serving(project, verb).startswith(f"launch-{verb}-00001")
        assert f"launch-{verb}-00002-" in bad.outputs["hold"]
        function = project.resource("cloudfunctions", f"functions/launch-{verb}")
        assert function["serviceConfig"]["revision"].startswith(f"launch-{verb}-00003")
        assert f"launch-{verb}: {serving(project, verb)} serves again." in bad.outputs["roll-back-unless-good"]
    assert "Nothing to change." in bad.outputs["provision"]
    assert "Nothing to change." in bad.outputs["provision-trigger"]
    assert project.call("poll") == 200  # by the revision from before


def test_a_failed_deploy_step_changes_nothing_that_serves(project: Whole, build: Build) -> None:
    """Not even the functions that were deployed before it."""
    before = {verb: serving(project, verb) for verb in FUNCTIONS}
    fault = project.cloud.fail("PATCH", "/functions/launch-submit$", status=400)
    steps = {step["id"] for step in build.asked["steps"]}
    bad = project.build(steps - {"hold", *(f"deploy-{verb}" for verb in FUNCTIONS)})
    assert fault.times == 0
    assert bad.failed == ["deploy-submit"], bad.outputs
    assert {verb: serving(project, verb) for verb in FUNCTIONS} == before


def test_the_next_build_takes_the_traffic_again(project: Whole, build: Build) -> None:
    """Traffic that a roll-back has pinned goes to what is deployed next."""
    steps = {step["id"] for step in build.asked["steps"]}
    good = project.build(steps - {"hold", *(f"deploy-{verb}" for verb in FUNCTIONS), "route"})
    assert good.failed == [], good.outputs
    for verb in FUNCTIONS:
        revision = project.resource("cloudfunctions", f"functions/launch-{verb}")["serviceConfig"]["revision"]
        assert serving(project, verb) == revision


def test_changes_by_hand_are_undone(project: Whole, build: Build) -> None:
    """The next provision undoes them, with the permissions of the build; --plan shows them first, and does nothing."""
    topic = project.cloud.resources[f"pubsub.googleapis.com/{TOPIC}"]
    dead = project.cloud.resources[f"pubsub.googleapis.com/projects/p1/topics/{DEAD}"]
    kept = project.cloud.resources[f"pubsub.googleapis.com/projects/p1/subscriptions/{DEAD}"]
    [trigger] = PubSub(project.cloud.state).subscriptions(TOPIC)
    dead["labels"], kept["ackDeadlineSeconds"], trigger["ackDeadlineSeconds"] = {}, 10, 10
    pubsub = "pubsub.googleapis.com/projects/p1"
    for name in ("events", "wake-up"):
        project.cloud.resources[f"{pubsub}/topics/launch-{name}"]["labels"] = {}
    project.cloud.resources[f"{pubsub}/subscriptions/launch-wake-up"]["ackDeadlineSeconds"] = 17
    job, ledger = project.resource("cloudscheduler", "jobs/launch-poll"), project.cloud.resources[LEDGER]
    right = deepcopy((topic["labels"], job["schedule"], ledger["lifecycle"]))
    topic["labels"], job["schedule"], ledger["lifecycle"] = {}, "0 0 1 1 *", {}
    change_monitoring(project)
    command = "vertex-launch provision --complete --project=p1 --region=us-central1 --notification-channels=1"
    account = DEPLOYMENT.account("build")
    planned = project.run(f"{command} --plan", account)
    assert (planned.returncode, planned.stderr) == (0, "")
    for difference in ("gets the label vertex-launch", "schedule: 0 0 1 1 * → * * * * *", "22 to change."):
        assert difference in planned.stdout
    assert job["schedule"] == "0 0 1 1 *"
    assert "22 changed." in project.run(command, account).stdout
    job = project.resource("cloudscheduler", "jobs/launch-poll")
    topic, ledger = project.cloud.resources[f"pubsub.googleapis.com/{TOPIC}"], project.cloud.resources[LEDGER]
    assert (topic["labels"], job["schedule"], ledger["lifecycle"]) == right


def change_monitoring(project: Whole) -> None:
    """Change one resource of each kind, add one of a former version, and make a channel for all eight alerts."""
    resources = project.cloud.resources
    resources["monitoring.googleapis.com/projects/p1/notificationChannels/1"] = {"name": "1"}
    for kind in (
        "logging.googleapis.com/projects/p1/metrics",
        *(f"{MONITORING}/{k}" for k in ("alertPolicies", "dashboards")),
    ):
        full, there = next((full, each) for full, each in resources.items() if full.startswith(f"{kind}/"))
        former = {**deepcopy(there), "name": f"{kind.partition('/')[2]}/former"}
        resources[f"{kind}/former"] = former | ({"name": "former"} if kind.endswith("/metrics") else {})
        resources[full]["displayName" if "displayName" in there else "filter"] = 'severity="ERROR"'


def serving(project: Whole, verb: str) -> str:
    """Return the revision that has all the traffic."""
    [target] = project.resource("run", f"services/launch-{verb}")["status"]["traffic"]
    assert target["percent"] == 100
    return str(target["revisionName"])


DOCUMENTED = "aiplatform.customJobs.get"  # W&B's documentation asks for it; what submit calls today does without


def test_the_table_lists_what_was_needed_and_nothing_more(project: Whole, build: Build) -> None:
    """Every permission of every row was used by the tests above, and nothing was refused that should not have been."""
    [trigger] = PubSub(project.cloud.state).subscriptions(TOPIC)
    listed = {
        (b.member.partition(":")[2], b.role, (b.resource or trigger["name"]).rpartition("/")[2], permission)
        for b in bindings(DEPLOYED)
        for permission in b.permissions
        if b.member.partition(":")[2] != TRAINER  # what a job writes is no call of ours
    }
    used = {(who, role, place.rpartition("/")[2], what) for who, role, place, what in project.enforcement.used}
    listed -= {row for row in listed if row[0] == DEPLOYMENT.account("submit") and row[3] == DOCUMENTED}
    # status wakes poll in the adaptive cadence only, and these functions have `never`
    listed -= {row for row in listed if row[0] == DEPLOYMENT.account("status") and row[2] == "launch-wake-up"}
    assert not listed - used, f"nobody needed {sorted(listed - used)}"
    assert not used - listed, f"the table does not list {sorted(used - listed)}"
    assert [
        (who, what) for who, what, _ in project.enforcement.denied if (who, what) not in project.enforcement.expected
    ] == []


LOOK, ENCRYPTION, DESTROY = "5. Check the deployment", "Encrypt with your own key", "Remove a deployment"
DONE = (
    "What you need",
    "1. Name the queues, and the account of the jobs",
    PREPARE,
    BUILD,
    LOOK,
    DESTROY,
    ENCRYPTION,
    "Monitor a deployment",  # it runs doctor, which LOOK has run; so do the pages of the alerts
    *(name for name in sections() if name.startswith("Alert: ")),
)


@pytest.mark.parametrize("section", [name for name in sections() if blocks(name) and name not in DONE])
def test_the_guide_can_be_followed(project: Whole, build: Build, section: str) -> None:
    """Every command of its other sections, in a project in which the sections before have been followed."""
    (project.source / "research.yaml").write_bytes((project.source / "launch-config.yaml").read_bytes())
    project.follow(section)


def test_a_key_that_was_revoked_is_replaced_without_a_build(project: Whole, build: Build) -> None:
    """Poll is refused, the guide's command is run, and the same processes go on with the new key."""
    project.launch("before")  # by the revisions that a build before has left
    project.until(lambda: True, "status has answered")
    new, started = "9876543210" * 4, list(project.platform.containers.revisions)
    project.wandb.api_keys = frozenset({new})
    assert project.call("poll") == 503
    [rotate] = blocks("Replace the API key")
    done = project.run(f"WANDB_API_KEY={new}\n{rotate}")
    assert (done.returncode, new in done.stdout + done.stderr) == (0, False)
    _, job = project.launch("rotated")
    variables = {one.name: one.value for one in job.message.job_spec.worker_pool_specs[0].container_spec.env}
    assert variables["WANDB_API_KEY"] == new
    project.vertex.force(job.name, "JOB_STATE_SUCCEEDED")
    project.until(lambda: True, "status is accepted, too")
    assert project.platform.containers.revisions == started
    project.wandb.api_keys = frozenset({KEY, new})


def test_a_function_takes_the_connector_the_key_and_the_authority(project: Whole, build: Build) -> None:
    """Of a deployment with another name, which the guide has bootstrapped; the authority's file goes along."""
    key, connector = f"{LOCATION}/keyRings/launch/cryptoKeys/launch", f"{LOCATION}/connectors/wandb"
    (project.source / "wandb-ca.pem").write_text("an authority", encoding="utf-8")
    settings = (
        f"PROJECT_ID=p1 COMMIT_SHA=abc _REGION=us-central1 _NAME=research _KMS_KEY={key} _VPC_CONNECTOR={connector}"
    )
    done = project.run(
        f"{settings} _SETTINGS=WANDB_CA_FILE=wandb-ca.pem deploy/cloud/function.sh status scheduler --trigger-http"
    )
    assert done.returncode == 0, done.stderr
    function = project.resource("cloudfunctions", "functions/research-status")
    assert function["kmsKeyName"] == key
    config = function["serviceConfig"]
    assert config["vpcConnector"] == connector
    assert config["vpcConnectorEgressSettings"] == "PRIVATE_RANGES_ONLY"
    assert config["environmentVariables"]["WANDB_CA_FILE"] == "wandb-ca.pem"
    assert config["serviceAccountEmail"] == "research-status@p1.iam.gserviceaccount.com"
    source = function["buildConfig"]["source"]["storageSource"]["object"]
    with zipfile.ZipFile(io.BytesIO(project.cloud.uploads[source])) as packed:
        assert packed.read("wandb-ca.pem") == b"an authority"


def test_doctor_is_content(project: Whole, build: Build) -> None:
    """Doctor finds no fault in the deployment that the guide has set up."""
    assert project.call("poll") == 200  # so that its agent has just been seen, however slow this machine is
    for verb in ("poll", "status"):
        project.cloud.resources[f"cloudscheduler.googleapis.com/{LOCATION}/jobs/launch-{verb}"]["lastAttemptTime"] = (
            now()
        )
    output = project.follow(LOOK)
    assert not [line for line in output.splitlines() if line.startswith(("✗", "?"))]


def test_ci_submits_builds_and_nothing_else(project: Whole, build: Build) -> None:
    """The account of the guide's pipeline: what step 3 needs of Google the guide gives it; it sees both logs."""
    pipeline = "launch-ci@p1.iam.gserviceaccount.com"
    used = set(project.enforcement.used)
    assert project.follow(BUILD, pipeline).count("REMOTE BUILD OUTPUT") == 2
    counted = project.cloud.policy_members(
        "cloudresourcemanager.googleapis.com/projects/p1", "roles/serviceusage.serviceUsageConsumer"
    )
    assert counted == [f"serviceAccount:{pipeline}"]  # this cloud counts nobody's calls
    roles = {role for who, role, _, _ in project.enforcement.used if who == pipeline}
    assert roles == {
        "projects/p1/roles/launch_ci",
        "projects/p1/roles/launch_ci_source",
        "roles/iam.serviceAccountUser",
    }
    project.enforcement.used = used


def test_destroy_takes_away_what_was_made_and_nothing_else(project: Whole, build: Build) -> None:
    """After asking; the ledger stays until it is asked for too, and what is not ours stays always."""
    cloud, foreign = (
        project.cloud,
        {"name": "projects/p1/topics/launch-b-requests", "labels": {"vertex-launch": "launch-b"}},
    )
    cloud.resources["pubsub.googleapis.com/projects/p1/topics/launch-b-requests"] = foreign
    cloud.resources[f"pubsub.googleapis.com/projects/p1/topics/{DEAD}"]["labels"] = {}  # somebody has taken it over
    [block] = blocks(DESTROY)
    destroy, all_of_it = block.splitlines()
    before = set(cloud.resources)
    refused = project.run(f"{destroy} <<< n")
    assert (refused.returncode, set(cloud.resources)) == (1, before)
    assert "Delete all of this from p1?" in refused.stdout
    done = project.run(f"{destroy} <<< y")
    assert done.returncode == 0, done.stderr
    gone = before - set(cloud.resources)
    kinds = {full.split("/")[-2] for full in gone}
    shown = {"metrics", "alertPolicies", "dashboards"}
    assert kinds == {"functions", "services", "revisions", "jobs", "topics", "subscriptions", "triggers", *shown}
    assert all("/launch-b-" not in full for full in gone)
    assert f"pubsub.googleapis.com/projects/p1/topics/{DEAD}" in cloud.resources
    done = project.run(f"{all_of_it} --yes")
    assert done.returncode == 0, done.stderr
    left = {full for full in cloud.resources if "launch" in full and not cloud.resources[full].get("deleted")}
    assert {full.split("/")[-2] + "/" + full.split("/")[-1] for full in left if "/builds/" not in full} == {
        f"topics/{DEAD}",
        "topics/launch-b-requests",
        "buckets/p1-launch-staging",
        "serviceAccounts/launch-ci@p1.iam.gserviceaccount.com",  # this one the guide makes by hand
        "roles/launch_ci",  # and these
        "roles/launch_ci_source",
    }
    assert "Nothing of launch is left" in project.run(f"{all_of_it} --yes").stdout


@pytest.mark.long
def test_a_destroyed_deployment_can_be_bootstrapped_again(project: Whole, build: Build) -> None:
    """Within the week, too, in which Google keeps deleted roles; and this time with a key of one's own."""
    [block] = blocks(DESTROY)
    done = project.run(f"{block.splitlines()[1]} --yes")  # again, unless this test runs alone
    assert done.returncode == 0, done.stderr
    key = f"{LOCATION}/keyRings/launch/cryptoKeys/launch"
    project.cloud.resources[f"cloudkms.googleapis.com/{key}"] = {"name": key}
    before = len(project.cloud.calls)
    project.follow(ENCRYPTION)
    called = [f"{call.method} {call.path}" for call in project.cloud.calls[before:]]
    assert max(n for n, call in enumerate(called) if call.endswith("cryptoKeys/launch:setIamPolicy")) < called.index(
        "POST /storage/v1/b"
    )
    for name in custom_roles(DEPLOYED):
        assert not project.cloud.resources[f"iam.googleapis.com/projects/p1/roles/launch_{name}"].get("deleted")
    assert project.cloud.resources[LEDGER]["encryption"] == {"defaultKmsKeyName": key}
    [replica] = project.cloud.resources["secretmanager.googleapis.com/projects/p1/secrets/launch-wandb-api-key"][
        "replication"
    ]["userManaged"]["replicas"]
    assert replica == {"location": "us-central1", "customerManagedEncryption": {"kmsKeyName": key}}
    agents = project.cloud.policy_members(
        f"cloudkms.googleapis.com/{key}", "roles/cloudkms.cryptoKeyEncrypterDecrypter"
    )
    assert f"serviceAccount:{DEPLOYMENT.agent('gcp-sa-aiplatform')}" in agents
