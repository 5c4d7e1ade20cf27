"""Each deployment step the second time: the same again, with a changed setting, and without a setting.

Google's own clients and gcloud work in the loopback cloud. What only computes gcloud commands is compared in memory.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click import ClickException
from google.cloud import storage

from deploy.cloud.bootstrap_bindings import bindings_by_resource
from deploy.cloud.bootstrap_services import service_agents
from deploy.cloud.bootstrap_steps import resources
from deploy.cloud.deployment import Deployment
from deploy.cloud.gcloud import Step
from deploy.cloud.iam import Binding, bindings, custom_roles
from deploy.cloud.lifecycle import CONTEXTS, SOURCES, rule_of
from deploy.cloud.smoke import _publish
from shared.config.building import Builder
from shared.config.launch_config import AdmissionPolicy, LaunchConfig
from tests.cloud.warm import warm_gcloud
from tests.cloud.world import Cloud
from tests.deployment.test_provision import BUILD, DEPLOYMENT, deploy_submit, provision

ROOT = Path(__file__).parent.parent.parent
KEY = "projects/p1/locations/us-central1/keyRings/k/cryptoKeys/c"
OTHER_KEY = f"{KEY}2"
CONNECTOR = "projects/p1/locations/us-central1/connectors/wandb"
JOB = f"cloudscheduler.googleapis.com/{DEPLOYMENT.parent}/jobs/launch-poll"
TOPICS = [f"pubsub.googleapis.com/projects/p1/topics/launch-{name}" for name in ("requests", "dead-letters", "events")]
TOPIC, DEAD, _ = TOPICS
KEPT = "pubsub.googleapis.com/projects/p1/subscriptions/launch-dead-letters"
TRIGGER = "pubsub.googleapis.com/projects/p1/subscriptions/eventarc-"
LEDGER = "storage.googleapis.com/projects/_/buckets/p1-launch-ledger"
Change = Callable[[dict[str, Any]], object]

# --- provision


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, dict[str, Any], dict[str, Any]]]:
    """Give a provisioned deployment, with its resources and policies as they were then."""
    with Cloud(tmp_path_factory.mktemp("second")) as cloud, pytest.MonkeyPatch.context() as patched:
        for emulator in ("STORAGE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"):
            patched.delenv(emulator, raising=False)
        for name, value in cloud.environ(BUILD).items():
            patched.setenv(name, value)
        storage.Client(project="p1").create_bucket("p1-launch-ledger", location="us-central1")
        assert provision().exit_code == 0
        deploy_submit(cloud)
        assert provision("--complete").exit_code == 0
        yield cloud, deepcopy(cloud.resources), deepcopy(cloud.policies)


@pytest.fixture
def cloud(provisioned: tuple[Cloud, dict[str, Any], dict[str, Any]]) -> Cloud:
    """Give the deployment as it was provisioned."""
    made, saved, policies = provisioned
    for there, kept in ((made.resources, saved), (made.policies, policies)):
        there.clear()
        there.update(deepcopy(kept))
    return made


def there(cloud: Cloud, name: str) -> dict[str, Any]:
    """Return the resource of this name, or of this beginning; without what changes with each write."""
    full = next(full for full in cloud.resources if full.startswith(name))
    return cloud.resources[full]


def settled(resource: dict[str, Any]) -> dict[str, Any]:
    """Return a copy without what each write changes, without empty values and Cloud Scheduler's defaults of retries."""
    written = ("updateTime", "updated", "metageneration", "etag", "retryConfig", "userUpdateTime", "scheduleTime")
    return deepcopy({key: value for key, value in resource.items() if value and key not in written})


def token(**changes: Any) -> Change:
    """Change the token of a Scheduler job."""
    return lambda job: job["httpTarget"]["oidcToken"].update(changes)


