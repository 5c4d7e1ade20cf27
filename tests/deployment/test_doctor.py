"""`doctor` as a process, against a deployment made by bootstrap and provision.

Each test breaks one thing that breaks in practice. Doctor has to name it, with its fix.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from click.testing import CliRunner, Result
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.__main__ import main
from deploy.cloud.deployment import FUNCTIONS
from deploy.local.serving import serving
from tests.cloud.messaging import PubSub
from tests.deployment.deployed import DEPLOYMENT, KEY, OWNER, TRAINER, VERTEX, Deployed, deployed
from tests.unit.specs import PAGE_DEFAULT, POOL, put

GUEST = "guest@example.com"
OTHER_KEY = "abcdef7890" * 4
FORMER = "former@p1.iam.gserviceaccount.com"
SECRET = "secretmanager.googleapis.com/projects/p1/secrets/launch-wandb-api-key"
PROJECT = "cloudresourcemanager.googleapis.com/projects/p1"
RUN = f"run.googleapis.com/{DEPLOYMENT.parent}/services"
DEAD = "projects/p1/topics/launch-dead-letters"
SCHEDULER_API = "serviceusage.googleapis.com/projects/p1/services/cloudscheduler.googleapis.com"
NEVER = {"title": "never", "expression": "false"}
BUILD = "gcloud beta builds submit --project=p1 --region=us-central1"

pytestmark = pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed: bootstrap needs it")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Make the deployment once: it takes as long as all the tests."""
    with deployed(tmp_path_factory.mktemp("doctor")) as made:
        yield made


@pytest.fixture
def project(made: Deployed) -> Deployed:
    """Give it, well."""
    made.heal()
    return made


@dataclass(frozen=True)
class Breakage:
    """Something wrong: in which group it is found, by whose line, and what that says."""

    group: str
    make: Callable[[Deployed], object]
    line: str
    sign: str
    message: str
    fix: str


def bound_on_project_instead(project: Deployed) -> None:
    """Give a role on the whole project instead of on one topic."""
    project.unbind("pubsub.googleapis.com/" + DEAD, "roles/pubsub.publisher")
    agent = "serviceAccount:" + DEPLOYMENT.agent("gcp-sa-pubsub")
    project.cloud.policies[PROJECT]["bindings"].append({"role": "roles/pubsub.publisher", "members": [agent]})


def former_account(project: Deployed) -> None:
    """Let submit use an account that the policy has named earlier."""
    name = f"projects/p1/serviceAccounts/{FORMER}"
    project.cloud.resources[f"iam.googleapis.com/{name}"] = {"name": name, "email": FORMER}
    submit = f"serviceAccount:{DEPLOYMENT.account('submit')}"
    binding = {"role": "roles/iam.serviceAccountUser", "members": [submit]}
    project.cloud.policies[f"iam.googleapis.com/{name}"] = {"version": 1, "bindings": [binding]}


def called_an_hour_ago(project: Deployed) -> None:
    """Let Cloud Scheduler have been idle."""
    project.job("poll")["lastAttemptTime"] = (datetime.now(UTC) - timedelta(hours=1)).isoformat()


def publish_dead_letter(project: Deployed) -> None:
    """Let something arrive that submit could not take."""
    PubSub(project.cloud.state).publish(DEAD, {"data": "Z2FyYmFnZQ=="})


def deleted_before(project: Deployed, days: int, **left: Any) -> None:
    """Delete the build's role as somebody did some days ago; `left` is what Google still shows of it."""
    when = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    project.cloud.state.audited["projects/p1/roles/launch_build"] = {"timestamp": when}
    role = project.cloud.resources.pop("iam.googleapis.com/projects/p1/roles/launch_build")
    if left:
        project.cloud.resources["iam.googleapis.com/projects/p1/roles/launch_build"] = role | left


def only_our_bindings(project: Deployed) -> None:
    """Replace the project's policy by one that names only what its author knows of."""
    policy = project.cloud.policies[PROJECT]
    policy["bindings"] = [one for one in policy["bindings"] if not one["role"].endswith(".serviceAgent")]


def alerts(project: Deployed) -> Iterator[dict[str, Any]]:
    """Yield the alerts."""
    yield from (each for full, each in project.cloud.resources.items() if "/alertPolicies/" in full)


def break_monitoring(project: Deployed) -> None:
    """Change one of each kind, delete one, and add one of a former version."""
    metrics, old = "logging.googleapis.com/projects/p1/metrics", {"description": "vertex-launch launch: old"}
    project.cloud.resources[f"{metrics}/launch-old"] = project.cloud.resources.pop(f"{metrics}/launch-ticks") | {
        "name": "launch-old",
        **old,
    }
    project.cloud.resources[f"{metrics}/launch-oldest-seconds"]["filter"] = 'severity="ERROR"'
    next(alerts(project))["displayName"] = "mine"
    project.resource("monitoring.googleapis.com/projects/p1/dashboards/vertex-launch-launch")["displayName"] = "mine"


