"""Images of jobs' code: what submit and status call for, in a cloud where IAM allows what the table has bound."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from deploy.cloud.deployment import Deployment
from deploy.cloud.iam import bindings, custom_roles
from shared.adapters.build.builds import CloudBuilds
from shared.adapters.build.images import CloudBuildImages
from shared.config.launch_config import LaunchConfig
from shared.core.building import Recipe
from shared.core.errors import Denied
from tests.cloud.world import Cloud
from tests.contract.test_cloud_build import FewFiles
from tests.deployment.enforcement import Enforcement
from tests.fakes.clock import PLENTY

DESTINATION = "us-central1-docker.pkg.dev/p1/launch-jobs/code"
CREDENTIALS = {"git.example.test": "projects/p1/secrets/git"}
CONFIG = {"builder": {"type": "cloud-build", "destination": DESTINATION, "git_credentials": CREDENTIALS}}
DEPLOYMENT = Deployment("p1", "us-central1", number="123456789012", config=LaunchConfig.model_validate(CONFIG))
RECIPE = Recipe(
    image=f"{DESTINATION}:0123",
    store="gs://p1-launch-contexts/launch-builds",
    job="t/v/j:v0",
    text="FROM x",
    remote="https://git.example.test/x.git",
    commit="c0ffee",
)
GOOGLES_OWN = {"artifactregistry.repositories.uploadArtifacts"}  # in the build itself
ON = {
    "project": "cloudresourcemanager.googleapis.com/projects/p1",
    "images": f"artifactregistry.googleapis.com/{DEPLOYMENT.images}",
    "contexts": "storage.googleapis.com/projects/_/buckets/p1-launch-contexts",
    "git_secrets": "secretmanager.googleapis.com/projects/p1/secrets/git",
    "account": "iam.googleapis.com/projects/p1/serviceAccounts/launch-images@p1.iam.gserviceaccount.com",
}
OURS = [
    b for b in bindings(DEPLOYMENT) if b not in set(bindings(Deployment("p1", "us-central1", number="123456789012")))
]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """Give a project with the bindings of images, and no others."""
    with Cloud(tmp_path) as made:
        for name, role in custom_roles(DEPLOYMENT).items():
            full = f"iam.googleapis.com/projects/p1/roles/{DEPLOYMENT.custom_role(name)}"
            made.resources[full] = {"includedPermissions": list(role.permissions)}
        made.resources[ON["git_secrets"]] = {"name": "projects/p1/secrets/git"}
        made.resources[ON["contexts"]] = {"name": "p1-launch-contexts", "projectNumber": "123456789012"}
        for binding in OURS:
            policy = made.policies.setdefault(ON[binding.kind], {"bindings": []})
            policy["bindings"].append({"role": binding.role, "members": [binding.member]})
        yield made


@contextmanager
def acting(cloud: Cloud, account: str) -> Iterator[None]:
    """Act as one of the deployment's accounts."""
    with patch.dict(os.environ, cloud.environ(DEPLOYMENT.account(account)), clear=True):
        yield


def images() -> CloudBuildImages:
    """Return what submit asks."""
    files = FewFiles({"t/v/c:v0": {"x.py": b"print('it ran')"}})
    credentials = DEPLOYMENT.config.builder.git_credentials
    account = DEPLOYMENT.account("images")
    arguments = (DEPLOYMENT.parent, account, "launch", files)
    return CloudBuildImages(*arguments, git_credentials=credentials, project_number="123456789012")


def test_submit_and_status_need_what_the_table_binds(cloud: Cloud) -> None:
    """All of it, and nothing more: the build is of the deployment's own account, which reads the context."""
    enforcement = Enforcement(cloud, "nobody")
    cloud.enforce(enforcement.allows)
    with acting(cloud, "submit"):
        build = images().ensure(RECIPE, PLENTY).build
    with acting(cloud, "status"):
        assert CloudBuilds().get_build(build).status == "SUCCESS"
        cloud.state.get(f"cloudbuild.googleapis.com/{build}")["status"] = "FAILURE"
        assert CloudBuilds().get_build(build).failed
    assert enforcement.denied == []
    used = {(who, role, permission) for who, role, _, permission in enforcement.used}
    listed = {(b.member.partition(":")[2], b.role, permission) for b in OURS for permission in b.permissions}
    assert used == {row for row in listed if row[2] not in GOOGLES_OWN}


@pytest.mark.parametrize("kind", ["project", "images", "contexts", "account"])
def test_a_missing_binding_is_reported(cloud: Cloud, kind: str) -> None:
    """As a problem for an operator to fix; no build starts."""
    del cloud.policies[ON[kind]]
    cloud.enforce(Enforcement(cloud, "nobody").allows)
    with acting(cloud, "submit"), pytest.raises(Denied):
        images().ensure(RECIPE, PLENTY)
    assert not list(cloud.state.children(f"cloudbuild.googleapis.com/{DEPLOYMENT.parent}/builds"))


def test_a_context_that_could_not_be_written_is_given_up(cloud: Cloud) -> None:
    """Nothing tries it again behind our back, for minutes, whenever its memory is freed."""
    del cloud.policies[ON["contexts"]]
    cloud.enforce(Enforcement(cloud, "nobody").allows)
    with acting(cloud, "submit"), pytest.raises(Denied):
        images().ensure(RECIPE, PLENTY)
    before = len(cloud.calls)
    gc.collect()
    assert len(cloud.calls) == before
