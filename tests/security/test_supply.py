"""The supply chain: what the build's accounts may do, whose code they run, and who may start them."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from google.api_core import exceptions as google_errors
from google.cloud import storage
from google.iam.v1.policy_pb2 import Binding as IamBinding
from google.iam.v1.policy_pb2 import Policy
from google.pubsub_v1 import PublisherClient

from deploy.cloud import waiting
from deploy.cloud.deployment import Deployment
from deploy.cloud.iam import bindings, custom_roles, table
from deploy.cloud.provision.parts import BOOTSTRAP_AGAIN
from tests.cloud.acting import cloud_for
from tests.cloud.world import Cloud
from tests.deployment.enforcement import Enforcement
from tests.deployment.rehearsal import ROOT, rehearsal
from tests.deployment.test_cloudbuild import loaded, step
from tests.deployment.test_provision import provision

DEPLOYMENT = Deployment("p1", "us-central1", number="123456789012")
BUILD, TEST = (DEPLOYMENT.account(name) for name in ("build", "test"))
PROJECT = "cloudresourcemanager.googleapis.com/projects/p1"
FOREIGN = "projects/p1/topics/payments"  # of another team
SERVICE = f"run.googleapis.com/{DEPLOYMENT.parent}/services/payments"
DAYS = timedelta(days=2)
PIP = (sys.executable, "-m", "pip", "download", "--no-index")


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Give a project with the bindings that bootstrap sets, in which this process is the build."""
    with cloud_for(BUILD, tmp_path, monkeypatch) as made:
        for name, role in custom_roles(DEPLOYMENT).items():
            full = f"iam.googleapis.com/projects/p1/roles/{DEPLOYMENT.custom_role(name)}"
            made.resources[full] = {"includedPermissions": list(role.permissions)}
        made.policies[PROJECT] = {
            "version": 3,
            "bindings": [
                {
                    "role": b.role,
                    "members": [b.member],
                    **({"condition": {"expression": b.condition}} if b.condition else {}),
                }
                for b in bindings(DEPLOYMENT)
                if b.kind in ("project", "sources")
            ],
        }
        made.resources[f"pubsub.googleapis.com/{FOREIGN}"] = {"name": FOREIGN}
        yield made


@pytest.fixture
def iam(cloud: Cloud) -> Enforcement:
    """Put IAM in force."""
    made = Enforcement(cloud, "owner@example.com")
    cloud.enforce(made.allows)
    return made


def publish_rights(topic: str) -> None:
    """Let everybody publish on a topic, as the build."""
    client = PublisherClient(transport="rest")
    policy = Policy(bindings=[IamBinding(role="roles/pubsub.publisher", members=["allUsers"])])
    client.set_iam_policy(request={"resource": topic, "policy": policy})


def test_the_build_sets_no_policy_after_its_first_days(cloud: Cloud, iam: Enforcement) -> None:
    """The permission has ended, for topics and services of another team and for ours."""
    iam.later = DAYS
    with pytest.raises(google_errors.Forbidden):
        publish_rights(FOREIGN)
    with pytest.raises(google_errors.Forbidden):
        publish_rights(f"projects/p1/topics/{DEPLOYMENT.topic}")
    assert not iam.allows(BUILD, "run.services.setIamPolicy", SERVICE)
    assert f"pubsub.googleapis.com/{FOREIGN}" not in cloud.policies


def test_no_permission_to_set_a_policy_lasts() -> None:
    """In the whole table: who may set a policy on the project's resources may do so for a day."""
    lasting = {
        (binding.member, permission)
        for binding in bindings(DEPLOYMENT)
        for permission in binding.permissions
        if permission.endswith(("setIamPolicy", ".create")) and binding.kind == "project" and not binding.expires
    }
    watching = {"logging.logMetrics.create", "monitoring.alertPolicies.create", "monitoring.dashboards.create"}
    jobs = {"aiplatform.customJobs.create", "logging.logEntries.create"}
    assert {permission for _, permission in lasting} == jobs | watching, "later versions have other metrics and alerts"


def test_a_subscription_of_another_team_cannot_be_redirected(iam: Enforcement) -> None:
    """The build changes topics and subscriptions of its deployment only."""
    iam.later = DAYS
    for permission, name in (("subscriptions.update", "subscriptions/payments"), ("topics.update", "topics/payments")):
        assert not iam.allows(BUILD, f"pubsub.{permission}", f"pubsub.googleapis.com/projects/p1/{name}")