BREAKAGES = {
    "a variable is misspelt": Breakage(
        "running",
        lambda p: p.set_variable("poll", "LAUNCH_PLICY", "{}"),
        "names of settings",
        "!",
        "no setting is called LAUNCH_PLICY",
        "Write LAUNCH_POLICY.",
    ),
    "an API is off": Breakage(
        "project",
        lambda p: p.cloud.resources.pop(SCHEDULER_API),
        "APIs",
        "✗",
        "off: cloudscheduler.googleapis.com",
        "gcloud services enable cloudscheduler.googleapis.com --project=p1",
    ),
    "a bucket is elsewhere": Breakage(
        "project",
        lambda p: p.bucket("p1-launch-ledger").update(location="EUROPE-WEST4"),
        "ledger bucket",
        "✗",
        "gs://p1-launch-ledger is in europe-west4, the jobs and the functions are in us-central1",
        "Leave it there: a deployment runs where its ledger is.",
    ),
    "a bucket has access by object": Breakage(
        "project",
        lambda p: p.bucket("p1-launch-ledger").update(iamConfiguration={}),
        "ledger bucket",
        "!",
        "no uniform access",
        "gcloud storage buckets update gs://p1-launch-ledger --uniform-bucket-level-access",
    ),
    "the ledger grows": Breakage(
        "project",
        lambda p: p.bucket("p1-launch-ledger").pop("lifecycle"),
        "ledger's rule",
        "!",
        "grows for ever",
        "vertex-launch provision --project=p1 --region=us-central1 --name=launch",
    ),
    "the secret is disabled": Breakage(
        "project",
        lambda p: p.resource(f"{SECRET}/versions/1").update(state="DISABLED"),
        "secret",
        "✗",
        "version 1 of launch-wandb-api-key, the newest, is DISABLED",
        "gcloud secrets versions enable 1 --secret=launch-wandb-api-key --project=p1",
    ),
    "the newest version of the secret is disabled": Breakage(
        "project",
        lambda p: p.cloud.resources.update({f"{SECRET}/versions/2": {"name": "x/versions/2", "state": "DISABLED"}}),
        "secret",
        "✗",
        "version 2 of launch-wandb-api-key, the newest, is DISABLED",
        "gcloud secrets versions enable 2 --secret=launch-wandb-api-key --project=p1",
    ),
    "the key was never put in": Breakage(
        "project",
        lambda p: p.cloud.resources.pop(f"{SECRET}/versions/1"),
        "secret",
        "✗",
        "has no version",
        'printf %s "$WANDB_API_KEY" | gcloud secrets versions add launch-wandb-api-key --data-file=- --project=p1',
    ),
    "the staging bucket is in several regions": Breakage(
        "project",
        lambda p: p.bucket("p1-launch-staging").update(location="US", locationType="multi-region"),
        "staging bucket",
        "✗",
        "gs://p1-launch-staging is in us, the jobs and the functions are in us-central1. Vertex AI refuses",
        "gcloud storage buckets relocate gs://p1-launch-staging --location=us-central1",
    ),
    "the ledger keeps its objects": Breakage(
        "project",
        lambda p: p.bucket("p1-launch-ledger").update(retentionPolicy={"retentionPeriod": "86400"}),
        "settings of p1-launch-ledger",
        "✗",
        "keeps each object for 86400 s",
        "gcloud storage buckets update gs://p1-launch-ledger --clear-retention-period",
    ),
    "the ledger's retention is locked": Breakage(
        "project",
        lambda p: p.bucket("p1-launch-ledger").update(retentionPolicy={"retentionPeriod": "1", "isLocked": True}),
        "settings of p1-launch-ledger",
        "✗",
        "keeps each object for 1 s",
        "use another --name",
    ),
    "the ledger holds its objects": Breakage(
        "project",
        lambda p: p.bucket("p1-launch-ledger").update(defaultEventBasedHold=True),
        "settings of p1-launch-ledger",
        "✗",
        "puts a hold on each new object",
        "--no-default-event-based-hold",
    ),
    "callers of the ledger pay": Breakage(
        "project",
        lambda p: p.bucket("p1-launch-ledger").update(billing={"requesterPays": True}),
        "settings of p1-launch-ledger",
        "✗",
        "is requester-pays",
        "gcloud storage buckets update gs://p1-launch-ledger --no-requester-pays",
    ),
    "somebody's rule deletes records": Breakage(
        "project",
        lambda p: (
            p.bucket("p1-launch-ledger")
            .setdefault("lifecycle", {"rule": []})["rule"]
            .append({"action": {"type": "Delete"}, "condition": {"age": 7}})
        ),
        "settings of p1-launch-ledger",
        "✗",
        "has 1 lifecycle rule of others",
        "gcloud storage buckets update gs://p1-launch-ledger --lifecycle-file=deploy/cloud/ledger-lifecycle.json",
    ),
    "the staging bucket keeps its objects": Breakage(
        "project",
        lambda p: p.bucket("p1-launch-staging").update(retentionPolicy={"retentionPeriod": "60"}),
        "settings of p1-launch-staging",
        "✗",
        "keeps each object for 60 s",
        "--clear-retention-period",
    ),
    "a policy without Google's agents was applied": Breakage(
        "access",
        only_our_bindings,
        "Google's service agents",
        "✗",
        "such as Terraform's google_project_iam_policy",
        "gcloud projects add-iam-policy-binding p1 "
        "--member=serviceAccount:service-123456789012@gcp-sa-eventarc.iam.gserviceaccount.com "
        "--role=roles/eventarc.serviceAgent --condition=None",
    ),
    "a custom role was deleted long ago": Breakage(
        "access",
        lambda p: deleted_before(p, 9, deleted=True),
        "role build",
        "✗",
        "Google restores a role for 7 days only",
        "Wait, or bootstrap and build under another --name.",
    ),
    "a custom role was deleted long ago, and is not shown": Breakage(
        "access",
        lambda p: deleted_before(p, 20),
        "role build",
        "✗",
        "Google restores a role for 7 days only",
        "Wait, or bootstrap and build under another --name.",
    ),
    "a custom role was deleted lately": Breakage(
        "access",
        lambda p: deleted_before(p, 2, deleted=True),
        "role build",
        "✗",
        "launch_build is deleted, but Google restores a role for 7 days",
        "gcloud iam roles undelete launch_build --project=p1",
    ),
    "Cloud Scheduler does not serve the region": Breakage(
        "running",
        lambda p: setattr(p.cloud.state, "scheduler_in", ("europe-west4",)),
        "Cloud Scheduler's location",
        "✗",
        "it does not serve us-central1; it serves europe-west4",
        "_SCHEDULER_REGION=LOCATION",
    ),
    "a binding is missing": Breakage(
        "access",
        lambda p: p.unbind(SECRET, "roles/secretmanager.secretAccessor"),
        "secret launch-wandb-api-key",
        "✗",
        "launch-poll@p1.iam.gserviceaccount.com lacks secretmanager.secretAccessor: the functions read W&B's API key",
        "gcloud secrets add-iam-policy-binding launch-wandb-api-key --project=p1 "
        "--member=serviceAccount:launch-poll@p1.iam.gserviceaccount.com --role=roles/secretmanager.secretAccessor",
    ),
    "a binding with a condition is missing": Breakage(
        "access",
        lambda p: p.unbind(PROJECT, "roles/storage.objectViewer"),
        "project p1",
        "✗",
        "launch-build@p1.iam.gserviceaccount.com lacks storage.objectViewer",
        "'--condition=title=functions-sources,expression=resource.name.startsWith("
        '"projects/_/buckets/gcf-v2-sources-")\'',
    ),
    "a binding has another condition": Breakage(
        "access",
        lambda p: next(
            b
            for b in p.cloud.policies[PROJECT]["bindings"]
            if "resource.name" in b.get("condition", {}).get("expression", "")
        ).update(condition=NEVER),
        "project p1",
        "✗",
        "launch-build@p1.iam.gserviceaccount.com lacks storage.objectViewer",
        "gcloud projects add-iam-policy-binding p1",
    ),
    "the first build's rights do not end": Breakage(
        "access",
        lambda p: p.cloud.policies[PROJECT]["bindings"].append(
            {
                "role": "projects/p1/roles/launch_first_build",
                "members": ["serviceAccount:launch-build@p1.iam.gserviceaccount.com"],
            }
        ),
        "project p1",
        "✗",
        "launch-build@p1.iam.gserviceaccount.com has launch_first_build for ever",
        "gcloud projects remove-iam-policy-binding p1 --condition=None",
    ),
    "the trigger's binding is missing": Breakage(
        "access",
        lambda p: p.unbind(p.trigger(), "roles/pubsub.subscriber"),
        "trigger's subscription",
        "✗",
        "service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com lacks pubsub.subscriber",
        "gcloud pubsub subscriptions add-iam-policy-binding projects/p1/subscriptions/eventarc-us-central1-",
    ),
    "nobody may call poll": Breakage(
        "access",
        lambda p: p.unbind(f"{RUN}/launch-poll", "roles/run.invoker"),
        "function launch-poll",
        "✗",
        "launch-scheduler@p1.iam.gserviceaccount.com lacks run.invoker",
        "gcloud run services add-iam-policy-binding launch-poll --region=us-central1 --project=p1",
    ),
    "submit may not let jobs run as the account": Breakage(
        "access",
        lambda p: p.unbind(f"iam.googleapis.com/projects/p1/serviceAccounts/{TRAINER}", "roles/iam.serviceAccountUser"),
        f"account {TRAINER}",
        "✗",
        "launch-submit@p1.iam.gserviceaccount.com lacks iam.serviceAccountUser",
        f"gcloud iam service-accounts add-iam-policy-binding {TRAINER} --project=p1",
    ),
    "submit may use an account that the policy does not name any more": Breakage(
        "access",
        former_account,
        "former accounts of jobs",
        "!",
        f"submit can use {FORMER}, which policy.service_accounts does not name",
        f"gcloud iam service-accounts remove-iam-policy-binding {FORMER} --project=p1",
    ),
    "an account of ours has a role that it does not need": Breakage(
        "access",
        lambda p: p.cloud.policies[SECRET]["bindings"].append(
            {
                "role": "roles/secretmanager.secretAccessor",
                "members": ["serviceAccount:launch-build@p1.iam.gserviceaccount.com"],
            }
        ),
        "secret launch-wandb-api-key",
        "!",
        "launch-build@p1.iam.gserviceaccount.com has secretmanager.secretAccessor, which it does not need",
        "gcloud secrets remove-iam-policy-binding launch-wandb-api-key --project=p1",
    ),
    "a role is bound on the whole project": Breakage(
        "access",
        bound_on_project_instead,
        "dead letters launch-dead-letters",
        "!",
        "has pubsub.publisher on the whole project instead",
        f"gcloud pubsub topics add-iam-policy-binding {DEAD}",
    ),
    "a custom role has a permission too many": Breakage(
        "access",
        lambda p: p.role("submit")["includedPermissions"].append("aiplatform.customJobs.delete"),
        "role submit",
        "!",
        "launch_submit has permissions that it does not need: aiplatform.customJobs.delete",
        "gcloud iam roles update launch_submit --project=p1 "
        "--permissions=aiplatform.customJobs.create,aiplatform.customJobs.get,aiplatform.customJobs.list",
    ),
    "a custom role lacks a permission": Breakage(
        "access",
        lambda p: p.role("status")["includedPermissions"].remove("aiplatform.customJobs.cancel"),
        "role status",
        "✗",
        "launch_status lacks aiplatform.customJobs.cancel",
        "gcloud iam roles update launch_status --project=p1",
    ),
    "a custom role is deleted": Breakage(
        "access",
        lambda p: p.role("build").update(deleted=True),
        "role build",
        "✗",
        "launch_build is deleted",
        "gcloud iam roles undelete launch_build --project=p1",
    ),
    "the key is wrong": Breakage(
        "wandb",
        lambda p: p.cloud.state.secrets.update({"projects/p1/secrets/launch-wandb-api-key/versions/1": b"wrong"}),
        "key in the secret",
        "✗",
        "answers 401",
        'printf %s "$WANDB_API_KEY" | gcloud secrets versions add launch-wandb-api-key --data-file=- --project=p1  '
        "# needs no build: the next call reads it",
    ),
    "a function is not deployed": Breakage(
        "running",
        lambda p: p.cloud.resources.pop(f"cloudfunctions.googleapis.com/{DEPLOYMENT.parent}/functions/launch-poll"),
        "function poll",
        "✗",
        "launch-poll is not deployed",
        BUILD,
    ),
    "a function did not start": Breakage(
        "running",
        lambda p: p.function("status").update(state="FAILED", stateMessages=[{"message": "Container is not ready"}]),
        "function status",
        "✗",
        "launch-status is FAILED; Container is not ready",
        BUILD,
    ),
    "a build was cancelled before it routed all of the traffic": Breakage(
        "running",
        lambda p: p.deploy("submit", "b2", "CANCELLED"),
        "traffic of submit",
        "✗",
        "/builds/b2 is CANCELLED: the smoke test has not passed",
        "gcloud run services update-traffic launch-submit --region=us-central1 --project=p1 --to-revisions=launch-su",
    ),
    "a build is deploying": Breakage(
        "running",
        lambda p: [p.deploy(verb, "b2", "WORKING") for verb in FUNCTIONS],
        "traffic of poll",
        "!",
        "/builds/b2 is WORKING",
        "run doctor again",
    ),
    "a build is routing": Breakage(
        "running",
        lambda p: [p.deploy(verb, "b2", "WORKING", serves=verb != "poll") for verb in FUNCTIONS],
        "traffic of submit",
        "!",
        "/builds/b2 is WORKING",
        "run doctor again",
    ),
    "a function is behind its newest revision": Breakage(
        "running",
        lambda p: [p.deploy(verb, "b2", serves=verb != "status") for verb in FUNCTIONS],
        "one build",
        "✗",
        "status differs from the others: poll serves commit cb2 of build b2, submit serves commit cb2 of build b2, "
        "status serves commit cb1 of build b1",
        "gcloud run services update-traffic launch-status --region=us-central1 --project=p1 --to-latest",
    ),
    "a function was not deployed by the last build": Breakage(
        "running",
        lambda p: [p.deploy(verb, "b2") for verb in ("submit", "status")],
        "one build",
        "✗",
        "poll differs from the others: poll serves commit cb1 of build b1",
        BUILD,
    ),
    "the schedule is paused": Breakage(
        "running",
        lambda p: p.job("poll").update(state="PAUSED"),
        "schedule of poll",
        "✗",
        "launch-poll is paused: it does not call poll",
        "gcloud scheduler jobs resume launch-poll --location=us-central1 --project=p1",
    ),
    "the last call failed": Breakage(
        "running",
        lambda p: p.job("status").update(status={"code": 7, "message": "PERMISSION_DENIED"}),
        "schedule of status",
        "✗",
        "launch-status's last call failed: code 7 PERMISSION_DENIED",
        "gcloud logging read 'resource.labels.service_name=\"launch-status\"' --project=p1 --limit=20 --freshness=10m",
    ),
    "the schedule is idle": Breakage(
        "running",
        called_an_hour_ago,
        "schedule of poll",
        "✗",
        "launch-poll ran last 60 minutes ago",
        "gcloud scheduler jobs run launch-poll --location=us-central1 --project=p1",
    ),
    "the trigger has lost its patience": Breakage(
        "running",
        lambda p: p.resource(p.trigger()).update(ackDeadlineSeconds=10),
        "trigger",
        "✗",
        "ack_deadline_seconds: 10 → 600",
        "vertex-launch provision",
    ),
    "a dead letter waits": Breakage(
        "running",
        publish_dead_letter,
        "dead letters",
        "!",
        "1 that submit could not accept",
        "vertex-launch dead-letters --project=p1 --region=us-central1 --name=launch",
    ),
    "poll has never come to register": Breakage(
        "running",
        lambda p: p.cloud.state.objects.pop(("p1-launch-ledger", "agents/launch.json")),
        "agent",
        "✗",
        "poll has never registered an agent",
        "gcloud logging read 'resource.labels.service_name=\"launch-poll\"'",
    ),
    "W&B has forgotten the agent": Breakage(
        "running",
        lambda p: p.remember_agent("TGF1bmNoQWdlbnQ6MQ=="),
        "agent",
        "✗",
        "W&B does not know it",
        "gcloud logging read 'resource.labels.service_name=\"launch-poll\"'",
    ),
    "metrics, an alert and the dashboard are not as provisioned": Breakage(
        "monitoring",
        break_monitoring,
        "metrics",
        "!",
        "changed by hand: launch-oldest-seconds; missing: launch-ticks; of a former version: launch-old",
        "vertex-launch provision --project=p1 --region=us-central1 --name=launch",
    ),
    "nobody is notified": Breakage(
        "monitoring",
        lambda p: next(alerts(p)).pop("notificationChannels"),
        "notifications",
        "!",
        "nobody is notified of: ",
        "gcloud beta monitoring channels list '--format=value(name,displayName)' --project=p1",
    ),
    "an alert is off": Breakage(
        "monitoring",
        lambda p: next(alerts(p)).update(enabled=False),
        "notifications",
        "!",
        "the alert is disabled: ",
        "gcloud alpha monitoring policies update projects/p1/alertPolicies/",
    ),
    "somebody stopped the agent in W&B": Breakage(
        "running",
        lambda p: p.stop_agents(),
        "agent",
        "✗",
        "W&B asks it to stop polling",
        "vertex-launch agent start --project=p1 --region=us-central1 --name=launch",
    ),
    "an operator stopped the agent": Breakage(
        "running",
        lambda p: p.remember_agent("TGF1bmNoQWdlbnQ6MQ==", stopped=True),
        "agent",
        "!",
        "`vertex-launch agent stop` has stopped it",
        "vertex-launch agent start --project=p1 --region=us-central1 --name=launch",
    ),
}
MENDABLE = [
    "an API is off",
    "the ledger grows",
    "the secret is disabled",
    "a binding is missing",
    "a binding with a condition is missing",
    "the trigger's binding is missing",
    "nobody may call poll",
    "submit may not let jobs run as the account",
    "a custom role has a permission too many",
    "a custom role lacks a permission",
    "a custom role is deleted",
    "the ledger keeps its objects",
    "somebody's rule deletes records",
    "a build was cancelled before it routed all of the traffic",
    "the schedule is paused",
    "the trigger has lost its patience",
    "metrics, an alert and the dashboard are not as provisioned",
    "an alert is off",
    "submit may use an account that the policy does not name any more",
    "an account of ours has a role that it does not need",
]
SAME_CAUSE = {
    "metrics": {"alerts", "dashboards"},
    "staging bucket": {"bucket of queue vertex"},
}


