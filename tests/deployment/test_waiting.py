"""Errors of Google that pass by themselves: every command of bootstrap, provision and the build waits for them."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from google.cloud import storage

from deploy.__main__ import main
from deploy.cloud import gcloud, waiting
from deploy.cloud.gcloud import GcloudError, Step, carry_out
from deploy.cloud.waiting import DENIED, LAG, Patience, passing
from tests.cloud.warm import warm_gcloud
from tests.cloud.world import Cloud
from tests.deployment.rehearsal import ROOT, Recorder
from tests.deployment.test_provision import BUILD, WRITES, deploy_submit, provision

OWNER = "owner@example.com"
TRAINER = "trainer@p1.iam.gserviceaccount.com"
REAL = pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
# Google's words, as people reported them, with their HTTP status and its name
REPORTED = {
    "a new account": (
        400,
        "Service account launch-poll@p1.iam.gserviceaccount.com does not exist.",
        "INVALID_ARGUMENT",
    ),
    "a new API": (
        403,
        "Eventarc API has not been used in project 1 before or it is disabled. Enable it by visiting … If you enabled "
        "this API recently, wait a few minutes for the action to propagate to our systems and retry.",
        "PERMISSION_DENIED",
    ),
    "aborted": (409, "The operation was aborted, please retry", "ABORTED"),
    "a policy": (409, "There were concurrent policy changes. Please retry the whole read-modify-write.", "ABORTED"),
    "a precondition": (412, "At least one of the pre-conditions you specified did not hold.", "FAILED_PRECONDITION"),
    "a new agent": (400, "Permission denied while using the Eventarc Service Agent.", "FAILED_PRECONDITION"),
    "a new role": (
        400,
        "Role (projects/p1/roles/launch_submit) does not exist in the resource's hierarchy.",
        "INVALID_ARGUMENT",
    ),
    "a new binding": (
        403,
        "Permission 'iam.serviceAccounts.actAs' denied on resource (or it may not exist).",
        "PERMISSION_DENIED",
    ),
}
# gcloud's own forms of these, of `gcloud storage`, `iam`, `projects` and others
PRINTED = {
    "(gcloud.storage.buckets.update) B instance [b] is the subject of a conflict: Please retry.": LAG,
    "(gcloud.iam.roles.create) Resource in projects [p1] is the subject of a conflict: The operation was aborted": LAG,
    "(gcloud.storage.buckets.add-iam-policy-binding) HTTPError 412: At least one of the pre-conditions you …": LAG,
    "(gcloud.storage.buckets.create) FAILED_PRECONDITION: conflict": LAG,
    "(gcloud.storage.buckets.create) HTTPError 403: Permission denied on Cloud KMS key. Please ensure that …": LAG,
    "(gcloud.projects.get-iam-policy) [me] does not have permission to access projects instance [p1]": DENIED,
    "(gcloud.storage.buckets.describe) HTTPError 403: me does not have storage.buckets.get access": DENIED,
    "(gcloud.secrets.create) Resource in projects [p1] is the subject of a conflict: Secret [s] already exists.": "",
    "(gcloud.iam.roles.update) FAILED_PRECONDITION: You can't update the role: it has been deleted.": "",
    "(gcloud.functions.deploy) INVALID_ARGUMENT: Could not create Cloud Run service: quota limit 412 exceeded": "",
    "(gcloud.projects.describe) NOT_FOUND: project p-409-aborted-403": "",
}
FLAKY = """
key=$(printf '%s' "$*" | cksum | tr ' ' -)
if [[ ! -e {folder}/$key ]]; then
  touch {folder}/$key
  echo "ERROR: (gcloud) {error}" >&2
  exit 1
fi
case "$*" in
  *'projects describe'*) echo '{{"projectNumber": "12"}}' ;;
  *describe*) echo 'NOT_FOUND' >&2; exit 1 ;;
  *list*) echo '[]' ;;
