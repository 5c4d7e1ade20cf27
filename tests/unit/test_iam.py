"""The table of bindings."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from google.api_core.exceptions import NotFound

from deploy.__main__ import main
from deploy.cloud.deployment import Deployment
from deploy.cloud.doctor.finding import Outcome
from deploy.cloud.doctor.project import checks as project_checks
from deploy.cloud.iam import Table, bind_command, bindings, custom_roles, table
from shared.config.ladder import Ladder
from shared.config.launch_config import AdmissionPolicy, LaunchConfig

DEPLOYMENT = Deployment(
    "p1", "us-central1", number="1", config=LaunchConfig(policy=AdmissionPolicy(service_accounts=("a@p1.example.com",)))
)
KEY = "projects/p1/locations/us-central1/keyRings/r/cryptoKeys/k"
BROAD = ("roles/owner", "roles/editor", "admin")


def test_no_role_is_broad() -> None:
    """No owner, no editor, nobody's admin; and nobody but the build may act as one of the functions."""
    assert not [row.role for row in table().bindings if any(word in row.role.lower() for word in BROAD)]
    impersonators = {row.accounts for row in table().bindings if "iam.serviceAccounts.actAs" in row.needs}
    assert impersonators == {("submit",), ("build",)}


def test_a_key_adds_its_bindings_and_no_others() -> None:
    """Rows with `only` hold where the deployment has what they name."""
    plain, keyed = set(bindings(DEPLOYMENT)), set(bindings(replace(DEPLOYMENT, kms_key=KEY)))
    assert plain < keyed
    assert {binding.resource for binding in keyed - plain} == {KEY}


def test_a_secret_for_jobs_adds_its_bindings_and_no_others() -> None:
    """For what jobs run as, whichever version is named."""
    secret = "projects/p2/secrets/jobs-key"
    for named in (secret, f"{secret}/versions/3"):
        config = DEPLOYMENT.config.model_copy(update={"key_secret": named})
        [added] = set(bindings(replace(DEPLOYMENT, config=config))) - set(bindings(DEPLOYMENT))
        assert (added.resource, added.role) == (secret, "roles/secretmanager.secretAccessor")
        assert added.member == "serviceAccount:a@p1.example.com"
        assert bind_command(added, DEPLOYMENT)[:3] == ("secrets", "add-iam-policy-binding", secret)


def test_a_ladder_adds_its_buckets_and_nothing_else() -> None:
    """For what jobs run as; the deployment's own staging bucket is there already."""
    regions = [
        {"region": "us-central1", "staging_bucket": f"gs://{DEPLOYMENT.staging_bucket}/jobs"},
        {"region": "europe-west4", "staging_bucket": "gs://team-eu/jobs"},
    ]
    config = DEPLOYMENT.config.model_copy(update={"ladder": Ladder.model_validate({"regions": regions})})
    with_ladder = set(bindings(replace(DEPLOYMENT, config=config)))
    [added] = with_ladder - set(bindings(DEPLOYMENT))
    assert (added.resource, added.role) == ("gs://team-eu", "roles/storage.objectUser")
    assert added.member == "serviceAccount:a@p1.example.com"
    assert "gs://team-eu" in bind_command(added, DEPLOYMENT)


def test_bootstrap_makes_the_ladders_buckets(tmp_path: Path) -> None:
    """Each in its region; the deployment's key is of another one."""
    config = tmp_path / "launch-config.yaml"
    eu = "{region: europe-west4, staging_bucket: gs://team-eu}"
    config.write_text(f"entity: e\nqueues: [q]\nladder: {{regions: [{eu}]}}\n", encoding="utf-8")
    where = ("--project=p1", "--region=us-central1", f"--kms-key={KEY}", f"--config={config}")
    printed = CliRunner().invoke(main, ["bootstrap", *where, "--print"], catch_exceptions=False).output
    made = {line for line in printed.splitlines() if "storage buckets create" in line}
    [eu] = [line for line in made if "gs://team-eu" in line]
    assert "--location=europe-west4" in eu
    assert [KEY in line for line in made].count(False) == 1
    assert KEY not in eu


BUILDS = LaunchConfig.model_validate(
    {"builder": {"type": "cloud-build", "destination": "europe-docker.pkg.dev/p2/jobs/a/b"}}
)