def test_a_deployment_that_is_well(project: Deployed) -> None:
    """Every line is fine and nothing is to be done; exit code 0."""
    code, lines = project.doctor()
    assert [line for line in lines if line.sign != "✓" or line.fixes] == []
    assert {"APIs", "role build", "queue vertex", "agent"} <= {line.name for line in lines}
    assert code == 0


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES.keys())
def test_a_breakage_is_named_with_its_fix(project: Deployed, breakage: Breakage) -> None:
    """Its line names the fault and the fix; the exit code is 1 if the deployment does not work."""
    breakage.make(project)
    code, lines = project.doctor(breakage.group, WANDB_API_KEY=KEY)
    wrong = [line for line in lines if line.sign != "✓"]
    named = next(line for line in wrong if line.name == breakage.line)
    assert named.sign == breakage.sign
    assert breakage.message in named.message
    assert breakage.fix in "\n".join(named.fixes)
    assert {line.name for line in wrong} - {named.name} <= SAME_CAUSE.get(named.name, set())
    assert code == (1 if breakage.sign == "✗" else 0)


def lose_bucket(project: Deployed) -> None:
    """Delete the ledger's bucket, with all that is in it."""
    project.cloud.resources.pop("storage.googleapis.com/projects/_/buckets/p1-launch-ledger")
    project.cloud.state.objects.clear()


