"""The page about organisation policies: what it says that we do under each policy stands in the deployment's files."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.__main__ import main
from deploy.cloud.bootstrap_services import APIS

PAGE = Path("docs/how-to/work-under-policies.md").read_text(encoding="utf-8")
BUILD = Path("cloudbuild.yaml").read_text(encoding="utf-8")
FUNCTION = Path("deploy/cloud/function.sh").read_text(encoding="utf-8")
KEY = "projects/my-project/locations/europe-west4/keyRings/ring/cryptoKeys/key"
ROWS = re.findall(r"^\| (`.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)


@cache
def script(*options: str) -> str:
    """Return the whole script that `bootstrap --print` prints."""
    where = ["--project=my-project", "--region=europe-west4", "--print"]
    done = CliRunner().invoke(main, ["bootstrap", *where, *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def lines(pattern: str, *options: str) -> list[str]:
    """Return its lines that contain a pattern."""
    return [line for line in script(*options).splitlines() if re.search(pattern, line)]


def everything() -> str:
    """Return all commands of a deployment."""
    return f"{script()}\n{BUILD}\n{FUNCTION}"


def flag(*wanted: str) -> Callable[[], bool]:
    """Return the check that every function is deployed with these flags."""
    return lambda: all(each in FUNCTION for each in wanted)


EVIDENCE: dict[str, Callable[[], bool]] = {
    "iam.allowedPolicyMemberDomains": lambda: not re.search(r"\b(user|group|domain):\w", everything()),
    "iam.disableServiceAccountCreation": lambda: len(lines("service-accounts create")) in (6, 7),
    "iam.disableServiceAccountKeyCreation": lambda: "keys create" not in everything(),
    "iam.automaticIamGrantsForDefaultServiceAccounts": lambda: "developer.gserviceaccount" not in everything(),
    "gcp.resourceLocations": lambda: all(
        "europe-west4" in each for each in lines("(buckets|repositories) create|replicas")
    ),
    "gcp.restrictServiceUsage": lambda: all(f"{api}.googleapis.com" in script() for api in APIS),
    "gcp.restrictNonCmekServices": lambda: all(
        KEY in each for each in lines("(buckets|repositories) create|replicas", f"--kms-key={KEY}")
    ),
    "cloudbuild.allowedWorkerPools": flag("--build-worker-pool=", "PIP_INDEX_URL="),
    "cloudbuild.allowedIntegrations": lambda: "builds triggers create" not in everything(),
    "cloudbuild.useBuildServiceAccount": lambda: "serviceAccount: " in BUILD and "--build-service-account=" in FUNCTION,
    "cloudfunctions.allowedIngressSettings": flag("--ingress-settings=internal-only"),
    "cloudfunctions.requireVPCConnector": flag("--vpc-connector=", "--egress-settings="),
    "run.allowedBinaryAuthorizationPolicies": flag("--binary-authorization="),
    "run.managed.requireInvokerIam": flag("--no-allow-unauthenticated", "add-invoker-policy-binding"),
    "storage.uniformBucketLevelAccess": lambda: all(
        "--uniform-bucket-level-access --public-access-prevention" in each for each in lines("buckets create")
    ),
    "storage.softDeletePolicySeconds": lambda: (
        sorted(re.findall(r"soft-delete-duration=(\d+)s", "".join(lines("buckets create")))) == ["0", "0", "604800"]
    ),
    "storage.retentionPolicySeconds": lambda: "--retention-period" not in everything(),
    "compute.restrictVpcPeering": lambda: not lines("gcloud compute"),
}


@pytest.mark.parametrize(("policies", "ours", "theirs"), ROWS, ids=[row[0] for row in ROWS])
def test_the_page_says_what_the_deployment_does(policies: str, ours: str, theirs: str) -> None:
    """A row without a fact behind it misleads the person who asks for an exception."""
    name = re.findall(r"`([\w.]+)`", policies)[0]
    assert EVIDENCE[name](), (name, ours, theirs)


def test_each_setting_on_the_page_exists() -> None:
    """A substitution that no build knows stops the build; an option that no command knows, the command."""
    substitutions = set(re.findall(r"\b(_[A-Z][A-Z_]+)\b", PAGE))
    assert {name for name in substitutions if f"{name}:" not in BUILD} == set()
    helps = "".join(CliRunner().invoke(main, [name, "--help"]).output for name in ("bootstrap", "provision"))
    ours = {"--kms-key", "--ladder-kms-key", "--build-region", "--scheduler-region", "--print"}
    assert ours <= set(re.findall(r"--[\w-]+", PAGE)), "the page no longer names an option of this test"
    assert {option for option in ours if option not in helps} == set()
