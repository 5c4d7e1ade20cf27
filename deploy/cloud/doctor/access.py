"""Access: compare deploy/cloud/iam.yaml with the policies in the project."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from google.api_core import exceptions as google_errors
from google.pubsub_v1 import PublisherClient

from deploy.cloud import gcloud
from deploy.cloud.bootstrap import submit_command
from deploy.cloud.doctor import agents, roles, surplus
from deploy.cloud.doctor.case import NUMBER, SECRET, Case
from deploy.cloud.doctor.explained import UNSEEN
from deploy.cloud.doctor.finding import Check, Finding, failed, ok, unknown, warning
from deploy.cloud.doctor.project import BY_HAND, differs
from deploy.cloud.iam import AT_BUILD, BUCKETS, Binding, bind_command, bindings
from deploy.cloud.iam_policies import has
from deploy.cloud.iam_policies import surplus as surplus_of
from deploy.cloud.provision.trigger import trigger_subscription
from shared.runspec.fields import mapping, text

ACT_AS = "roles/iam.serviceAccountUser"
_WITH_CONDITIONS = {"options.requestedPolicyVersion": 3}
_NEEDS = {
    "project": "resourcemanager.projects.getIamPolicy",
    **dict.fromkeys(BUCKETS, "storage.buckets.getIamPolicy"),
    "secret": "secretmanager.secrets.getIamPolicy",
    "key_secret": "secretmanager.secrets.getIamPolicy",
    "git_secrets": "secretmanager.secrets.getIamPolicy",
    "repository": "artifactregistry.repositories.getIamPolicy",
    "images": "artifactregistry.repositories.getIamPolicy",
    "account": "iam.serviceAccounts.getIamPolicy",
    "run_as": "iam.serviceAccounts.getIamPolicy",
    "kms_key": "cloudkms.cryptoKeys.getIamPolicy",
    "ladder_key": "cloudkms.cryptoKeys.getIamPolicy",
    "topic": "pubsub.topics.getIamPolicy",
    "dead_letters": "pubsub.topics.getIamPolicy",
    "wake_up": "pubsub.topics.getIamPolicy",
    "wake_up_calls": "pubsub.subscriptions.getIamPolicy",
    "events": "pubsub.topics.getIamPolicy",
    "trigger": "pubsub.subscriptions.getIamPolicy",
    "kept_letters": "pubsub.subscriptions.getIamPolicy",
    "function": "run.services.getIamPolicy",
}


def checks(case: Case) -> Iterator[Check]:
    """Yield the checks of roles, of Google's agents, and of each resource with bindings."""
    yield from roles.checks(case)
    yield from agents.checks(case)
    on = dict.fromkeys((_kind(binding), binding.resource) for binding in bindings(case.deployment))
    for kind, resource in on:
        yield Check(
            _title(kind, resource), partial(_resource, case, kind, resource), (_NEEDS[kind], NUMBER)
        )
    yield from surplus.checks(case)
    yield Check("queues' accounts", partial(_of_queues, case), (_NEEDS["account"],))


def _resource(case: Case, kind: str, resource: str) -> Iterator[Finding]:
    """Compare the table's bindings on one resource with its policy."""
    title, deployment = _title(kind, resource), case.numbered
    wanted = [b for b in bindings(deployment) if (_kind(b), b.resource) == (kind, resource)]
    if kind == "trigger":
        resource = trigger_subscription(deployment, PublisherClient(transport="rest"))
        wanted = [replace(binding, resource=resource) for binding in wanted]
    try:
        policy = _policy(case, kind, resource)
    except google_errors.NotFound:
        create = submit_command(deployment) if kind in AT_BUILD else case.command("bootstrap")
        if kind == "git_secrets":
            new = ("secrets", "create", resource.rpartition("/")[2], "--data-file=-")
            owner = f"--project={resource.split('/')[1]}"
            create = f'printf %s "$LOGIN" | {gcloud.shown((*new, owner))}\n{create}'
        causes = case.missing(resource.partition("-")[2]) if kind == "function" else (resource,)
        causes = (SECRET,) if kind == "secret" else causes
        yield failed(title, "it does not exist", create, *causes)
        return
    found = [_bound(case, title, binding, policy) for binding in wanted]
    wrong = [finding for finding in found if finding]
    if kind not in (*BUCKETS, "trigger"):  # group `surplus` looks at buckets
        for each in surplus_of(deployment, wanted[0], policy):
            says = f"{each.member.partition(':')[2]} has {each.role.rpartition('/')[2]}"
            message = f"{says}, which it does not need in this version"
            wrong.append(warning(title, message, gcloud.shown(each.remove)))
    yield from wrong
    if not wrong:
        yield ok(title, f"{len(wanted)} binding{'s' if len(wanted) > 1 else ''}")


def _bound(case: Case, title: str, binding: Binding, policy: Any) -> Finding | None:
    """Return the fault of one binding, or None."""
    if binding.expires:  # it may have ended, but it may not be for ever
        return _for_ever(title, binding, policy)
    if has(policy, binding):
        return None
    bind = gcloud.shown(bind_command(binding, case.deployment))
    who, role = binding.member.partition(":")[2], binding.role.rpartition("/")[2]
    if has(_of_project(case), replace(binding, condition="")):
        message = f"{who} has {role} on the whole project instead, which is more than it needs"
        return warning(title, message, f"{bind}\nThen remove the binding on the project.")
    return failed(title, f"{who} lacks {role}: {binding.why}", bind, bind)


