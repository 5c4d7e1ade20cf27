"""The buckets of a deployment with a builder: who can read and write each, and what `bootstrap` and `doctor` do."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from click.testing import CliRunner
from google.api_core.exceptions import Forbidden
from google.cloud import storage
from rich.console import Console

from deploy.__main__ import main
from deploy.cloud import gcloud
from deploy.cloud.bootstrap_bindings import bindings_by_resource
from deploy.cloud.bootstrap_steps import resources
from deploy.cloud.deployment import ACCOUNTS, Deployment
from deploy.cloud.destroy import existing, of_bootstrap
from deploy.cloud.gcloud import GcloudError, Step, carry_out
from shared.config.launch_config import read_launch_config
from tests.cloud.state import StoredObject
from tests.deployment.deployed import DEPLOYMENT, OWNER, TRAINER, VERTEX, Deployed, Line, deployed
from tests.deployment.enforcement import Enforcement
from tests.unit.specs import put

pytestmark = [
    pytest.mark.long,  # a deployment of its own
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed: bootstrap needs it"),
]

BUILDER = {"type": "cloud-build", "destination": "us-central1-docker.pkg.dev/p1/launch-jobs/code"}
LEDGER, STAGING, SOURCES, CONTEXTS = (f"p1-launch-{role}" for role in ("ledger", "staging", "sources", "contexts"))
CLOSED = (LEDGER, SOURCES, CONTEXTS)
ACTIONS = ("create", "delete", "get", "list", "update", "getIamPolicy", "setIamPolicy")
ON_BUCKETS = (*(f"storage.objects.{action}" for action in ACTIONS), "storage.buckets.setIamPolicy")
PROJECT = "cloudresourcemanager.googleapis.com/projects/p1"
OF_EARLIER_VERSIONS = (  # on the only bucket beside the ledger
    ("build", "roles/storage.objectViewer"),
    ("submit", "roles/storage.objectUser"),
    ("images", "roles/storage.objectViewer"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Make the deployment once, with a builder."""
    with deployed(tmp_path_factory.mktemp("buckets"), builder=BUILDER) as made:
        yield made


@pytest.fixture
def project(made: Deployed) -> Deployed:
    """Give it, well."""
    made.heal()
    return made


def full(bucket: str) -> str:
    """Return the full resource of a bucket."""
    return f"storage.googleapis.com/projects/_/buckets/{bucket}"


def bind(project: Deployed, resource: str, email: str, role: str) -> None:
    """Add a binding."""
    project.cloud.policies[resource]["bindings"].append({"role": role, "members": [f"serviceAccount:{email}"]})


def found(lines: list[Line], name: str) -> Line:
    """Return the line of a check."""
    return next(line for line in lines if line.name == name)


@contextmanager
def acting(project: Deployed, account: str) -> Iterator[storage.Client]:
    """Act as an account, where IAM is in force."""
    project.cloud.enforce(Enforcement(project.cloud, OWNER).allows)
    with patch.dict(os.environ, project.cloud.environ(account), clear=True):
        yield storage.Client(project="p1")


def of_the_project(project: Deployed) -> Deployment:
    """Return the deployment with its launch-config, as our commands read it."""
    return replace(DEPLOYMENT, config=read_launch_config(project.folder / "launch-config.yaml"))


def carry_out_all(project: Deployed, steps: Iterable[Step]) -> None:
    """Carry out steps by the real gcloud, as the owner: those of buckets only, as the others take a minute."""
    with patch.dict(os.environ, project.environ(OWNER), clear=True):
        gcloud.carry_out_all([[step] for step in steps if "gs://" in step.name], Console())


def test_each_account_can_do_what_its_bucket_is_for_and_nothing_else(project: Deployed) -> None:
    """Computed from the policies that bootstrap has set: every account, bucket and permission."""
    enforcement = Enforcement(project.cloud, OWNER)
    emails = {role: DEPLOYMENT.account(role) for role in ACCOUNTS} | {"trainer": TRAINER}
    can = {
        (role, bucket.removeprefix("p1-launch-"), permission.removeprefix("storage.objects."))
        for role, email in emails.items()
        for bucket in (LEDGER, STAGING, SOURCES, CONTEXTS)
        for permission in ON_BUCKETS
        if enforcement.allows(email, permission, f"{full(bucket)}/objects/x")
    }
    everything = ("create", "delete", "get", "list")
    assert can == {
        *((verb, "ledger", action) for verb in ("poll", "submit", "status") for action in everything),
        ("build", "ledger", "get"),
        ("build", "ledger", "list"),
        *(("trainer", "staging", action) for action in everything),
        ("build", "sources", "get"),
        ("test", "sources", "get"),
        ("submit", "contexts", "create"),
        ("images", "contexts", "get"),
    }