esac
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let minutes be a moment."""
    monkeypatch.setattr(waiting, "sleep", lambda *_: None)


@pytest.mark.parametrize("error", PRINTED)
def test_the_table_reads_gclouds_words(error: str) -> None:
    """An error that stays, and a name that looks like a status, are not waited for."""
    found = passing(f"ERROR: {error}")
    assert (found.kind if found else "") == PRINTED[error]


@pytest.mark.parametrize("case", REPORTED)
def test_every_command_of_bootstrap_waits(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command fails once: each is repeated once, and the reason is shown."""
    _, words, name = REPORTED[case]
    config = tmp_path / "launch-config.yaml"
    builder = "builder: {type: cloud-build, destination: us-central1-docker.pkg.dev/p1/launch-jobs/code}"
    config.write_text(f"policy: {{service_accounts: [{TRAINER}]}}\n{builder}\n", encoding="utf-8")
    seen = tmp_path / "seen"
    seen.mkdir()
    recorder = Recorder(tmp_path)
    recorder.program("gcloud", FLAKY.format(folder=seen, error=f"{name}: {words}"))
    monkeypatch.setenv("PATH", recorder.path)
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    key = "--kms-key=projects/p1/locations/us-central1/keyRings/k/cryptoKeys/c"
    done = CliRunner().invoke(main, ["bootstrap", "--project=p1", "--region=us-central1", key, f"--config={config}"])
    assert done.exit_code == 0, done.output
    calls = [tuple(call) for call in recorder.calls()]
    once = {call for call in calls if calls.count(call) == 1}
    assert once == set()
    assert re.search(r"Waiting \(0 of at most \d+ s\): ", done.stderr)
    for api in ("eventarc", "pubsub"):
        assert any(f"--service={api}.googleapis.com" in call and "identity" in call for call in calls)


def test_it_gives_up_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the bound, the error is shown with its command; a refused permission has a shorter bound."""
    recorder = Recorder(tmp_path)
    recorder.program("gcloud", 'echo "ERROR: (gcloud.x) PERMISSION_DENIED: no" >&2; exit 1')
    monkeypatch.setenv("PATH", recorder.path)
    with pytest.raises(GcloudError) as refused:
        gcloud.run(("projects", "describe", "p1"), patience=Patience(denied=60))
    assert refused.value.message == "gcloud projects describe p1\nERROR: (gcloud.x) PERMISSION_DENIED: no"
    assert len(recorder.calls()) == 6
    recorder.program("gcloud", 'echo "ERROR: (gcloud.x) INVALID_ARGUMENT: no" >&2; exit 1')
    with pytest.raises(GcloudError):
        gcloud.run(("projects", "describe", "p1"))
    assert len(recorder.calls()) == 7


def test_what_somebody_else_did_at_the_same_time_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resource that another bootstrap has created meanwhile exists; an error without a change stays."""
    recorder = Recorder(tmp_path)
    there = tmp_path / "there"
    recorder.program(
        "gcloud",
        f"""case "$*" in
  *describe*) if [[ -e {there} ]]; then echo '{{"labels": {{}}}}'; else echo NOT_FOUND >&2; exit 1; fi ;;
  *create*) touch {there}; echo 'ERROR: ALREADY_EXISTS: it is there' >&2; exit 1 ;;
  *update*) echo 'ERROR: INVALID_ARGUMENT: no' >&2; exit 1 ;;
esac""",
    )
    monkeypatch.setenv("PATH", recorder.path)
    step = Step("x", ("x", "create"), describe=("x", "describe"))
    assert carry_out(step) == "exists"
    failing = Step("x", ("x", "create"), describe=("x", "describe"), updates=lambda _: [("x", "update")])
    with pytest.raises(GcloudError, match="INVALID_ARGUMENT"):
        carry_out(failing)


