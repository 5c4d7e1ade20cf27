"""Checks of a deployment's options, before the first command: names that Google would refuse."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from deploy.cloud.regions import region_problem
from shared.core.reserved import BUCKET, HOLDS, bucket_name

ROOT = Path(__file__).parent.parent.parent  # the clone
PROJECT = r"([a-z0-9][a-z0-9.-]*\.[a-z]{2,}:)?[a-z]([a-z0-9-]*[a-z0-9])?"
LONGEST_PROJECT = 30  # characters, without the domain
LONGEST_BUCKET = 63  # characters
KMS_KEY = r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+"


def problems(
    project: str, region: str, name: str, staging_bucket: str, kms_key: str
) -> Iterator[str]:
    """Yield what Google would refuse, with the option, its value and the fix."""
    if problem := region_problem(region):
        yield problem
    if re.search("^goog|google|g00gle", name):
        yield f"--name is {name!r}: no bucket's name may contain `google`. Write another name"
    if problem := project_problem(project):
        yield problem
    else:
        for bucket in (staging_bucket, *(bucket_name(project, name, role) for role in HOLDS)):
            yield from _bucket_problems(bucket)
    if kms_key:
        key = re.fullmatch(KMS_KEY, kms_key)
        if key is None:
            form = "projects/P/locations/R/keyRings/K/cryptoKeys/N"
            yield f"--kms-key is {kms_key!r}: write {form}, without a version"
        elif key[1] != region:
            yield (
                f"--kms-key is in {key[1]}, and --region is {region}. "
                "Write a key of the same region: Google's services accept no other"
            )


def _bucket_problems(bucket: str) -> Iterator[str]:
    if not re.fullmatch(BUCKET, bucket):
        yield f"the bucket {bucket!r}: write a bucket's name, without a folder"
    elif any(len(part) > LONGEST_BUCKET for part in bucket.split(".")):
        yield (
            f"the bucket {bucket!r} has {len(bucket)} characters, and {LONGEST_BUCKET} are "
            "allowed. Write a shorter --name"
        )


def project_problem(project: str) -> str:
    """Return why a name is no project id; empty if it is one."""
    if project.isdigit():
        return (
            f"--project is {project!r}, which is a project's number. Write its id: "
            f"gcloud projects describe {project} --format='value(projectId)'"
        )
    plain = project.rpartition(":")[2]
    if not re.fullmatch(PROJECT, project) or len(plain) > LONGEST_PROJECT:
        return (
            f"--project is {project!r}. Write the project's id: up to {LONGEST_PROJECT} lower-case "
            "letters, digits and dashes, a letter first. List them with: gcloud projects list"
        )
    return ""


def check_folder(config: Path) -> None:
    """Refuse a current folder without the launch-config that is not a clone of the repository."""
    if not config.exists() and not Path("cloudbuild.yaml").exists():
        raise click.UsageError(
            f"{config} does not exist in {Path.cwd()}. Run the command in your clone of the "
            f"repository ({ROOT}), or name the launch-config: --config=PATH"
        )
