"""What `bootstrap` and the other commands refuse before their first command, and the names that follow."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from google.cloud.aiplatform.constants.base import SUPPORTED_REGIONS

from deploy.__main__ import main
from deploy.cloud.bootstrap import submit_command
from deploy.cloud.deployment import Deployment
from deploy.cloud.regions import ALWAYS_BUILDS, JOBS, NO_EVENTARC, SCHEDULER
from shared.core.accounts import service_account
from tests.deployment.rehearsal import Recorder, rehearsal

KEY = "projects/p1/locations/europe-west1/keyRings/k/cryptoKeys/c"
REFUSED = {
    "a zone": (["--region=us-central1-a"], "which is a zone. Did you mean us-central1?"),
    "a zone in capitals": (["--region=US-CENTRAL1-B"], "which is a zone. Did you mean us-central1?"),
    "capitals": (["--region=US-Central1"], "Did you mean us-central1?"),
    "a space": (["--region= us-central1"], "Did you mean us-central1?"),
    "an unknown name": (["--region=us-centrall1"], "no region of Vertex AI that this version knows. Did you mean us-c"),
    "a continent": (["--region=eu"], "which is no single region"),
    "no location": (["--region=global"], "which is no single region"),
    "two regions": (["--region=us-central1-us-east1"], "no region of Vertex AI"),
    "no jobs": (["--region=europe-west10"], "where Vertex AI runs no CustomJob"),
    "no Eventarc": (["--region=us-east7"], "where Eventarc does not run. Write another --region, such as us-central1"),
    "no Scheduler": (["--region=europe-southwest1"], "does not run, as far as we know. Add --scheduler-region=europe-"),
    "no Scheduler there either": (
        ["--region=europe-southwest1", "--scheduler-region=europe-north1"],
        "--scheduler-region is 'europe-north1', where Cloud Scheduler does not run",
    ),
    "a number": (
        ["--project=123456789012"],
        "which is a project's number. Write its id: gcloud projects describe 1234",
    ),
    "a project in capitals": (["--project=My-Project"], "lower-case letters, digits and dashes"),
    "an underscore": (["--project=my_project"], "lower-case letters, digits and dashes"),
    "a full name": (["--project=projects/p1"], "Write the project's id"),
    "a long project": (["--project=" + "p" * 31], "up to 30 lower-case letters"),
    "a project that ends with a dash": (["--project=my-project-"], "lower-case letters, digits and dashes"),
    "a domain without a project": (["--project=example.com:"], "lower-case letters, digits and dashes"),
    "a long name": (["--name=" + "a" * 21], "write 3 to 20 lower-case letters"),
    "Google's own name": (["--name=google-launch"], "no bucket's name may contain `google`"),
    "a long bucket": (
        ["--project=a-very-long-department.example.com:my-long-project", "--name=a-name-of-many-chars"],
        "characters, and 63 are allowed. Write a shorter --name",
    ),
    "a folder as bucket": (["--staging-bucket=gs://b-1/jobs"], "write a bucket's name, without a folder"),
    "half a key": (["--kms-key=my-key"], "write projects/P/locations/R/keyRings/K/cryptoKeys/N"),
    "a key's version": ([f"--kms-key={KEY}/cryptoKeyVersions/1"], "without a version"),
    "a key of another region": ([f"--kms-key={KEY}"], "--kms-key is in europe-west1, and --region is us-central1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_before_the_first_command(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the option, the value and the fix."""
    options, says = REFUSED[case]
    recorder = Recorder(tmp_path)
    recorder.program("gcloud", "exit 1")
    monkeypatch.setenv("PATH", recorder.path)
    done = CliRunner().invoke(main, ["bootstrap", "--project=p1", "--region=us-central1", *options])
    assert done.exit_code != 0
    assert says in done.stderr
    assert [call for call in recorder.calls() if "locations" not in call] == []


def test_the_folder_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere, the launch-config would be missed, and the accounts of its jobs with it."""
    where = ["bootstrap", "--print", "--project=p1", "--region=us-central1"]
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, where)
    assert done.exit_code == 2
    assert f"launch-config.yaml does not exist in {tmp_path}. Run the command in your clone" in done.stderr
    (tmp_path / "other.yaml").write_text("entity: team\nqueues: [vertex]\n", encoding="utf-8")
    assert CliRunner().invoke(main, [*where, "--config=other.yaml"]).exit_code == 0


def test_a_region_with_few_builds_is_named() -> None:
    """Google tells nobody beforehand which projects it limits."""
    where = ["bootstrap", "--print", "--project=p1"]
    assert "build only in" in CliRunner().invoke(main, [*where, "--region=europe-west4"]).stderr
    assert CliRunner().invoke(main, [*where, "--region=europe-west4", "--build-region=europe-west1"]).stderr == ""
    assert CliRunner().invoke(main, [*where, "--region=us-central1"]).stderr == ""


def test_the_schedule_can_be_elsewhere() -> None:
    """Cloud Scheduler does not run in each region; the deployment does."""
    where = ["bootstrap", "--print", "--project=p1", "--region=europe-southwest1"]
    done = CliRunner().invoke(main, [*where, "--scheduler-region=europe-west1"])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("#!/bin/sh")


def test_the_table_of_regions_is_the_sdks() -> None:
    """A new region of the SDK needs a row."""
    assert {*JOBS, "global"} == {*SUPPORTED_REGIONS, "global"}
    assert {*ALWAYS_BUILDS} <= SCHEDULER <= JOBS
    assert NO_EVENTARC <= JOBS


@pytest.mark.parametrize(
    ("project", "email"),
    [
        ("my-project", "launch-poll@my-project.iam.gserviceaccount.com"),
        ("example.com:p", "launch-poll@p.example.com.iam.gserviceaccount.com"),
        ("ml.example.co.uk:p-1", "launch-poll@p-1.ml.example.co.uk.iam.gserviceaccount.com"),
    ],
)
def test_accounts_of_a_project_of_a_domain(project: str, email: str) -> None:
    """Google moves the domain behind the project."""
    assert service_account("launch-poll", project) == email
    assert Deployment(project, "us-central1").account("poll") == email


def test_the_build_spells_the_accounts_of_a_domains_project_alike() -> None:
    """In function.sh as in Python; the printed commands name the accounts of the builds."""
    names = {"PROJECT_ID": "example.com:p", "COMMIT_SHA": "c0ffee", "_REGION": "us-central1", "_NAME": "launch"}
    with rehearsal(names, gcloud=":") as stage:
        flag = '--trigger-service-account="${_NAME}-submit@${PROJECT_ID}.iam.gserviceaccount.com"'
        stage.run(f"#!/bin/bash\nexec deploy/cloud/function.sh submit submit --trigger-topic=t --timeout=9s {flag}\n")
        [deploy] = [call for call in stage.calls() if call[1:3] == ["functions", "deploy"]]
    deployment = Deployment("example.com:p", "us-central1")
    for option in ("service-account", "trigger-service-account"):
        assert f"--{option}={deployment.account('submit')}" in deploy
    name = f"--service-account=projects/example.com:p/serviceAccounts/{deployment.account('build')}"
    assert name in submit_command(deployment)
    assert "--service-account" not in submit_command(Deployment("p1", "us-central1"))