def never_built(project: Deployed) -> None:
    """Let no build have deployed the functions."""
    for name in [each for each in project.cloud.resources if each.startswith(("cloudfunctions.", "run."))]:
        del project.cloud.resources[name]


ROOTS: list[tuple[Callable[[Deployed], object], str, set[str]]] = [
    (
        BREAKAGES["the key is wrong"].make,
        "key in the secret",
        {"bucket of queue vertex", "account of queue vertex", "queue vertex", "agent"},
    ),
    (
        BREAKAGES["the key was never put in"].make,
        "secret",
        {"bucket of queue vertex", "account of queue vertex", "queue vertex", "agent", "key in the secret"},
    ),
    (lose_bucket, "ledger bucket", {"ledger's rule", "ledger p1-launch-ledger", "agent"}),
    (
        lambda p: p.cloud.resources.pop("pubsub.googleapis.com/projects/p1/topics/launch-requests"),
        "topic launch-requests",
        {"trigger's subscription", "topic", "trigger"},
    ),
    (
        never_built,
        "function launch-poll",
        {f"function {name}" for name in (*FUNCTIONS, "launch-submit", "launch-status")},
    ),
]


def test_each_cause_is_reported_once(project: Deployed) -> None:
    """One thing at fault is one line in the whole report; the checks that need that thing stand below it."""
    for make, name, also in ROOTS:
        project.heal()
        make(project)
        code, lines = project.doctor()
        wrong = [line for line in lines if line.sign != "✓"]
        assert [(line.name, line.sign, set(line.also)) for line in wrong] == [(name, "✗", also)]
        assert code == 1