def _for_ever(title: str, binding: Binding, policy: Any) -> Finding | None:
    if not has(policy, replace(binding, condition="")):
        return None
    who, role = binding.member.partition(":")[2], binding.role.rpartition("/")[2]
    remove = ("projects", "remove-iam-policy-binding", binding.resource, "--condition=None")
    fix = gcloud.shown((*remove, f"--member={binding.member}", f"--role={binding.role}"))
    return failed(title, f"{who} has {role} for ever; the first build needs it for a day", fix)


def _policy(case: Case, kind: str, resource: str) -> Any:
    """Return the policy of a resource; raises NotFound, Forbidden."""
    deployment, google = case.deployment, case.google
    match kind:
        case "project":
            return case.project_policy()
        case kind if kind in BUCKETS:
            bucket = resource.removeprefix("gs://")
            url = f"https://storage.googleapis.com/storage/v1/b/{bucket}/iam"
            return google.get(url, optionsRequestedPolicyVersion=3)
        case "account" | "run_as":
            url = (
                f"https://iam.googleapis.com/v1/projects/-/serviceAccounts/{resource}:getIamPolicy"
            )
            return google.post(url, query=_WITH_CONDITIONS)
    secrets = f"secretmanager.googleapis.com/v1/projects/{deployment.project}/secrets"
    name = {
        "secret": f"{secrets}/{resource}",
        "key_secret": f"secretmanager.googleapis.com/v1/{resource}",
        "git_secrets": f"secretmanager.googleapis.com/v1/{resource}",
        "repository": f"artifactregistry.googleapis.com/v1/{resource}",
        "images": f"artifactregistry.googleapis.com/v1/{resource}",
        "kms_key": f"cloudkms.googleapis.com/v1/{resource}",
        "ladder_key": f"cloudkms.googleapis.com/v1/{resource}",
        "topic": f"pubsub.googleapis.com/v1/{resource}",
        "dead_letters": f"pubsub.googleapis.com/v1/{resource}",
        "wake_up": f"pubsub.googleapis.com/v1/{resource}",
        "wake_up_calls": f"pubsub.googleapis.com/v1/{resource}",
        "events": f"pubsub.googleapis.com/v1/{resource}",
        "trigger": f"pubsub.googleapis.com/v1/{resource}",
        "kept_letters": f"pubsub.googleapis.com/v1/{resource}",
        "function": f"run.googleapis.com/v2/{deployment.parent}/services/{resource}",
    }[kind]
    return google.get(f"https://{name}:getIamPolicy", **_WITH_CONDITIONS)


def _of_project(case: Case) -> Any:
    """Return the project's policy; empty if it cannot be seen, which its own check reports."""
    try:
        return _policy(case, "project", case.deployment.project)
    except UNSEEN:
        return {}


def _of_queues(case: Case) -> Iterator[Finding]:
    for name in case.queues:
        look = partial(_of_queue, case, name)
        yield from case.examined(Check(f"account of queue {name}", look, (_NEEDS["account"],)))


def _of_queue(case: Case, name: str) -> Iterator[Finding]:
    """Check that submit can run a queue's jobs as the account of its configuration."""
    title, settings = f"account of queue {name}", case.vertex(name)
    run, spec = (mapping(settings.get(part), part) for part in ("run", "spec"))
    account = text(run.get("service_account") or spec.get("service_account"), "service_account", "")
    if not settings:
        message = "the queue has no configuration for Vertex AI"
        yield unknown(title, message, "", f"queue {name}")
        return
    if differs(account):
        yield warning(title, f"{account} is another account for each launch", BY_HAND)
        return
    if not account:
        message = "its jobs run as Vertex AI's own service agent, which by default reaches "
        message += "every bucket of the project, also the ledger"
        yield warning(title, message, "Name run.service_account in the queue's configuration.")
        return
    submit = f"serviceAccount:{case.deployment.account('submit')}"
    binding = Binding(submit, ACT_AS, "run_as", account, (), "its jobs run as this account")
    try:
        wrong = _bound(case, title, binding, _policy(case, "run_as", account))
    except google_errors.NotFound:
        edit = "Name another account in the queue's configuration."
        wrong = failed(title, f"{account} does not exist", edit, account)
    if wrong:
        yield wrong
    elif account not in case.deployment.run_as:
        message = f"{account} is not in policy.service_accounts"
        add = f"Add it to policy.service_accounts in {case.config}, then run:"
        yield warning(title, message, f"{add}\n{case.command('bootstrap')}")
    else:
        yield ok(title, f"submit can run its jobs as {account}")


def _kind(binding: Binding) -> str:
    return "project" if binding.kind == "sources" else binding.kind


def _title(kind: str, resource: str) -> str:
    name = resource.rpartition("/")[2]
    return {"trigger": "trigger's subscription", "run_as": f"account {name}"}.get(
        kind, f"{kind.replace('_', ' ')} {name}"
    )