@pytest.mark.parametrize("bucket", CLOSED)
def test_a_job_reaches_none_of_the_other_buckets(project: Deployed, bucket: str) -> None:
    """Google's own client, as the account of a job, is refused each call; nothing has changed."""
    project.cloud.state.objects[bucket, "x"] = StoredObject(b"theirs", 1)
    with acting(project, TRAINER) as client:
        blob = client.bucket(bucket).blob("x")
        calls: list[Any] = [
            blob.download_as_bytes,
            blob.delete,
            blob.reload,
            lambda: blob.upload_from_string("mine", retry=None),
            lambda: list(client.list_blobs(bucket)),
            lambda: client.get_bucket(bucket),
            lambda: client.bucket(bucket).get_iam_policy(),
        ]
        for call in calls:
            with pytest.raises(Forbidden):
                call()
        ours = client.bucket(STAGING).blob("jobs/x")
        ours.upload_from_string("output")
        assert ours.download_as_bytes() == b"output"
    assert project.cloud.object(bucket, "x") == b"theirs"


def test_the_buckets_are_closed_and_contexts_live_for_a_day(project: Deployed) -> None:
    """All in the region of the jobs, each with its rule, and with what Google keeps of deleted objects."""
    rules, restorable = {}, {}
    for name in (LEDGER, STAGING, SOURCES, CONTEXTS):
        bucket = project.bucket(name)
        assert bucket["location"] == "US-CENTRAL1"
        assert bucket["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"]
        assert bucket["iamConfiguration"]["publicAccessPrevention"] == "enforced"
        rules[name] = bucket.get("lifecycle", {}).get("rule", [])
        restorable[name] = int(bucket["softDeletePolicy"]["retentionDurationSeconds"])
    assert rules[CONTEXTS] == [{"action": {"type": "Delete"}, "condition": {"age": 1}}]
    assert rules[SOURCES] == [{"action": {"type": "Delete"}, "condition": {"age": 30}}]
    assert [name for name, rule in rules.items() if rule] == [LEDGER, SOURCES, CONTEXTS]
    assert restorable == {LEDGER: 7 * 24 * 3600, STAGING: 0, SOURCES: 0, CONTEXTS: 0}
    code, lines = project.doctor("project", "access")
    assert [line for line in lines if line.sign != "✓"] == []
    assert {"sources bucket", "contexts bucket", "contexts' rule"} <= {line.name for line in lines}
    assert code == 0


def test_the_repository_keeps_the_last_images_of_each_function(project: Deployed) -> None:
    """An existing repository gets the policies, too; the images of code jobs are left to their owner."""
    name = f"artifactregistry.googleapis.com/{DEPLOYMENT.repository}"
    [step] = [step for step in resources(DEPLOYMENT) if step.name == "Artifact Registry repository launch"]
    earlier: tuple[dict[str, Any] | None, ...] = ({}, {"keep-last": {}}, None)
    for policies in earlier:
        project.cloud.resources[name] |= {"cleanupPolicies": policies or {}}
        if policies is None:
            del project.cloud.resources[name]
        with patch.dict(os.environ, project.environ(OWNER), clear=True):
            assert carry_out(step) == ("created" if policies is None else "updated")
            assert carry_out(step) == "exists"
        there = project.cloud.resources[name]["cleanupPolicies"]
        assert there["keep-last"]["action"] == "Keep"
        assert there["keep-last"]["mostRecentVersions"] == {"keepCount": 10}
        older = there["delete-old"]["condition"]["olderThan"]
        assert older in ("2592000s", "2592000.0s")  # gcloud writes 30d as a float or not


def test_a_deployment_with_one_staging_bucket_is_upgraded(project: Deployed) -> None:
    """Doctor names what is missing and what is surplus; bootstrap creates the one, and removes the other.

    An earlier guide let its reader create the contexts' bucket by hand, without a rule.
    """
    project.cloud.state.remove(full(SOURCES))
    del project.bucket(CONTEXTS)["lifecycle"]
    for role, rights in OF_EARLIER_VERSIONS:
        bind(project, full(STAGING), DEPLOYMENT.account(role), rights)
    code, lines = project.doctor("project", "access")
    old = [line for line in lines if line.name == f"surplus access to {STAGING}"]
    assert {(line.sign, line.message.partition(" has ")[0]) for line in old} == {
        ("!", DEPLOYMENT.account(role)) for role, _ in OF_EARLIER_VERSIONS
    }
    for name, sign, message in (("sources bucket", "✗", "does not exist"), ("contexts' rule", "!", "is missing")):
        line = found(lines, name)
        assert (line.sign, code) == (sign, 1)
        assert message in line.message
        assert "vertex-launch bootstrap" in line.fixes[0]
    deployment = of_the_project(project)
    carry_out_all(project, resources(deployment))
    carry_out_all(project, [step for [step] in bindings_by_resource(deployment, prune=True).values()])
    code, lines = project.doctor("project", "access")
    assert ([line for line in lines if line.sign != "✓"], code) == ([], 0)