# --- provision


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Give a project with a ledger and nothing else, in which this process is the build."""
    for emulator in ("STORAGE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"):
        monkeypatch.delenv(emulator, raising=False)
    with Cloud(tmp_path) as made:
        for name, value in made.environ(BUILD).items():
            monkeypatch.setenv(name, value)
        storage.Client(project="p1").create_bucket("p1-launch-ledger", location="us-central1")
        yield made


def first_deployment(cloud: Cloud) -> list[Result]:
    """Run provision as the first build does."""
    before = provision()
    deploy_submit(cloud)
    return [before, provision("--complete")]


@pytest.mark.parametrize("case", REPORTED)
def test_every_call_of_provision_waits(cloud: Cloud, case: str) -> None:
    """Each call that changes something fails once, and the look at the project: all is done in the end."""
    status, words, name = REPORTED[case]
    faults = [cloud.refuse(method, path, status, words, name) for method, path in WRITES]
    faults.append(cloud.refuse("GET", "/projects/p1$", status, words, name))
    for done in first_deployment(cloud):
        assert done.exit_code == 0, done.output
        assert "Waiting (0 of at most 420 s): " in done.stderr
    assert [fault.path.pattern for fault in faults if fault.times] == []
    assert provision("--complete").output == "Nothing to change.\n"


def test_provision_does_not_wait_for_what_stays(cloud: Cloud) -> None:
    """A wrong argument fails at once."""
    cloud.refuse("PUT", "/topics/launch-requests$", 400, "Invalid resource name.")
    done = provision()
    assert done.exit_code == 1
    assert "Waiting (" not in done.stderr
    assert "Invalid resource name." in done.stderr


# --- by the real gcloud


@REAL
def test_the_deployment_of_a_function_waits(tmp_path: Path) -> None:
    """The words of a project that never had Eventarc, then those of new bindings; `sleep` is ours."""
    workspace = tmp_path / "workspace"
    shutil.copytree(ROOT / "deploy" / "cloud", workspace / "deploy" / "cloud", ignore=shutil.ignore_patterns("*.py*"))
    for name in ("main.py", "requirements.txt"):
        (workspace / name).write_text("")
    recorder = Recorder(tmp_path)
    recorder.program("sleep")
    with Cloud(tmp_path) as cloud, warm_gcloud(cloud):
        environ = cloud.environ(BUILD)
        names = {"PROJECT_ID": "p1", "COMMIT_SHA": "c0ffee", "_REGION": "us-central1", "_NAME": "launch"}
        for case, path in (("a new agent", "/functions$"), ("aborted", ":setIamPolicy$")):
            cloud.refuse("POST", path, *REPORTED[case])
        done = subprocess.run(
            ["deploy/cloud/function.sh", "poll", "scheduler", "--trigger-http", "--timeout=60s"],
            env={**environ, **names, "PATH": f"{recorder.bin}:{environ['PATH']}"}, cwd=workspace,
            capture_output=True, text=True, check=False, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Waiting (0 of at most 420 s): Eventarc's service agent does not have its role yet." in done.stderr
        assert ["sleep", "2"] in recorder.calls()
        assert any(full.endswith("functions/launch-poll") for full in cloud.resources)


@REAL
@pytest.mark.long
def test_two_people_at_once_both_succeed(tmp_path: Path) -> None:
    """And each command of both meets Google's words for that once."""
    config = tmp_path / "launch-config.yaml"
    config.write_text(json.dumps({"policy": {"service_accounts": [TRAINER]}}), encoding="utf-8")
    with Cloud(tmp_path) as cloud, warm_gcloud(cloud):
        full = f"projects/p1/serviceAccounts/{TRAINER}"
        cloud.resources[f"iam.googleapis.com/{full}"] = {"name": full, "email": TRAINER}
        code = "from deploy.__main__ import main; main()"
        command = ["bootstrap", "--project=p1", "--region=us-central1", f"--config={config}"]
        environs = [{**cloud.environ(who), "WANDB_API_KEY": "k" * 40} for who in (OWNER, "second@example.com")]
        python = str(ROOT / ".venv/bin/python")
        people = [
            subprocess.Popen(
                [python, "-c", code, *command],
                env=environ,
                cwd=ROOT,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for environ in environs
        ]
        outputs = [person.communicate(timeout=400)[0] for person in people]
        assert [person.returncode for person in people] == [0, 0], outputs
