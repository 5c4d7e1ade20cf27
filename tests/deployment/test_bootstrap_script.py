"""What `bootstrap --print` prints: one script that prepares the project from an empty folder, by dash and gcloud."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.__main__ import main
from deploy.cloud import waiting
from tests.cloud.calls import Call
from tests.cloud.warm import warm_gcloud
from tests.cloud.world import Cloud
from tests.deployment.enforcement import Enforcement

pytestmark = [
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed: the script calls it"),
    pytest.mark.skipif(shutil.which("dash") is None, reason="dash is not installed: it runs the script"),
]

OWNER = "owner@example.com"
KEY = "0123456789" * 4
OTHER = "other@p1.iam.gserviceaccount.com"
IMAGES = "artifactregistry.googleapis.com/projects/p1/locations/us-central1/repositories/launch"
PROJECT = "cloudresourcemanager.googleapis.com/projects/p1"
MAY_LOOK = re.compile(r".*\.(get|list|getIamPolicy)")
GIVES_ACCESS = ("iam.serviceAccounts.setIamPolicy", "storage.buckets.setIamPolicy")
TRAINER = "trainer@p1.iam.gserviceaccount.com"
CHANGING = (
    "etag",
    "updateTime",
    "updated",
    "metageneration",
    "createTime",
    "timeCreated",
    "uniqueId",
    "oauth2ClientId",
)
CONFIG = f"""
entity: team
queues: [vertex]
policy: {{service_accounts: [{TRAINER}]}}
builder: {{type: cloud-build, destination: us-central1-docker.pkg.dev/p1/launch-jobs/code}}
"""


def printed(folder: Path) -> str:
    """Return the script."""
    config = folder / "launch-config.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    options = ["--project=p1", "--region=us-central1", f"--config={config}"]
    done = CliRunner().invoke(main, ["bootstrap", "--print", *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def run(cloud: Cloud, folder: Path, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it by dash, in a folder with nothing else."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "script").write_text(script, encoding="utf-8")
    done = subprocess.run(
        ["dash", "script"], cwd=elsewhere, env={**cloud.environ(OWNER), "TMPDIR": str(elsewhere), **environ},
        capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert KEY not in done.stdout + done.stderr
    assert [left.name for left in elsewhere.iterdir()] == ["script"]
    return done


def state(cloud: Cloud) -> dict[str, Any]:
    """Return resources and policies, without what changes with every write."""
    resources = {
        full: {key: value for key, value in found.items() if key not in CHANGING}
        for full, found in cloud.resources.items()
    }
    policies = {
        full: sorted((b["role"], str(b.get("condition", {})), sorted(b["members"])) for b in policy["bindings"])
        for full, policy in cloud.policies.items()
    }
    return deepcopy({"resources": resources, "policies": policies, "secrets": cloud.state.secrets})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, Path, str]]:
    """Give a project that the script has prepared once."""
    folder = tmp_path_factory.mktemp("script")
    with Cloud(folder) as cloud, warm_gcloud(cloud):
        for email in (TRAINER, OTHER):
            full = f"projects/p1/serviceAccounts/{email}"
            cloud.resources[f"iam.googleapis.com/{full}"] = {"name": full, "email": email}
        script = printed(folder)
        done = run(cloud, folder, script, WANDB_API_KEY=KEY)
        assert done.returncode == 0, done.stdout + done.stderr
        yield cloud, folder, script


@pytest.mark.long
def test_the_second_time_it_changes_nothing(prepared: tuple[Cloud, Path, str]) -> None:
    """It asks for no key, and makes no second version of it."""
    cloud, folder, script = prepared
    before = state(cloud)
    assert cloud.state.secrets == {"projects/p1/secrets/launch-wandb-api-key/versions/1": KEY.encode()}
    again = run(cloud, folder, script)
    assert again.returncode == 0, again.stderr
    assert state(cloud) == before


@pytest.mark.long
def test_a_caller_who_may_change_little_changes_what_is_missing(
    prepared: tuple[Cloud, Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the script has done is left alone by `bootstrap`: one more account of jobs needs no owner, also days later.

    The caller may enable no API, create nothing, and set no policy of the project.
    """
    cloud, folder, _ = prepared
    policy = cloud.policies[PROJECT]
    [first] = [each for each in policy["bindings"] if "request.time" in str(each)]
    monkeypatch.setitem(first["condition"], "expression", 'request.time < timestamp("2020-01-01T00:00:00Z")')
    config = folder / "later.yaml"
    config.write_text(CONFIG.replace("]}\nbuilder", f", {OTHER}]}}\nbuilder"), encoding="utf-8")
    for name, value in cloud.environ("helper@example.com").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(waiting, "sleep", lambda *_: None)
    cloud.enforce(lambda _, what, __: bool(MAY_LOOK.fullmatch(what)) or what in GIVES_ACCESS)
    seen = len(cloud.calls)
    options = ["bootstrap", "--project=p1", "--region=us-central1", f"--config={config}"]
    done = CliRunner().invoke(main, options, catch_exceptions=False)
    cloud.enforce(lambda *_: True)
    assert done.exit_code == 0, done.output
    assert "skipped, because you lack a permission. A build that creates a function or a topic" in done.output
    assert changed(cloud.calls[seen:]) == {OTHER, "p1-launch-staging", "p1"}
    bucket = "storage.googleapis.com/projects/_/buckets/p1-launch-staging"
    assert f"serviceAccount:{OTHER}" in cloud.policy_members(bucket, "roles/storage.objectUser")


