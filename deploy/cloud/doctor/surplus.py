"""Surplus access: bindings of earlier versions, and accounts of jobs that reach too far."""

from collections.abc import Iterator
from functools import partial

from google.api_core import exceptions as google_errors

from deploy.cloud import gcloud
from deploy.cloud.deployment import ACCOUNTS
from deploy.cloud.doctor.case import NUMBER, Case
from deploy.cloud.doctor.finding import Check, Finding, failed, ok, warning
from deploy.cloud.iam import bindings

STORAGE = "https://storage.googleapis.com/storage/v1/b"
ACT_AS = "roles/iam.serviceAccountUser"
OF_ACCOUNTS = ("iam.serviceAccounts.list", "iam.serviceAccounts.getIamPolicy", NUMBER)
OF_A_BUCKET, OF_THE_PROJECT = (
    "storage.buckets.getIamPolicy",
    "resourcemanager.projects.getIamPolicy",
)
ON_ALL_BUCKETS = (  # Google's roles that reach each object of a project
    "roles/owner",
    "roles/editor",
    "roles/storage.admin",
    "roles/storage.objectAdmin",
    "roles/storage.objectCreator",
    "roles/storage.objectUser",
    "roles/storage.objectViewer",
    "roles/aiplatform.customCodeServiceAgent",
)


def checks(case: Case) -> Iterator[Check]:
    """Yield a check for each bucket, and one of the jobs' accounts on the project."""
    deployment = case.deployment
    closed = [deployment.ledger_bucket, deployment.sources_bucket]
    if deployment.images:
        closed.append(deployment.contexts_bucket)
    jobs = [deployment.staging_bucket, *deployment.ladder_buckets]
    for bucket in dict.fromkeys((*closed, *jobs)):
        look = partial(_bucket, case, bucket, for_jobs=bucket in jobs)
        yield Check(f"surplus access to {bucket}", look, (OF_A_BUCKET, NUMBER))
    if deployment.run_as:
        yield Check("jobs' accounts", partial(_project, case), (OF_THE_PROJECT,))
    yield Check("former accounts of jobs", partial(_former, case), OF_ACCOUNTS)


def _bucket(case: Case, bucket: str, *, for_jobs: bool) -> Iterator[Finding]:
    """Find bindings of our accounts and of the jobs' accounts that the table does not have."""
    title, address, deployment = f"surplus access to {bucket}", f"gs://{bucket}", case.numbered
    try:
        policy = case.google.get(f"{STORAGE}/{bucket}/iam", optionsRequestedPolicyVersion=3)
    except google_errors.NotFound:
        return  # the check of the bucket reports it
    ours = {deployment.account(role) for role in ACCOUNTS}
    wanted = {(b.member, b.role) for b in bindings(deployment) if b.resource == address}
    found = 0
    for binding in policy.get("bindings", ()):
        for member in binding.get("members", ()):
            email, role = member.removeprefix("serviceAccount:"), binding["role"]
            of_jobs = email in deployment.run_as
            if (member, role) in wanted or not (of_jobs or email in ours):
                continue
            found += 1
            on = ("storage", "buckets", "remove-iam-policy-binding", address)
            remove = gcloud.shown((*on, f"--member={member}", f"--role={role}", "--all"))
            says = f"{email} has {role.removeprefix('roles/')}, which "
            if of_jobs and not for_jobs:
                yield failed(title, f"{says}lets a job reach {address}", remove)
            else:
                yield warning(title, f"{says}it does not need in this version", remove)
    if not found:
        yield ok(title, "no account of ours, and no account of jobs, has more than it needs")


def _project(case: Case) -> Iterator[Finding]:
    """Find accounts of jobs that reach all buckets, and thus the ledger."""
    project, found = case.deployment.project, 0
    for binding in case.project_policy().get("bindings", ()):
        if binding["role"] not in ON_ALL_BUCKETS or binding.get("condition"):
            continue
        for email in case.deployment.run_as:
            member = f"serviceAccount:{email}"
            if member in binding.get("members", ()):
                found += 1
                role = binding["role"]
                flags = (f"--member={member}", f"--role={role}", "--condition=None")
                on = ("projects", "remove-iam-policy-binding", project)
                fix = "Bind the role on the buckets of its data, then run:\n"
                message = f"{email} has {role.removeprefix('roles/')} on the whole project: "
                message += "its jobs reach the ledger"
                yield warning("jobs' accounts", message, fix + gcloud.shown((*on, *flags)))
    if not found:
        yield ok("jobs' accounts", "none of them has a role on all buckets of the project")


def _former(case: Case) -> Iterator[Finding]:
    """Find accounts that submit may use although `policy.service_accounts` does not name them."""
    title, deployment = "former accounts of jobs", case.numbered
    submit, found = f"serviceAccount:{deployment.account('submit')}", 0
    wanted = {b.resource for b in bindings(deployment) if (b.member, b.role) == (submit, ACT_AS)}
    accounts = f"https://iam.googleapis.com/v1/projects/{deployment.project}/serviceAccounts"
    for email in [each["email"] for each in case.google.listed(accounts, "accounts", pageSize=100)]:
        if email in wanted:
            continue
        for binding in case.google.post(f"{accounts}/{email}:getIamPolicy").get("bindings", ()):
            if binding["role"] != ACT_AS or submit not in binding.get("members", ()):
                continue
            found += 1
            on = ("iam", "service-accounts", "remove-iam-policy-binding", email)
            flags = (f"--project={deployment.project}", f"--member={submit}", f"--role={ACT_AS}")
            message = f"submit can use {email}, which policy.service_accounts does not name"
            yield warning(title, message, gcloud.shown((*on, *flags)))
    if not found:
        yield ok(title, "submit can use no account but those of policy.service_accounts")