def test_a_builder_adds_its_bindings_and_no_others() -> None:
    """On the repository of its destination, wherever that is, on its contexts, and for its builds; with its roles."""
    building = replace(DEPLOYMENT, config=BUILDS.model_copy(update={"policy": DEPLOYMENT.config.policy}))
    plain, more = set(bindings(DEPLOYMENT)), set(bindings(building))
    assert plain < more
    added = {(b.member.partition(":")[2].partition("@")[0], b.resource, b.permissions) for b in more - plain}
    repository = "projects/p2/locations/europe/repositories/jobs"
    assert added == {
        ("launch-submit", "p1", ("cloudbuild.builds.create", "cloudbuild.builds.list")),
        ("launch-submit", repository, ("artifactregistry.tags.get",)),
        ("launch-status", repository, ("artifactregistry.tags.get",)),
        ("launch-submit", "gs://p1-launch-contexts", ("storage.objects.create",)),
        ("launch-submit", "gs://p1-launch-contexts", ("storage.buckets.get",)),
        ("launch-submit", "launch-images@p1.iam.gserviceaccount.com", ("iam.serviceAccounts.actAs",)),
        ("launch-status", "p1", ("cloudbuild.builds.get",)),
        ("launch-images", "gs://p1-launch-contexts", ("storage.objects.get",)),
        ("launch-images", repository, ("artifactregistry.repositories.uploadArtifacts",)),
        ("launch-images", "p1", ("logging.logEntries.create",)),
    }
    assert custom_roles(building).keys() - custom_roles(DEPLOYMENT).keys() == {"submit_images", "status_images"}
    assert set(building.accounts) - set(DEPLOYMENT.accounts) == {"images"}
    stored = BUILDS.model_copy(
        update={"builder": BUILDS.builder.model_copy(update={"build_context_store": "gs://own/x"})}
    )
    assert replace(DEPLOYMENT, config=stored).contexts_bucket == "own"


def test_only_builds_read_the_secrets_of_git() -> None:
    """Each secret once, whichever version a host names; none without a builder."""
    one, two = (f"projects/p1/secrets/{name}" for name in ("one", "two"))
    named = {"a.test": one, "b.test": f"{one}/versions/3", "c.test": two}
    written = {"builder": {**BUILDS.builder.model_dump(by_alias=True), "git_credentials": named}}
    config = LaunchConfig.model_validate(written)
    added = set(bindings(replace(DEPLOYMENT, config=config))) - set(bindings(replace(DEPLOYMENT, config=BUILDS)))
    assert {(b.member, b.resource, b.role) for b in added} == {
        (f"serviceAccount:{DEPLOYMENT.account('images')}", secret, "roles/secretmanager.secretAccessor")
        for secret in (one, two)
    }
    without = LaunchConfig.model_validate({"builder": {"type": "noop", "git_credentials": named}})
    assert replace(DEPLOYMENT, config=without).git_secrets == ()


def test_no_tag_of_a_built_image_can_move(tmp_path: Path) -> None:
    """Bootstrap creates the repository so; Cloud Run moves tags in the functions' repository."""
    config = tmp_path / "launch-config.yaml"
    config.write_text("builder: {type: cloud-build, destination: us-central1-docker.pkg.dev/p1/jobs/code}\n")
    where = ("--project=p1", "--region=us-central1", f"--config={config}")
    printed = CliRunner().invoke(main, ["bootstrap", *where, "--print"], catch_exceptions=False).output
    created = [line for line in printed.splitlines() if "repositories create" in line]
    assert ["--immutable-tags" in line for line in created] == [False, True]
    assert " jobs " in created[1]


@pytest.mark.parametrize(
    ("answer", "outcome", "fix"),
    [
        ({"dockerConfig": {"immutableTags": True}}, Outcome.OK, ""),
        ({}, Outcome.WARNING, "repositories update jobs --location=europe --project=p2 --immutable-tags"),
        (None, Outcome.FAILED, "vertex-launch bootstrap"),
    ],
)
def test_doctor_looks_whether_tags_can_move(answer: dict[str, Any] | None, outcome: Outcome, fix: str) -> None:
    """It shows the command, because the owner of a repository may move tags too."""

    def get(url: str) -> Any:
        assert url.endswith("/v1/projects/p2/locations/europe/repositories/jobs")
        if answer is None:
            raise NotFound("no repository")
        return answer

    case: Any = SimpleNamespace(
        deployment=replace(DEPLOYMENT, config=BUILDS),
        google=SimpleNamespace(get=get),
        command=lambda name: f"vertex-launch {name}",
        queues=(),
    )
    [check] = (each for each in project_checks(case) if each.name == "images' repository")
    [finding] = check.look()
    assert finding.outcome == outcome
    assert finding.fix.endswith(fix)


def test_two_deployments_share_no_account_and_no_resource() -> None:
    """But the project, and what jobs run as."""
    first, second = (set(bindings(replace(DEPLOYMENT, name=name))) for name in ("launch", "research"))
    shared = {b.resource for b in first} & {b.resource for b in second}
    assert shared == {"p1", "", "a@p1.example.com"}
    ours = {b.member for b in first} & {b.member for b in second}
    assert all("a@p1.example.com" in member or "gcp-sa-pubsub" in member for member in ours)


def test_each_binding_has_a_command() -> None:
    """One that gcloud can run: whom, what, on what."""
    for binding in bindings(replace(DEPLOYMENT, kms_key=KEY, config=BUILDS)):
        command = bind_command(binding, DEPLOYMENT)
        assert "add-iam-policy-binding" in command
        assert {f"--member={binding.member}", f"--role={binding.role}"} <= set(command)


def test_a_misspelt_row_is_refused() -> None:
    """A key that the table does not know would be a permission that nobody gives."""
    with pytest.raises(ValueError, match="neds"):
        Table.model_validate(
            {"roles": {}, "bindings": [{"accounts": ["poll"], "role": "r", "resources": ["x"], "why": "", "neds": []}]}
        )
