"""`destroy` and `bootstrap` beside what is not theirs: two regions, two names, a foreign bucket, unmarked resources."""

import os
import shutil
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from deploy.__main__ import main
from deploy.cloud import waiting
from deploy.cloud.bootstrap_look import look_around
from deploy.cloud.deployment import FUNCTIONS, Deployment
from deploy.cloud.destroy import existing, of_bootstrap
from deploy.cloud.gcloud import GcloudError
from deploy.cloud.marks import LABEL
from tests.cloud.functions import CloudFunctions
from tests.cloud.state import StoredObject
from tests.deployment.deployed import DEPLOYMENT, KEY, OWNER, Deployed, deployed

pytestmark = pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed: these commands run it")
LEDGER, SOURCES = "p1-launch-ledger", "p1-launch-sources"
EU = Deployment("p1", "europe-west4", number="123456789012")


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no permission: what is refused here stays refused."""
    monkeypatch.setattr(waiting, "sleep", lambda *_: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Make one deployment for all tests."""
    with deployed(tmp_path_factory.mktemp("ownership")) as made:
        yield made


@pytest.fixture
def project(made: Deployed) -> Deployed:
    """Give it, well."""
    made.heal()
    return made


def run(project: Deployed, *words: str, answer: str = "", **environ: str) -> Result:
    """Run one of our commands here, as the owner; the region may be another."""
    given = {word.partition("=")[0] for word in words}
    options = [option for option in project.options if option.partition("=")[0] not in given]
    with patch.dict(os.environ, {**project.environ(OWNER), "COLUMNS": "40", **environ}, clear=True):
        return CliRunner().invoke(main, [*words, *options], input=answer, catch_exceptions=False)


def state(project: Deployed) -> dict[str, Any]:
    """Return a copy of all resources."""
    return deepcopy(dict(project.cloud.resources))


def functions_elsewhere(project: Deployed, label: str = "launch") -> None:
    """Deploy submit in another region too, as a build did before this version."""
    name = f"{EU.parent}/functions/launch-submit"
    function: dict[str, Any] = {
        "name": name, "labels": {LABEL: label}, "createTime": "2026-01-01T00:00:00Z",
        "serviceConfig": {"serviceAccountEmail": EU.account("submit")},
        "eventTrigger": {"eventType": "e", "pubsubTopic": "projects/p1/topics/launch-requests"},
    }  # fmt: skip
    project.cloud.resources[f"cloudfunctions.googleapis.com/{name}"] = function
    CloudFunctions(project.cloud.state).deployed(name, function, all_traffic=True)


@pytest.mark.parametrize("options", [[], ["--bootstrapped"], ["--bootstrapped", "--yes"]])
def test_destroy_refuses_the_wrong_region(project: Deployed, options: list[str]) -> None:
    """It shows what runs where, and for how long; and deletes nothing."""
    before = state(project)
    done = run(project, "destroy", "--region=europe-west4", *options, answer="y\n")
    assert done.exit_code == 1
    assert "the deployment launch of p1 is in us-central1, not in europe-west4" in done.stderr
    assert "Repeat with --region=us-central1." in done.stderr
    for part in (
        f"ledger gs://{LEDGER}",
        "function launch-poll",
        "trigger launch-submit-",
        "Scheduler job launch-poll",
    ):
        [line] = [line for line in done.stderr.splitlines() if line.strip().startswith(part)]
        assert line.endswith(": us-central1, less than an hour old")
    assert state(project) == before


@pytest.mark.parametrize("left", ["ledger", "functions", "jobs"])
def test_one_part_elsewhere_is_enough(project: Deployed, left: str) -> None:
    """Also where only the ledger, only the functions, or only the schedule are left."""
    gone = {
        "ledger": ["/buckets/p1-launch-ledger"], "functions": ["/functions/", "/triggers/"], "jobs": ["/jobs/"],
    }  # fmt: skip
    unwanted = [part for kind, parts in gone.items() if kind != left for part in parts]
    for full in [full for full in project.cloud.resources if any(part in full for part in unwanted)]:
        del project.cloud.resources[full]
    before = state(project)
    done = run(project, "destroy", "--region=europe-west4", "--bootstrapped", "--yes")
    assert (done.exit_code, "Repeat with --region=us-central1." in done.stderr) == (1, True)
    assert state(project) == before


def test_destroy_asks_with_project_region_and_deployment(project: Deployed) -> None:
    """The question names all three."""
    before = state(project)
    done = run(project, "destroy", answer="n\n")
    [question] = [line for line in done.stdout.splitlines() if "Delete all of this" in line]
    assert [word in question for word in ("p1", "us-central1", "launch")] == [True] * 3
    assert (done.exit_code, state(project)) == (1, before)