def test_why_asks_google_and_w_and_b_as_an_operator_does(project: Deployed) -> None:
    """The schedules, the secret, the queues and the dead letters; a guest's missing permissions are lines."""
    where = ["--project=p1", "--region=us-central1"]

    def why(identity: str = OWNER) -> Result:
        with patch.dict(os.environ, project.environ(identity), clear=True):
            return CliRunner().invoke(main, ["why", *where], catch_exceptions=False)

    project.remember_agent("TGF1bmNoQWdlbnQ6MQ==", entity="team", polled_at=datetime.now(UTC).isoformat())
    found = why()
    assert found.output.startswith("Nothing stops launches. But these checks could not be made: limits.")
    assert "✓ API key: W&B accepts it" in found.output
    assert "✓ schedule of status: Cloud Scheduler called status" in found.output
    assert "✓ queue vertex: 0 items wait in queue vertex" in found.output
    assert "✓ dead letters: no dead letter" in found.output
    project.job("poll").update(state="PAUSED")
    paused = why()
    assert paused.output.startswith("Cloud Scheduler's job launch-poll is paused: nobody calls poll.")
    assert "    gcloud scheduler jobs resume launch-poll --location=us-central1 --project=p1\n" in paused.output
    assert paused.exit_code == 1
    project.cloud.enforce(lambda who, *_: who != GUEST)
    blind = why(GUEST)
    assert "? API key: you may not see this; needs secretmanager.versions.access" in blind.output
    assert "? schedule of poll: you may not see this; needs cloudscheduler.jobs.get" in blind.output
    assert "\n    gcloud storage buckets add-iam-policy-binding gs://p1-launch-ledger" in blind.output
    assert blind.exit_code == 4
    assert KEY not in found.output + paused.output + blind.output