BY_HAND: dict[str, tuple[str, Change, str]] = {
    "the schedule's time": (JOB, lambda job: job.update(schedule="0 * * * *"), "schedule: "),
    "the schedule's time zone": (JOB, lambda job: job.update(timeZone="Europe/Berlin"), "time_zone: "),
    "the schedule's deadline": (JOB, lambda job: job.update(attemptDeadline="30s"), "attempt_deadline: "),
    "the schedule's description": (JOB, lambda job: job.update(description="mine"), "description: "),
    "the schedule's address": (JOB, lambda job: job["httpTarget"].update(uri="https://x.run.app"), "http_target: "),
    "the schedule's method": (JOB, lambda job: job["httpTarget"].update(httpMethod="GET"), "http_target: "),
    "the schedule's body": (JOB, lambda job: job["httpTarget"].update(body="e30="), "http_target: "),
    "the schedule's account": (JOB, token(serviceAccountEmail="x@p1.iam.gserviceaccount.com"), "http_target: "),
    "the schedule's audience": (JOB, token(audience="https://x.run.app"), "http_target: "),
    "the schedule without a token": (JOB, lambda job: job["httpTarget"].pop("oidcToken"), "http_target: "),
    "the schedule's retries": (JOB, lambda job: job["retryConfig"].update(retryCount=5), "retry_config: "),
    "the schedule is deleted": (JOB, lambda job: job.clear(), "is created"),
    "the trigger's deadline": (TRIGGER, lambda sub: sub.update(ackDeadlineSeconds=10), "ack_deadline_seconds: 10"),
    "the trigger's retention": (TRIGGER, lambda sub: sub.update(messageRetentionDuration="600s"), "message_retention"),
    "the trigger's backoff": (TRIGGER, lambda sub: sub["retryPolicy"].update(minimumBackoff="1s"), "retry_policy: "),
    "the trigger without a backoff": (TRIGGER, lambda sub: sub.pop("retryPolicy"), "retry_policy: none"),
    "the trigger's attempts": (
        TRIGGER,
        lambda sub: sub["deadLetterPolicy"].update(maxDeliveryAttempts=5),
        "dead_letter_policy: ",
    ),
    "the trigger without dead letters": (TRIGGER, lambda sub: sub.pop("deadLetterPolicy"), "dead_letter_policy: none"),
    "the trigger ends": (TRIGGER, lambda sub: sub.update(expirationPolicy={"ttl": "86400s"}), "expiration_policy: "),
    "the letters' deadline": (KEPT, lambda sub: sub.update(ackDeadlineSeconds=10), "ack_deadline_seconds: 10"),
    "the letters' retention": (KEPT, lambda sub: sub.update(messageRetentionDuration="600s"), "message_retention"),
    "the letters end": (KEPT, lambda sub: sub.update(expirationPolicy={"ttl": "86400s"}), "expiration_policy: "),
    "the letters' label": (KEPT, lambda sub: sub.update(labels={}), "labels: "),
    "the letters are pushed away": (
        KEPT,
        lambda sub: sub.update(pushConfig={"pushEndpoint": "https://x.example.com"}),
        "push_config: ",
    ),
    "the topic's label": (TOPIC, lambda topic: topic.update(labels={}), "gets the label"),
    "the topic's key": (TOPIC, lambda topic: topic.update(kmsKeyName=KEY), f"encryption key: {KEY} → Google"),
    "the dead letters' label": (DEAD, lambda topic: topic.update(labels={}), "gets the label"),
    "the ledger's rule": (LEDGER, lambda bucket: bucket.pop("lifecycle"), "closed/ is deleted after 30 days"),
    "the ledger's days": (
        LEDGER,
        lambda bucket: bucket["lifecycle"]["rule"][0]["condition"].update(age=1),
        "closed/ is deleted after 30 days",
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_provision_undoes_a_difference(cloud: Cloud, case: str) -> None:
    """It names the difference, makes one change, and finds nothing the next time."""
    name, change, says = BY_HAND[case]
    before = settled(there(cloud, name))
    change(there(cloud, name))
    if there(cloud, name) == {}:
        del cloud.resources[name]
    changed = provision("--complete")
    assert changed.exit_code == 0, changed.output
    assert says in changed.output
    assert changed.output.endswith("1 changed.\n")
    assert settled(there(cloud, name)) == before
    assert not there(cloud, JOB)["retryConfig"].get("retryCount")
    assert provision("--complete").output == "Nothing to change.\n"


def test_provision_gives_missing_access_again(cloud: Cloud) -> None:
    """Each binding of the table on topics and subscriptions."""
    saved = deepcopy(cloud.policies)
    for resource in [full for full in cloud.policies if full.startswith("pubsub.")]:
        cloud.policies[resource] = {"version": 1, "bindings": []}
    assert " gets " in provision("--complete").output
    for resource, policy in saved.items():
        for role in {binding["role"] for binding in policy["bindings"]}:
            members = {member for each in policy["bindings"] if each["role"] == role for member in each["members"]}
            assert set(cloud.policy_members(resource, role)) == members
    assert provision("--complete").output == "Nothing to change.\n"


def test_provision_follows_the_key(cloud: Cloud) -> None:
    """Set, changed, removed: the topics follow."""
    for key in (KEY, OTHER_KEY, ""):
        assert provision("--complete", f"--kms-key={key}").output.count("encryption key: ") == 4
        assert [cloud.resources[topic].get("kmsKeyName") or "" for topic in TOPICS] == [key] * 3
        assert provision("--complete", f"--kms-key={key}").output == "Nothing to change.\n"


def test_a_second_smoke_test_of_one_build_is_another_launch(cloud: Cloud) -> None:
    """Otherwise it would find the record of the first one, and pass without submit."""
    assert _publish(DEPLOYMENT, "by-hand-1") != _publish(DEPLOYMENT, "by-hand-1")
    assert len(cloud.state.messages[there(cloud, TRIGGER)["name"]]) >= 2


# --- bootstrap: what it would do for a resource that is there

TRAINER = "trainer@p1.iam.gserviceaccount.com"
CODE = "us-central1-docker.pkg.dev/p1/launch-jobs/code"
PLAIN = replace(DEPLOYMENT, config=LaunchConfig(policy=AdmissionPolicy(service_accounts=(TRAINER,))))
BUILDING = replace(
    DEPLOYMENT,
    config=PLAIN.config.model_copy(update={"builder": Builder(type="cloud-build", destination=CODE)}),
)
ENCRYPTED = replace(PLAIN, kms_key=KEY)
CLOSED = {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "enforced"}
BUCKET = {"projectNumber": DEPLOYMENT.number, "iamConfiguration": CLOSED}
HAS_KEY = {"encryption": {"defaultKmsKeyName": KEY}}
FOR_A_WEEK = {"softDeletePolicy": {"retentionDurationSeconds": "604800"}}
UPDATE = "storage buckets update gs://p1-launch"


def secret(key: str) -> dict[str, Any]:
    """Return the secret's description with a KMS key."""
    encryption = {"customerManagedEncryption": {"kmsKeyName": key}} if key else {}
    return {"replication": {"userManaged": {"replicas": [{"location": "us-central1", **encryption}]}}}


EXISTING: dict[str, tuple[Deployment, str, dict[str, Any], list[str]]] = {
    "the same bucket": (PLAIN, "bucket gs://p1-launch-ledger", BUCKET | FOR_A_WEEK, []),
    "the same bucket with a key": (ENCRYPTED, "bucket gs://p1-launch-ledger", BUCKET | HAS_KEY | FOR_A_WEEK, []),
    "a bucket's key is set": (
        ENCRYPTED,
        "bucket gs://p1-launch-staging",
        BUCKET,
        [f"{UPDATE}-staging --default-encryption-key={KEY}"],
    ),
    "a bucket's key changes": (
        replace(PLAIN, kms_key=OTHER_KEY),
        "bucket gs://p1-launch-ledger",
        BUCKET | HAS_KEY | FOR_A_WEEK,
        [f"{UPDATE}-ledger --default-encryption-key={OTHER_KEY}"],
    ),
    "a bucket's key is removed": (
        PLAIN,
        "bucket gs://p1-launch-sources",
        BUCKET | HAS_KEY | {"lifecycle": {"rule": [rule_of(SOURCES)]}},
        [f"{UPDATE}-sources --clear-default-encryption-key"],
    ),
    "a bucket was opened": (
        PLAIN,
        "bucket gs://p1-launch-ledger",
        BUCKET | FOR_A_WEEK | {"iamConfiguration": {}},
        [f"{UPDATE}-ledger --uniform-bucket-level-access --public-access-prevention"],
    ),
    "a bucket would keep deleted objects for a week": (
        PLAIN,
        "bucket gs://p1-launch-staging",
        BUCKET | FOR_A_WEEK,
        [f"{UPDATE}-staging --soft-delete-duration=0s"],
    ),
    "the ledger would keep no deleted record": (
        PLAIN,
        "bucket gs://p1-launch-ledger",
        BUCKET | {"softDeletePolicy": {"retentionDurationSeconds": "0"}},
        [f"{UPDATE}-ledger --soft-delete-duration=604800s"],
    ),
    "the contexts' rule is there": (
        BUILDING,
        "bucket gs://p1-launch-contexts",
        BUCKET | {"lifecycle": {"rule": [rule_of(CONTEXTS)]}},
        [],
    ),
    "the contexts' rule changes": (
        BUILDING,
        "bucket gs://p1-launch-contexts",
        BUCKET | {"lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 9}}]}},
        [f"{UPDATE}-contexts --lifecycle-file=deploy/cloud/contexts-lifecycle.json"],
    ),
    "the same secret": (ENCRYPTED, "secret launch-wandb-api-key", secret(KEY), []),
    "the secret's key changes": (
        ENCRYPTED,
        "secret launch-wandb-api-key",
        secret(OTHER_KEY),
        [f"secrets replication update launch-wandb-api-key --project=p1 --set-kms-key={KEY} --location=us-central1"],
    ),
    "the secret's key is removed": (
        PLAIN,
        "secret launch-wandb-api-key",
        secret(KEY),
        ["secrets replication update launch-wandb-api-key --project=p1 --remove-cmek"],
    ),
    "a role lost a permission": (
        PLAIN,
        "custom role launch_topics",
        {"includedPermissions": []},
        [
            "iam roles update launch_topics --project=p1 --title=launch: changes the settings of a topic "
            "--permissions=pubsub.topics.update --stage=GA"
        ],
    ),
    "a role has a permission of an earlier version": (
        PLAIN,
        "custom role launch_topics",
        {"includedPermissions": ["pubsub.topics.update", "pubsub.topics.delete"]},
        [
            "iam roles update launch_topics --project=p1 --title=launch: changes the settings of a topic "
            "--permissions=pubsub.topics.update --stage=GA"
        ],
    ),
    "a role was deleted": (
        PLAIN,
        "custom role launch_topics",
        {"includedPermissions": ["pubsub.topics.update"], "deleted": True},
        ["iam roles undelete launch_topics --project=p1"],
    ),
}


@pytest.mark.parametrize("case", EXISTING)
def test_bootstrap_updates_what_differs(case: str) -> None:
    """Nothing for the same again."""
    deployment, name, found, expected = EXISTING[case]
    [step] = [step for step in resources(deployment) if step.name == name]
    assert [" ".join(command) for command in step.updates(found)] == expected


def policy(deployment: Deployment, kind: str) -> dict[str, Any]:
    """Return the policy that bootstrap gives the resource of a kind."""
    return {"bindings": [bound(each) for each in bindings(deployment) if each.kind in kind.split()]}


def bound(binding: Binding) -> dict[str, Any]:
    """Return one binding as a policy has it."""
    condition = {"condition": {"expression": binding.condition}} if binding.condition else {}
    return {"role": binding.role, "members": [binding.member], **condition}


def access(deployment: Deployment, resource: str, *, prune: bool = True) -> Step:
    """Return the step of a resource's policy."""
    steps = [step for [step] in bindings_by_resource(deployment, prune=prune).values()]
    return next(step for step in steps if step.name == f"access to {resource}")


def given(role: str, account: str) -> dict[str, Any]:
    """Return a binding that is not in the table."""
    return {"role": role, "members": [f"serviceAccount:{account}"]}


SUBMIT = DEPLOYMENT.account("submit")
ACCESS: dict[str, tuple[Deployment, str, str, list[dict[str, Any]], list[str]]] = {
    "the same again": (PLAIN, "project sources", "p1", [], []),
    "a role on the project is not needed any more": (
        PLAIN,
        "project sources",
        "p1",
        [given("roles/storage.objectViewer", SUBMIT)],
        [
            f"projects remove-iam-policy-binding p1 --member=serviceAccount:{SUBMIT} "
            "--role=roles/storage.objectViewer --all"
        ],
    ),
    "a role on the secret is not needed any more": (
        PLAIN,
        "secret",
        "launch-wandb-api-key",
        [given("roles/secretmanager.secretAccessor", DEPLOYMENT.account("build"))],
        [
            "secrets remove-iam-policy-binding launch-wandb-api-key --project=p1 "
            f"--member=serviceAccount:{DEPLOYMENT.account('build')} --role=roles/secretmanager.secretAccessor"
        ],
    ),
    "a role on a bucket is not needed any more": (
        PLAIN,
        "staging",
        "gs://p1-launch-staging",
        [given("roles/storage.objectUser", SUBMIT)],
        [
            f"storage buckets remove-iam-policy-binding gs://p1-launch-staging --member=serviceAccount:{SUBMIT} "
            "--role=roles/storage.objectUser --all"
        ],
    ),
    "a role that we never gave stays": (PLAIN, "project sources", "p1", [given("roles/viewer", SUBMIT)], []),
    "a stranger's role stays": (PLAIN, "project sources", "p1", [given("roles/storage.objectViewer", "x@y.z")], []),
    "another deployment's role stays": (
        PLAIN,
        "project sources",
        "p1",
        [given("projects/p1/roles/research_submit", "research-submit@p1.iam.gserviceaccount.com")],
        [],
    ),
}


@pytest.mark.parametrize("case", ACCESS)
def test_bootstrap_removes_access_that_is_not_needed(case: str) -> None:
    """Only to prune, only roles that the table knows, and only from the deployment's own accounts."""
    deployment, kinds, resource, more, expected = ACCESS[case]
    there = policy(deployment, kinds)
    there["bindings"] += more
    assert [" ".join(command) for command in access(deployment, resource).updates(there)] == expected
    assert list(access(deployment, resource, prune=False).updates(there)) == []


def test_bootstrap_removes_the_access_of_a_builder_that_is_gone() -> None:
    """The roles on the project; and gives them again with the builder."""
    with_builder, without = policy(BUILDING, "project sources"), policy(PLAIN, "project sources")
    removed = [" ".join(command) for command in access(PLAIN, "p1").updates(with_builder)]
    added = [" ".join(command) for command in access(BUILDING, "p1").updates(without)]
    assert len(removed) == len(added) == 3
    assert all("remove-iam-policy-binding" in command for command in removed)
    for role in ("launch_submit_images", "launch_status_images", "roles/logging.logWriter"):
        assert any(role in command for command in removed)
        assert any(role in command for command in added)
    assert set(custom_roles(BUILDING)) - set(custom_roles(PLAIN)) == {"submit_images", "status_images"}


def test_bootstrap_renews_what_ends() -> None:
    """The first days' role, whose end is another tomorrow: removed once, and bound again."""
    there = policy(PLAIN, "project sources")
    [first] = [each for each in there["bindings"] if "request.time" in str(each)]
    first["condition"]["expression"] = 'request.time < timestamp("2020-01-01T00:00:00Z")'
    steps = [step for [step] in bindings_by_resource(PLAIN).values()]
    [renewals] = [step for step in steps if step.name == "the build's access to p1 until tomorrow"]
    removed, renewed = renewals.updates(there)
    assert (removed[1], renewed[1]) == ("remove-iam-policy-binding", "add-iam-policy-binding")
    assert all("--role=projects/p1/roles/launch_first_build" in command for command in (removed, renewed))


REPOSITORY = "Artifact Registry repository launch"
CLEANING: dict[str, Any] = {"cleanupPolicies": {"delete-old": {}, "keep-last": {}}}
CLEANUP = (
    "artifacts repositories set-cleanup-policies launch --location=us-central1 --project=p1 "
    "--policy=deploy/cloud/images-cleanup.json --no-dry-run"
)
REPOSITORIES: dict[str, tuple[Any, list[str]]] = {
    "it is missing": (
        None,
        [
            "artifacts repositories create launch --location=us-central1 --project=p1 --repository-format=docker "
            "--labels=vertex-launch=launch",
            CLEANUP,
        ],
    ),
    "it is the same": ({**CLEANING, "labels": {"vertex-launch": "launch"}}, []),
    "it is of an earlier version": ({}, [CLEANUP]),
    "its policies are tried only": ({**CLEANING, "cleanupPolicyDryRun": True}, [CLEANUP]),
}


@pytest.mark.parametrize("case", REPOSITORIES)
def test_the_functions_repository(case: str) -> None:
    """It gets the label when it is created, and our policies always."""
    found, expected = REPOSITORIES[case]
    [step] = [step for step in resources(PLAIN) if step.name == REPOSITORY]
    assert [" ".join(command) for command in step.updates(found)] == expected


def test_the_repository_of_another_deployment_stays_as_it_is() -> None:
    """No policy of ours deletes images there."""
    [step] = [step for step in resources(PLAIN) if step.name == REPOSITORY]
    with pytest.raises(ClickException, match="belongs to the deployment research"):
        list(step.updates({"labels": {"vertex-launch": "research"}}))


def test_each_bucket_of_the_ladder_has_the_key_of_its_region() -> None:
    """Cloud Storage gets each key before a bucket is created with it; a key of no bucket is refused."""
    rungs = [{"region": r, "staging_bucket": f"gs://team-{r}/jobs"} for r in ("europe-west4", "us-east1")]
    config = LaunchConfig.model_validate({"ladder": {"regions": rungs}})
    european = "projects/p1/locations/europe-west4/keyRings/k/cryptoKeys/c"
    made = replace(DEPLOYMENT, kms_key=KEY, ladder_keys=(european,), config=config)
    keys = {
        step.name: [flag for flag in step.command or next(iter(step.updates(None))) if "encryption-key" in flag]
        for step in resources(made)
        if step.name.startswith("bucket")
    }
    assert keys["bucket gs://team-europe-west4"] == [f"--default-encryption-key={european}"]
    assert keys["bucket gs://team-us-east1"] == []
    assert keys["bucket gs://p1-launch-staging"] == [f"--default-encryption-key={KEY}"]
    [step] = bindings_by_resource(made)[european]
    [bind] = step.updates({})
    assert bind[:4] == ("kms", "keys", "add-iam-policy-binding", european)
    assert made.agent("storage") in " ".join(bind)
    agent = ("storage", "service-agent", "--project=p1")
    assert agent in list(service_agents(replace(made, kms_key="")).updates({}))
    assert agent not in list(service_agents(PLAIN).updates({}))
    [problem] = replace(made, ladder_keys=(european.replace("europe-west4", "asia-east1"),)).problems()
    assert "is in no region of the ladder" in problem


# --- a function's deployment, by the real gcloud


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed: it deploys")
def test_a_function_follows_its_settings(tmp_path: Path) -> None:
    """The same again, changed, removed: variables, connector, key, pool, mirror, policy; its former label goes."""
    workspace = tmp_path / "workspace"
    shutil.copytree(ROOT / "deploy" / "cloud", workspace / "deploy" / "cloud", ignore=shutil.ignore_patterns("*.py*"))
    for name in ("main.py", "requirements.txt"):
        (workspace / name).write_text("")
    both = {"_KMS_KEY": KEY, "_VPC_CONNECTOR": CONNECTOR, "_SETTINGS": "A=1;B=2"}
    changed = {
        "_KMS_KEY": OTHER_KEY,
        "_VPC_CONNECTOR": f"{CONNECTOR}2",
        "_EGRESS": "all",
        "_SETTINGS": "A=3",
        "_WORKER_POOL": f"{DEPLOYMENT.parent}/workerPools/w",
        "_PIP_INDEX_URL": "https://mirror.example.com/simple?a=b,c",
        "_BINARY_AUTHORIZATION": "default",
        "_FUNCTION_FLAGS": "--update-labels=team=cats  --max-instances=7",
    }
    name = f"{DEPLOYMENT.parent}/functions/launch-poll"
    with Cloud(tmp_path) as cloud, warm_gcloud(cloud):
        for settings in (both, both, changed, {}):
            names = {"PROJECT_ID": "p1", "COMMIT_SHA": "c0ffee", "_REGION": "us-central1", "_NAME": "launch"}
            done = subprocess.run(
                ["deploy/cloud/function.sh", "poll", "scheduler", "--trigger-http", "--timeout=60s"],
                env={**cloud.environ(BUILD), **names, **settings},
                cwd=workspace,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            function = cloud.resources[f"cloudfunctions.googleapis.com/{name}"]
            config = function["serviceConfig"]
            variables = config["environmentVariables"]
            wanted = dict(each.split("=") for each in settings.get("_SETTINGS", "").split(";") if each)
            assert {key: variables[key] for key in ("A", "B") if key in variables} == wanted
            assert (function.get("kmsKeyName") or "") == settings.get("_KMS_KEY", "")
            assert (config.get("vpcConnector") or "") == settings.get("_VPC_CONNECTOR", "")
            egress = config.get("vpcConnectorEgressSettings")
            asked = "ALL_TRAFFIC" if settings.get("_EGRESS") else "PRIVATE_RANGES_ONLY"
            assert egress == (asked if settings else None)
            building = function["buildConfig"]
            assert (building.get("workerPool") or "") == settings.get("_WORKER_POOL", "")
            mirror = building.get("environmentVariables", {}).get("PIP_INDEX_URL", "")
            assert mirror == settings.get("_PIP_INDEX_URL", "")
            assert (config.get("binaryAuthorizationPolicy") or "") == settings.get("_BINARY_AUTHORIZATION", "")
            if "_FUNCTION_FLAGS" in settings:
                assert (function["labels"]["team"], config["maxInstanceCount"]) == ("cats", 7)
            assert "commit" not in function["labels"]
            function["labels"]["commit"] = "of-an-earlier-version"
            assert len(cloud.policies[f"run.googleapis.com/{DEPLOYMENT.parent}/services/launch-poll"]["bindings"]) == 1