def test_a_late_first_build_names_the_fix(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is half made; the owner reads what to run, after the build has waited for a new binding."""
    monkeypatch.setattr(waiting, "sleep", lambda *_: None)
    bucket = DEPLOYMENT.ledger_bucket
    storage.Client(project="p1").create_bucket(bucket, location="us-central1")
    role = f"projects/p1/roles/{DEPLOYMENT.custom_role('ledger')}"
    ledger = {"role": role, "members": [f"serviceAccount:{BUILD}"]}
    cloud.policies[f"storage.googleapis.com/projects/_/buckets/{bucket}"] = {"version": 1, "bindings": [ledger]}
    cloud.enforce(Enforcement(cloud, "owner@example.com", later=DAYS).allows)
    done = provision()
    assert done.exit_code == 1
    assert "topics/launch-requests" in done.output
    assert BOOTSTRAP_AGAIN in done.output


def test_a_condition_on_a_name_would_grant_nothing(cloud: Cloud, iam: Enforcement) -> None:
    """Google gives conditions no names of topics and services: the loopback cloud shows it, so nobody relies on it."""
    condition = {"expression": f'resource.name.startsWith("{FOREIGN}")'}
    role = f"projects/p1/roles/{DEPLOYMENT.custom_role('first_build')}"
    cloud.policies[PROJECT]["bindings"] = [
        {"role": role, "members": [f"serviceAccount:{BUILD}"], "condition": condition}
    ]
    assert not iam.allows(BUILD, "pubsub.topics.setIamPolicy", f"pubsub.googleapis.com/{FOREIGN}")


# --- the tests run as an account without permissions


def test_a_test_package_runs_as_an_account_that_can_do_nothing(iam: Enforcement) -> None:
    """It reads the source and writes the log; each other permission of the table is refused, on our resources too."""
    build = yaml.safe_load((ROOT / "deploy/cloud/test.yaml").read_text(encoding="utf-8"))
    assert build["serviceAccount"].endswith("/${_NAME}-test@$PROJECT_ID.iam.gserviceaccount.com")
    [only] = build["steps"]
    _, mirror, run = only["script"].splitlines()
    assert mirror == "if [[ -n ${_PIP_INDEX_URL} ]]; then export PIP_INDEX_URL=${_PIP_INDEX_URL}; fi"
    assert run == "exec .ci/run"
    held = {(b.permissions, b.kind) for b in bindings(DEPLOYMENT) if b.member == f"serviceAccount:{TEST}"}
    assert held == {(("logging.logEntries.create",), "project"), (("storage.objects.get",), "build_sources")}
    everything = {p for row in table().bindings for p in row.needs} | {
        p for role in table().roles.values() for p in role.permissions
    }
    allowed = {permission for permission in everything if iam.allows(TEST, permission, PROJECT)}
    assert allowed == {"logging.logEntries.create"}
    acting = [b for b in bindings(DEPLOYMENT) if "iam.serviceAccounts.actAs" in b.permissions]
    assert TEST not in {b.member.partition(":")[2] for b in acting} | {b.resource for b in acting}


def test_the_deploying_build_runs_no_test_package() -> None:
    """Its one step of pip installs the hashed packages of the deployment, and no step runs the tests."""
    build = loaded()
    assert "--require-hashes" in step(build, "install")["script"]
    scripts = "".join(one["script"] for one in build["steps"])
    assert not {".ci/run", "pytest", "make "} & {
        word for word in (".ci/run", "pytest", "make ") if word in scripts.replace("(make bench)", "")
    }


def test_a_package_with_other_content_is_not_installed(tmp_path: Path) -> None:
    """An index or a mirror serves another file under a pinned name and version: pip refuses it. By the real pip."""
    pinned = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith(("six==", " "))]
    start = next(n for n, line in enumerate(pinned) if line.startswith("six=="))
    (tmp_path / "requirements.txt").write_text("\n".join(pinned[start : start + 3]).rstrip(" \\") + "\n")
    name = pinned[start].partition(" ")[0].replace("==", "-")
    wheel = tmp_path / f"{name}-py2.py3-none-any.whl"
    subprocess.run(
        [sys.executable, "-c", FORGED, str(wheel), name], check=True, cwd=tmp_path, capture_output=True, text=True
    )
    done = subprocess.run(
        [*PIP, f"--find-links={tmp_path}", "--dest=out", "--requirement=requirements.txt"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not list(tmp_path.glob("out/*.whl"))


FORGED = """
import sys, zipfile
path, name = sys.argv[1:]
with zipfile.ZipFile(path, "w") as wheel:
    info = f"{name}.dist-info/"
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: six\\nVersion: " + name.partition("-")[2] + "\\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(info + "RECORD", "")
"""


def test_a_caller_that_has_access_is_not_bound_again() -> None:
    """So a later build needs no permission to set a policy; without access, a refusal names the fix."""
    script, given = step(loaded(), "deploy-poll")["script"], {"PROJECT_ID": "p1", "COMMIT_SHA": "c", "_NAME": "launch"}
    caller = "serviceAccount:launch-scheduler@p1.iam.gserviceaccount.com"
    for bound, calls in ((caller, 0), (f"x{caller}", 1)):
        with rehearsal({**given, "_REGION": "r"}) as stage:
            stage._recorder.program("gcloud", f'[[ "$*" == *get-iam-policy* ]] && echo {bound}; true')  # noqa: SLF001
            assert stage.run(script) == 0, stage.output
            assert len([call for call in stage.calls() if "add-invoker-policy-binding" in call]) == calls
    with rehearsal({**given, "_REGION": "r"}) as stage:
        stage._recorder.program("gcloud", '[[ "$*" != *add-invoker* ]]')  # noqa: SLF001
        assert stage.run(script) == 1
        assert "run bootstrap again, then build" in stage.output


def test_a_function_that_everybody_may_call_fails_the_build() -> None:
    """The first deployment closes it; a later build cannot set the policy, but reads it and names the fix."""
    script, given = step(loaded(), "deploy-poll")["script"], {"PROJECT_ID": "p1", "COMMIT_SHA": "c", "_NAME": "launch"}
    missing = '[[ "$*" == *describe* ]] && { echo "Cannot find service" >&2; exit 1; }; true'
    with rehearsal({**given, "_REGION": "r"}) as stage:
        stage._recorder.program("gcloud", missing)  # noqa: SLF001
        assert stage.run(script) == 0, stage.output
        [deploy] = [call for call in stage.calls() if "deploy" in call]
        assert "--no-allow-unauthenticated" in deploy
    with rehearsal({**given, "_REGION": "r"}) as stage:
        stage._recorder.program("gcloud", '[[ "$*" == *get-iam-policy* ]] && echo allUsers; true')  # noqa: SLF001
        assert stage.run(script) == 1
        assert "launch-poll: everybody can call it" in stage.output


# --- who may start a build from CI


def test_ci_is_one_branch_of_one_repository() -> None:
    """By its numeric id, which nobody can register again; no pull request, and no token for another address."""
    guide = (ROOT / "docs/how-to/build-from-ci.md").read_text(encoding="utf-8")
    condition, of_gitlab = [line for line in guide.splitlines() if "--attribute-condition=" in line]
    for part in ("project_id=='$PROJECT_ID'", "ref_type=='branch'", "ref=='$BRANCH'", "ref_protected=='true'"):
        assert f"assertion.{part}" in of_gitlab
    assert " || " not in of_gitlab
    assert "--allowed-audiences=https://iam.googleapis.com/$POOL/providers/gitlab" in guide
    assert "attribute.project_id/$PROJECT_ID" in guide
    for part in (
        "repository_id=='$REPOSITORY_ID'",
        "ref=='refs/heads/$BRANCH'",
        "event_name in ['push', 'workflow_dispatch']",
    ):
        assert f"assertion.{part}" in condition
    assert " || " not in condition
    assert "assertion.repository=" not in guide
    assert "--allowed-audiences=https://iam.googleapis.com/$POOL/providers/github" in guide
    assert "attribute.repository_id/$REPOSITORY_ID" in guide
    assert not {"roles/editor", "roles/owner", "roles/cloudbuild.builds.editor"} & set(guide.replace("\\", " ").split())