def test_a_schedule_in_another_location_goes_too(project: Deployed) -> None:
    """Without --scheduler-region, too: its jobs would call functions that are gone."""
    jobs = f"cloudscheduler.googleapis.com/{DEPLOYMENT.parent}/jobs/launch-poll"
    job = project.cloud.resources.pop(jobs)
    moved = job["name"].replace("us-central1", "europe-west4")
    project.cloud.resources[f"cloudscheduler.googleapis.com/{moved}"] = {**job, "name": moved}
    done = run(project, "destroy", "--yes")
    assert (done.exit_code, "Scheduler job launch-poll in europe-west4" in done.stdout) == (0, True), done.output
    assert [full for full in project.cloud.resources if "/jobs/" in full] == []


def test_two_regions_of_one_name(project: Deployed) -> None:
    """Neither is destroyed before the strays are gone; the commands for that are printed, and work."""
    functions_elsewhere(project)
    before = state(project)
    for region in ("us-central1", "europe-west4"):
        done = run(project, "destroy", f"--region={region}", "--bootstrapped", "--yes")
        assert (done.exit_code, state(project)) == (1, before)
        assert "has parts in us-central1 and europe-west4" in done.stderr
        assert "Delete the parts outside of us-central1, then repeat with --region=us-central1:" in done.stderr
    commands = [line for line in done.stderr.splitlines() if line.startswith("gcloud")]
    assert commands[0] == "gcloud functions delete launch-submit --region=europe-west4 --project=p1"
    assert project.run(f"{commands[0]} --quiet").returncode == 0
    assert "(deployment launch, region us-central1)" in run(project, "destroy", answer="n\n").stdout


@pytest.mark.parametrize("label", ["research", ""])
def test_functions_of_others_are_no_parts(project: Deployed, label: str) -> None:
    """A function of our name without our label does not decide the region."""
    functions_elsewhere(project, label)
    for full in [full for full in project.cloud.resources if "europe-west4" in full and "/triggers/" in full]:
        project.cloud.resources[full]["transport"]["pubsub"]["topic"] = "projects/p1/topics/other"
    assert "Delete all of this" in run(project, "destroy", answer="n\n").stdout


def test_bootstrap_refuses_a_second_region(project: Deployed) -> None:
    """Before the first change; it names the right region, another name, and the page."""
    before, policies = state(project), deepcopy(project.cloud.policies)
    done = run(project, "bootstrap", "--region=europe-west4", WANDB_API_KEY=KEY)
    assert done.exit_code == 1
    for says in ("is in us-central1, not in europe-west4", "choose another --name", "move-to-another-region.md"):
        assert says in done.stderr
    assert (state(project), project.cloud.policies) == (before, policies)


def test_bootstrap_refuses_the_bucket_of_a_stranger_first(project: Deployed) -> None:
    """Whether it can be read or not; nothing is created, and nobody gets access."""
    project.bucket(SOURCES)["projectNumber"] = "999"
    before, policies = state(project), deepcopy(project.cloud.policies)
    done = run(project, "bootstrap", WANDB_API_KEY=KEY)
    assert (done.exit_code, "belongs to the project number 999, not to p1" in done.stderr) == (1, True)
    theirs = f"storage.googleapis.com/projects/_/buckets/{SOURCES}"
    project.cloud.enforce(lambda _, __, resource: resource != theirs)
    done = run(project, "bootstrap", WANDB_API_KEY=KEY)
    assert (done.exit_code, "belongs to somebody else" in done.stderr) == (1, True)
    assert (state(project), project.cloud.policies) == (before, policies)


def test_a_queues_own_bucket_may_be_another_projects(project: Deployed) -> None:
    """Bootstrap and doctor say so."""
    project.bucket("p1-launch-staging")["projectNumber"] = "999"
    full = "storage.googleapis.com/projects/_/buckets/"
    project.cloud.resources[f"{full}team"] = project.cloud.resources.pop(f"{full}p1-launch-staging")
    project.cloud.policies[f"{full}team"] = project.cloud.policies[f"{full}p1-launch-staging"]
    console = Console(record=True, width=200, file=StringIO())
    with patch.dict(os.environ, project.environ(OWNER), clear=True):
        look_around(replace(DEPLOYMENT, staging="gs://team"), console)
    assert "Note: the staging bucket, gs://team, belongs to another project, number 999." in console.export_text()
    done = run(project, "doctor", "--only=project", "--staging-bucket=gs://team")
    assert "✓ staging bucket: gs://team, in us-central1, of another project, number 999" in done.stdout