def test_dead_letters_are_left_where_they_are(project: Deployed) -> None:
    """Letters that doctor reads are put back at once, and never acknowledged."""
    publish_dead_letter(project)
    project.doctor("running")
    calls = project.cloud.calls_to("pubsub", "POST", "launch-dead-letters:")
    assert [call.path.rpartition(":")[2] for call in calls][-2:] == ["pull", "modifyAckDeadline"]
    assert calls[-1].document["ackDeadlineSeconds"] == 0
    assert project.cloud.state.messages["projects/p1/subscriptions/launch-dead-letters"]


def test_faults_of_queues_are_named(project: Deployed) -> None:
    """Each queue for itself: missing, of another type, with a configuration, an image, a bucket or an account amiss."""
    ecr = "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1"
    pools: list[dict[str, Any]] = [put(POOL, ("container_spec", "image_uri"), ecr)]
    project.cloud.resources["storage.googleapis.com/projects/_/buckets/far"] = {
        "location": "EUROPE-WEST4",
        "locationType": "region",
    }
    project.make_queue("k8s", {}, resource="kubernetes")
    project.make_queue("blank", PAGE_DEFAULT)
    project.make_queue("ecr", put(VERTEX, ("spec", "worker_pool_specs"), pools))
    project.make_queue("far", put(VERTEX, ("spec", "staging_bucket"), "gs://far"))
    project.make_queue("gone-bucket", put(VERTEX, ("spec", "staging_bucket"), "gs://gone"))
    project.make_queue("gone-account", put(VERTEX, ("run", "service_account"), "gone@p1.iam.gserviceaccount.com"))
    project.make_queue("unlisted", VERTEX)
    queues = ["vertex", "none", "k8s", "blank", "ecr", "far", "gone-bucket", "gone-account", "unlisted"]
    ladder = {"regions": [{"region": "europe-west4", "staging_bucket": "gs://team-eu/jobs"}]}
    project.configure(queues=queues, policy={"service_accounts": []}, ladder=ladder)
    code, lines = project.doctor("project", "access", "wandb")
    wrong = {line.name: (line.sign, line.message, "\n".join(line.fixes)) for line in lines if line.sign in "✗!"}
    expected = {
        "queue none": ("✗", "team has no such queue. Its queues: blank, ecr,", "Name one of them under queues in"),
        "queue k8s": ("✗", "is of type kubernetes", "Create a queue of type GCP Vertex in W&B"),
        "queue blank": ("✗", "staging_bucket: is empty", "edit the configuration of queue blank"),
        "image of queue ecr": ("✗", f"{ecr} is in a private registry of AWS", f"docker pull {ecr} && docker tag {ecr}"),
        "bucket of queue far": ("✗", "gs://far is in europe-west4", "gcloud storage buckets relocate gs://far"),
        "bucket of queue gone-bucket": ("✗", "does not exist", "gcloud storage buckets create gs://gone --location="),
        "ladder's bucket in europe-west4": ("✗", "gs://team-eu does not exist", "vertex-launch bootstrap"),
        "account of queue gone-account": ("✗", "does not exist", "Name another account"),
        "account of queue unlisted": ("!", "is not in policy.service_accounts", "vertex-launch bootstrap"),
    }
    for name, (sign, message, fix) in expected.items():
        assert wrong[name][0] == sign
        assert message in wrong[name][1]
        assert fix in wrong[name][2]
    assert code == 1