def test_a_bucket_of_another_project_is_not_taken(project: Deployed) -> None:
    """Names of buckets are global: what somebody else has created is neither used nor deleted."""
    project.bucket(SOURCES)["projectNumber"] = "999"
    [step] = [step for step in resources(DEPLOYMENT) if step.name == f"bucket gs://{SOURCES}"]
    with patch.dict(os.environ, project.environ(OWNER), clear=True), pytest.raises(GcloudError) as refused:
        carry_out(step)
    assert f"gs://{SOURCES} belongs to the project number 999, not to p1" in refused.value.message
    code, lines = project.doctor("project")
    line = found(lines, "sources bucket")
    assert (line.sign, code) == ("✗", 1)
    assert "belongs to another project, number 999" in line.message


def test_destroy_deletes_the_deployments_own_buckets(project: Deployed) -> None:
    """The ledger and the contexts; not the output of jobs, nor a bucket of another project."""
    project.bucket(SOURCES)["projectNumber"] = "999"
    project.cloud.state.objects[CONTEXTS, "launch-builds/x"] = StoredObject(b"code", 1)
    with patch.dict(os.environ, project.environ(OWNER), clear=True):
        deletions = existing(one for one in of_bootstrap(DEPLOYMENT) if "gs://" in one.name)
    carry_out_all(project, deletions)
    left = {name.rpartition("/")[2] for name in project.cloud.resources if name.startswith(full(""))}
    assert left == {STAGING, SOURCES}


def test_accounts_of_jobs_that_reach_too_far_are_named(project: Deployed) -> None:
    """On a closed bucket, or on all buckets of the project; and a queue whose jobs have no account of their own."""
    bind(project, full(LEDGER), TRAINER, "roles/storage.objectViewer")
    bind(project, PROJECT, TRAINER, "roles/storage.objectAdmin")
    project.make_queue("anybody", put(VERTEX, ("run",), {}))
    project.configure(queues=["vertex", "anybody"])
    code, lines = project.doctor("access")
    on_ledger, on_project = found(lines, f"surplus access to {LEDGER}"), found(lines, "jobs' accounts")
    assert (on_ledger.sign, on_project.sign, code) == ("✗", "!", 1)
    assert "lets a job reach gs://p1-launch-ledger" in on_ledger.message
    assert "roles/storage.objectAdmin --condition=None" in on_project.fixes[1]
    queue = found(lines, "account of queue anybody")
    assert (queue.sign, "reaches every bucket" in queue.message) == ("!", True)
    for command in (on_ledger.fixes[0], on_project.fixes[1]):
        done = project.run(command)
        assert done.returncode == 0, done.stderr
    _, lines = project.doctor("access")
    assert {line.name for line in lines if line.sign != "✓"} == {"account of queue anybody"}


def test_a_queue_on_a_reserved_bucket_is_named(project: Deployed) -> None:
    """Before its first launch is refused."""
    project.make_queue("ledger", put(VERTEX, ("spec", "staging_bucket"), "gs://p1-research-ledger/x"))
    project.configure(queues=["ledger"])
    code, lines = project.doctor("project")
    line = found(lines, "bucket of queue ledger")
    assert (line.sign, code) == ("✗", 1)
    assert "a bucket that holds the ledger of the deployment research" in line.message


@pytest.mark.parametrize(
    ("options", "config", "says"),
    [
        (["--staging-bucket=p1-launch-ledger"], {}, "--staging-bucket is 'p1-launch-ledger', a bucket that holds the"),
        (["--staging-bucket=gs://p1-launch-sources/"], {}, "the sources of builds of this deployment"),
        (["--staging-bucket=p1-research-contexts"], {}, "the contexts of image builds of the deployment research"),
        (
            [],
            {"ladder": {"regions": [{"region": "europe-west4", "staging_bucket": "gs://p1-launch-ledger"}]}},
            "ladder.regions.0.staging_bucket is",
        ),
        ([], {"builder": {**BUILDER, "build-context-store": "gs://p1-launch-ledger/open"}}, "builder.build-context-st"),
    ],
)
def test_a_bucket_with_another_purpose_is_refused(
    tmp_path: Path, options: list[str], config: dict[str, Any], says: str
) -> None:
    """By each command, before it does anything."""
    file = tmp_path / "launch-config.yaml"
    file.write_text(yaml.safe_dump({"entity": "team", "queues": ["vertex"], **config}), encoding="utf-8")
    where = ["--project=p1", "--region=us-central1", f"--config={file}", *options]
    done = CliRunner().invoke(main, ["bootstrap", "--print", *where])
    assert done.exit_code == 1
    assert says in done.stderr
    assert "gcloud" not in done.stdout


def test_a_project_of_a_domain_has_plain_names() -> None:
    """Buckets cannot contain a colon; the rule of names is the one of deploy/cloud/function.sh."""
    deployment = Deployment("example.com:p1", "us-central1")
    assert deployment.sources_bucket == "example-com-p1-launch-sources"
    assert deployment.reserved.problem("gs://example-com-p1-research-ledger")