def changed(calls: list[Call]) -> set[str]:
    """Return the resources that calls tried to change."""
    written = [c for c in calls if c.method not in ("GET", "HEAD") and not c.path.endswith(("getIamPolicy", "token"))]
    return {re.sub(r"/iam$|:setIamPolicy$", "", call.path).rpartition("/")[2] for call in written}


@pytest.mark.long
def test_it_brings_roles_and_the_first_days_up_to_date(prepared: tuple[Cloud, Path, str]) -> None:
    """A role that lost a permission, a deleted role, a bucket that was opened, a binding that has ended."""
    cloud, folder, script = prepared
    before = state(cloud)
    cloud.resources["iam.googleapis.com/projects/p1/roles/launch_topics"]["includedPermissions"] = []
    cloud.resources["iam.googleapis.com/projects/p1/roles/launch_ledger"]["deleted"] = True
    cloud.resources["storage.googleapis.com/projects/_/buckets/p1-launch-ledger"]["iamConfiguration"] = {}
    cloud.resources[IMAGES].pop("cleanupPolicies")
    policy = cloud.policies[PROJECT]
    [first] = [each for each in policy["bindings"] if "request.time" in str(each)]
    first["condition"]["expression"] = 'request.time < timestamp("2020-01-01T00:00:00Z")'
    done = run(cloud, folder, script)
    assert done.returncode == 0, done.stderr
    assert state(cloud) == before


@pytest.mark.long
def test_it_stops_at_the_first_error(prepared: tuple[Cloud, Path, str]) -> None:
    """And at a bucket of somebody else, before anything is written there."""
    cloud, folder, script = prepared
    cloud.fail("POST", "/roles$|services:batchEnable$", status=400)
    cloud.state.resources.pop("iam.googleapis.com/projects/p1/roles/launch_submit")
    failed = run(cloud, folder, script)
    assert failed.returncode != 0
    assert "ready" not in failed.stdout
    bucket = cloud.resources["storage.googleapis.com/projects/_/buckets/p1-launch-ledger"]
    bucket["projectNumber"] = "999"
    seen = len(cloud.calls)
    foreign = run(cloud, folder, script)
    bucket["projectNumber"] = cloud.number
    assert foreign.returncode == 1
    assert "gs://p1-launch-ledger belongs to the project 999: choose another --name." in foreign.stderr
    assert [c for c in cloud.calls[seen:] if "p1-launch-ledger" in c.path and c.method != "GET"] == []
    done = run(cloud, folder, script)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_it_says_what_it_needs_for_the_key(prepared: tuple[Cloud, Path, str]) -> None:
    """Without a terminal and without WANDB_API_KEY, all else is done, and the message says how to go on."""
    cloud, folder, script = prepared
    versions = "secretmanager.googleapis.com/projects/p1/secrets/launch-wandb-api-key/versions/1"
    saved = cloud.resources.pop(versions)
    done = run(cloud, folder, script)
    cloud.resources[versions] = saved
    assert done.returncode == 1
    assert "has no version: export WANDB_API_KEY, then run this again." in done.stderr


def test_it_is_one_file_for_posix_sh(tmp_path: Path) -> None:
    """No path of the clone, no project number to fill in, every variable explained at its head."""
    script = printed(tmp_path)
    assert "deploy/cloud/" not in script.replace("${waiting:-deploy/cloud/waiting.txt}", "")
    assert str(Path.cwd()) not in script
    head = script.partition("set -eu")[0]
    for file in ("images-cleanup.json", "sources-lifecycle.json", "ledger-lifecycle.json"):
        content = Path("deploy/cloud", file).read_text("utf-8").rstrip("\n")
        assert f"cat >\"${{folder}}/{file}\" <<'END'\n{content}\nEND\n" in script
        assert f'="${{folder}}/{file}"' in script
    for name in ("WANDB_API_KEY", "PROJECT_NUMBER", "FIRST_DAYS_END"):
        assert f"#   {name} " in head
    assert "PROJECT_NUMBER@" not in script
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "--shell=sh", "-"], input=script, text=True, check=True)


@pytest.mark.long
def test_a_refused_caller_sees_the_reason(prepared: tuple[Cloud, Path, str]) -> None:
    """A permission that does not come: the reason of each pause is shown."""
    cloud, folder, script = prepared
    quick = script.replace("patience_denied=60", "patience_denied=2")
    cloud.enforce(Enforcement(cloud, "somebody@else.example.com").allows)
    done = run(cloud, folder, quick)
    cloud.enforce(lambda *_: True)
    assert done.returncode != 0
    assert "Waiting (0 of at most 2 s): a permission is missing" in done.stderr