@pytest.mark.parametrize("deployed", [False, True], ids=["launch-config", "function"])
def test_a_queue_is_planned_with_all_settings_of_submit(project: Deployed, deployed: bool) -> None:
    """Submit refuses an image whose command it does not know if jobs read the key themselves; doctor reads that, too.

    The setting is in the launch-config, or in the variables of the deployed function, which win.
    """
    secret = "projects/p1/secrets/launch-wandb-api-key"
    if deployed:
        project.set_variable("submit", "LAUNCH_KEY_SECRET", secret)
    else:
        project.configure(key_secret=secret)
    code, lines = project.doctor(
        "wandb", LAUNCH_POLICY='{"regions": ["nowhere"]}'
    )  # this shell's settings do not count
    line = next(line for line in lines if line.name == "queue vertex")
    assert line.sign == "✗"
    assert "container_spec.command: is missing" in line.message
    assert code == 1


def test_a_wrong_setting_of_the_function_is_named(project: Deployed) -> None:
    """The queue cannot be planned; the line names the setting."""
    project.set_variable("submit", "LAUNCH_KEY_SECRET", "my secret")
    _, lines = project.doctor("wandb")
    line = next(line for line in lines if line.name == "queue vertex")
    assert (line.sign, "LAUNCH_KEY_SECRET" in line.message) == ("?", True)