def test_destroy_deletes_nothing_without_our_mark(project: Deployed) -> None:
    """Of each kind one that lost its mark, or has another's; a bucket of a stranger; and a whole second deployment."""
    resources = project.cloud.resources
    kept: dict[str, dict[str, Any]] = {
        "secretmanager.googleapis.com/projects/p1/secrets/launch-wandb-api-key": {"labels": {}},
        f"artifactregistry.googleapis.com/{DEPLOYMENT.repository}": {"labels": {LABEL: "research"}},
        "iam.googleapis.com/projects/p1/serviceAccounts/launch-poll@p1.iam.gserviceaccount.com": {
            "displayName": "mine"
        },
        "iam.googleapis.com/projects/p1/roles/launch_submit": {"title": "launch-first: launches"},
        f"storage.googleapis.com/projects/_/buckets/{SOURCES}": {"projectNumber": "999"},
        f"storage.googleapis.com/projects/_/buckets/{LEDGER}": {"labels": {}},
        f"cloudfunctions.googleapis.com/{DEPLOYMENT.parent}/functions/launch-poll": {"labels": {}},
        f"cloudscheduler.googleapis.com/{DEPLOYMENT.parent}/jobs/launch-poll": {"description": "mine"},
        "pubsub.googleapis.com/projects/p1/topics/launch-dead-letters": {"labels": {}},
        "storage.googleapis.com/projects/_/buckets/p1-launch-staging": {},
    }
    for full, change in kept.items():
        resources[full] |= change
    project.cloud.state.objects[SOURCES, "theirs"] = StoredObject(b"", 1)
    second = {
        full.replace("launch", "launch-2"): deepcopy(each)
        for full, each in resources.items()
        if "launch" in full and not full.startswith(("logging.", "monitoring."))  # see test_monitoring.py
    }
    resources.update(second)
    done = run(project, "destroy", "--bootstrapped", "--yes")
    assert done.exit_code == 0, done.stderr
    assert set(second) <= set(resources)
    assert set(kept) <= set(resources)
    assert not resources["iam.googleapis.com/projects/p1/roles/launch_submit"].get("deleted")
    assert (SOURCES, "theirs") in project.cloud.state.objects
    gone = {full for full in project.saved["resources"] if full not in resources}
    assert {f"function launch-{verb}" for verb in FUNCTIONS if any(f"/functions/launch-{verb}" in f for f in gone)} == {
        "function launch-submit", "function launch-status",
    }  # fmt: skip
    assert f"bucket gs://{SOURCES}: it belongs to another project, number 999" in done.stdout
    assert "secret launch-wandb-api-key: it carries no mark of the deployment launch" in done.stdout
    assert "gcloud secrets delete launch-wandb-api-key --project=p1" in done.stdout
    assert "belongs to the deployment launch-first, not to launch" in done.stdout


def test_a_bucket_that_destroy_may_not_read_is_kept(project: Deployed) -> None:
    """As most buckets of strangers are; the rest is deleted."""
    theirs = f"storage.googleapis.com/projects/_/buckets/{SOURCES}"
    project.cloud.enforce(lambda _, __, resource: not resource.startswith(theirs))
    kept: list[str] = []
    with patch.dict(os.environ, project.environ(OWNER), clear=True):
        steps = existing((one for one in of_bootstrap(DEPLOYMENT) if "gs://" in one.name), kept)
    assert f"bucket gs://{LEDGER}" in [step.name for step in steps]
    assert [f"bucket gs://{SOURCES}: it exists, but you may not read it" in sentence for sentence in kept] == [True]


def test_two_names_that_share_a_role_are_told_apart(project: Deployed) -> None:
    """`launch` + `first_build` is also `launch-first` + `build`: the second deployment changes nothing of the first."""
    role = project.cloud.resources["iam.googleapis.com/projects/p1/roles/launch_first_build"]
    before = deepcopy(role)
    done = run(project, "bootstrap", "--name=launch-first", WANDB_API_KEY=KEY)
    assert done.exit_code == 1
    assert "custom role launch_first_build belongs to the deployment launch, not to launch-first" in done.stderr
    assert role == before
    assert not [full for full in project.cloud.resources if "launch-first" in full]


def test_what_may_not_be_seen_is_not_absent(project: Deployed) -> None:
    """Destroy fails with the reason, and reports no success."""
    project.cloud.enforce(lambda _, permission, __: not permission.startswith(("iam.roles.", "secretmanager.")))
    for kind in ("custom role launch_build", "secret"):
        with patch.dict(os.environ, project.environ(OWNER), clear=True), pytest.raises(GcloudError) as denied:
            existing(one for one in of_bootstrap(DEPLOYMENT) if one.name.startswith(kind))
        assert "PERMISSION_DENIED" in denied.value.message
