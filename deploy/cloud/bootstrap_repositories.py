"""The steps of `bootstrap` that create the repositories of images, and clean the functions'."""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.cloud.deployment import Deployment
from deploy.cloud.gcloud import Step
from deploy.cloud.iam import repository_flags
from deploy.cloud.inputs import ROOT
from deploy.cloud.lifecycle import IMAGES
from deploy.cloud.marks import LABEL, require_ours


def repository_step(deployment: Deployment, repository: str) -> Step:
    """Return the step of one repository; only the functions' own gets cleanup policies."""
    flags = repository_flags(repository)
    key = [f"--kms-key={deployment.kms_key}"] if deployment.kms_key else []
    # Cloud Run moves tags in the functions' repository. An existing repository stays as it is: its
    # owner may move tags too, so doctor only reports it.
    fixed = [] if repository == deployment.repository else ["--immutable-tags"]
    create = ("artifacts", "repositories", "create", *flags, "--repository-format=docker")
    command = (*create, *fixed, *key, f"--labels={LABEL}={deployment.name}")
    step = Step(
        f"Artifact Registry repository {repository.rpartition('/')[2]}",
        command,
        describe=("artifacts", "repositories", "describe", *flags),
    )
    # deployments can share the images of code jobs, and launches can need each of them
    if repository != deployment.repository:
        return step
    clean = ("artifacts", "repositories", "set-cleanup-policies", *flags)
    # gcloud reads the file from the current folder
    cleanup = (*clean, f"--policy={os.path.relpath(ROOT / IMAGES)}", "--no-dry-run")

    def updates(there: Mapping[str, Any] | None) -> Iterator[tuple[str, ...]]:
        if there is None:
            yield command
        else:
            require_ours(step.name, there, deployment)
        if not there or not _clean(there):
            yield cleanup

    return Step(step.name, (), describe=step.describe, updates=updates)


def _clean(repository: Mapping[str, Any]) -> bool:
    """Tell whether a repository has our cleanup policies, and applies them."""
    names = {each["name"] for each in json.loads((ROOT / IMAGES).read_text(encoding="utf-8"))}
    applied = not repository.get("cleanupPolicyDryRun")
    return applied and names <= set(repository.get("cleanupPolicies", {}))