def test_checks_without_permission_are_unknown_and_named(project: Deployed) -> None:
    """A guest reads in each line which permission is missing; the rest is shown, and nothing counts as failed."""
    allowed = {"serviceusage.services.list", "resourcemanager.projects.get", "pubsub.topics.get"}
    project.cloud.enforce(lambda who, permission, _: who != GUEST or permission in allowed)
    code, lines = project.doctor(identity=GUEST, WANDB_API_KEY=KEY)
    assert code == 4
    seen = {line.name for line in lines if line.sign == "✓"}
    seen_topics = {"topic", "dead-letter topic", "topic of events", "wake-up topic"}
    assert seen == {"APIs", "key of this shell", "queue vertex", *seen_topics}
    unseen = {name: line.message for line in lines if line.sign == "?" for name in line.names}
    assert {line.sign for line in lines} == {"✓", "?"}
    assert len({line.message for line in lines if line.sign == "?"}) == len([li for li in lines if li.sign == "?"])
    assert unseen["secret"] == "you may not see this; needs secretmanager.versions.list"
    assert unseen["project p1"] == "you may not see this; needs resourcemanager.projects.getIamPolicy"
    assert unseen["trigger"] == "you may not see this; needs pubsub.subscriptions.get"
    assert unseen["dead letters"] == "you may not see this; needs pubsub.subscriptions.consume"


def test_an_agent_that_has_fallen_silent(project: Deployed) -> None:
    """W&B knows the agent, but has not heard of it for long."""
    agent = {"name": "agent-1", "agentStatus": "POLLING", "stopPolling": False, "heartbeatAt": "2020-01-01T00:00:00"}

    async def graphql(_: Request) -> Response:
        return JSONResponse({"data": {"launchAgent": agent}})

    with serving(Starlette(routes=[Route("/graphql", graphql, methods=["POST"])])) as url:
        code, lines = project.doctor("running", WANDB_BASE_URL=url)
    line = next(line for line in lines if line.name == "agent")
    assert "agent-1 is POLLING, but poll's last heartbeat was" in line.message
    assert "gcloud logging read" in line.fixes[0]
    assert code == 1


def test_no_check_hangs_on_another(project: Deployed) -> None:
    """W&B is away and Google fails once: two lines are unknown, and the others say what they see."""
    project.cloud.fail("GET", "/b/p1-launch-staging$", status=500)
    code, lines = project.doctor("project", "wandb", WANDB_BASE_URL="http://127.0.0.1:9", WANDB_API_KEY=OTHER_KEY)
    signs = {name: line.sign for line in lines for name in line.names}
    assert signs["APIs"] == signs["secret"] == signs["ledger's rule"] == "✓"
    assert signs["key in the secret"] == signs["queue vertex"] == "?"
    [failed] = [line for line in lines if "Google answers 500" in line.message]  # whichever check asks first
    assert failed.sign == "?"
    assert code == 4


def test_the_fixes_fix(project: Deployed) -> None:
    """The lines that doctor prints fix all that gcloud and our own commands can fix."""
    for name in MENDABLE:
        BREAKAGES[name].make(project)
    _, lines = project.doctor()
    commands = dict.fromkeys(command for line in lines if line.sign in "✗!" for command in line.fixes)
    assert len(commands) >= len(MENDABLE)
    for command in commands:
        done = project.run(command)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    code, lines = project.doctor()
    assert [line for line in lines if line.sign != "✓"] == []
    assert code == 0
