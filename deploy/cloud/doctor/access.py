"""Who may do what: deploy/cloud/iam.yaml against the policies that are really there."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from google.api_core import exceptions as google_errors
from google.pubsub_v1 import PublisherClient

from deploy.cloud import gcloud
from deploy.cloud.bootstrap import submit_command
from deploy.cloud.doctor.case import NUMBER, UNSEEN, Case
from deploy.cloud.doctor.finding import Check, Finding, failed, ok, unknown, warning
from deploy.cloud.doctor.project import differs
from deploy.cloud.iam import AT_BUILD, Binding, Role, bind_command, bindings, custom_roles
from deploy.cloud.provision.topics import trigger_subscription
from shared.runspec.fields import mapping, text

ACT_AS = "roles/iam.serviceAccountUser"
_WITH_CONDITIONS = {"options.requestedPolicyVersion": 3}
_NEEDS = {
    "project": "resourcemanager.projects.getIamPolicy",
    "ledger": "storage.buckets.getIamPolicy",
    "staging": "storage.buckets.getIamPolicy",
    "ladder": "storage.buckets.getIamPolicy",
    "secret": "secretmanager.secrets.getIamPolicy",
    "key_secret": "secretmanager.secrets.getIamPolicy",
    "contexts": "storage.buckets.getIamPolicy",
    "repository": "artifactregistry.repositories.getIamPolicy",
    "images": "artifactregistry.repositories.getIamPolicy",
    "account": "iam.serviceAccounts.getIamPolicy",
    "run_as": "iam.serviceAccounts.getIamPolicy",
    "kms_key": "cloudkms.cryptoKeys.getIamPolicy",
    "topic": "pubsub.topics.getIamPolicy",
    "dead_letters": "pubsub.topics.getIamPolicy",
    "trigger": "pubsub.subscriptions.getIamPolicy",
    "function": "run.services.getIamPolicy",
}


def checks(case: Case) -> Iterator[Check]:
    """Yield this group's checks: one for each custom role, and one for each resource that somebody is let at."""
    for name, role in custom_roles(case.told).items():
        yield Check(f"role {name}", partial(_role, case, name, role), ("iam.roles.get",))
    on = dict.fromkeys((_kind(binding), binding.resource) for binding in bindings(case.told))
    for kind, resource in on:
        yield Check(
            _title(kind, resource), partial(_resource, case, kind, resource), (_NEEDS[kind], NUMBER)
        )
    yield Check("queues' accounts", partial(_of_queues, case), (_NEEDS["account"],))


def _role(case: Case, name: str, role: Role) -> Iterator[Finding]:
    title, project = f"role {name}", f"--project={case.told.project}"
    role_id = case.told.custom_role(name)
    try:
        there = case.google.get(
            f"https://iam.googleapis.com/v1/projects/{case.told.project}/roles/{role_id}"
        )
    except google_errors.NotFound:
        yield failed(title, f"{role_id} does not exist", case.command("bootstrap"))
        return
    if there.get("deleted"):
        said = f"{role_id} is deleted, though it can be brought back"
        yield failed(title, said, gcloud.shown(("iam", "roles", "undelete", role_id, project)))
        return
    wanted, has = set(role.permissions), set(there.get("includedPermissions", ()))
    update = (
        "iam",
        "roles",
        "update",
        role_id,
        project,
        f"--permissions={','.join(role.permissions)}",
    )
    more = f"has what nobody needs: {', '.join(sorted(has - wanted))}"
    if wanted - has:
        said = f"{role_id} lacks {', '.join(sorted(wanted - has))}" + (
            f", and {more}" if has - wanted else ""
        )
        yield failed(title, said, gcloud.shown(update))
    elif has - wanted:
        yield warning(title, f"{role_id} {more}", gcloud.shown(update))
    else:
        yield ok(title, f"{role_id}: exactly its {len(wanted)} permissions")


def _resource(case: Case, kind: str, resource: str) -> Iterator[Finding]:
    """Compare the table's bindings on one resource with its policy."""
    title, deployment = _title(kind, resource), case.deployment
    wanted = [b for b in bindings(deployment) if (_kind(b), b.resource) == (kind, resource)]
    if kind == "trigger":
        resource = trigger_subscription(deployment, PublisherClient(transport="rest"))
        wanted = [replace(binding, resource=resource) for binding in wanted]
    try:
        policy = _policy(case, kind, resource)
    except google_errors.NotFound:
        made = submit_command(deployment) if kind in AT_BUILD else case.command("bootstrap")
        yield failed(title, "it does not exist", made)
        return
    found = [_bound(case, title, binding, policy) for binding in wanted]
    wrong = [finding for finding in found if finding]
    yield from wrong
    if not wrong:
        yield ok(
            title,
            f"{len(wanted)} bindings, as they shall be"
            if len(wanted) > 1
            else "its binding is there",
        )


def _bound(case: Case, title: str, binding: Binding, policy: Any) -> Finding | None:
    """Return what is wrong with one binding."""
    if _has(policy, binding):
        return None
    bind = gcloud.shown(bind_command(binding, case.told))
    who, role = binding.member.partition(":")[2], binding.role.rpartition("/")[2]
    if _has(_of_project(case), replace(binding, condition="")):
        said = f"{who} has {role} on the whole project instead, which is more than it needs"
        return warning(title, said, f"{bind}\nThen take it away from the project.")
    return failed(title, f"{who} lacks {role}: {binding.why}", bind)


def _has(policy: Any, wanted: Binding) -> bool:
    return any(
        one["role"] == wanted.role
        and wanted.member in one.get("members", ())
        and one.get("condition", {}).get("expression", "") == wanted.condition
        for one in policy.get("bindings", ())
    )


def _policy(case: Case, kind: str, resource: str) -> Any:
    """Return the policy of a resource; raises NotFound, Forbidden."""
    told, google = case.told, case.google
    match kind:
        case "project":
            return case.once("policy", lambda: _read_of_project(case))
        case "ledger" | "staging" | "ladder" | "contexts":
            bucket = resource.removeprefix("gs://")
            url = f"https://storage.googleapis.com/storage/v1/b/{bucket}/iam"
            return google.get(url, optionsRequestedPolicyVersion=3)
        case "account" | "run_as":
            url = (
                f"https://iam.googleapis.com/v1/projects/-/serviceAccounts/{resource}:getIamPolicy"
            )
            return google.post(url, query=_WITH_CONDITIONS)
    name = {
        "secret": f"secretmanager.googleapis.com/v1/projects/{told.project}/secrets/{resource}",
        "key_secret": f"secretmanager.googleapis.com/v1/{resource}",
        "repository": f"artifactregistry.googleapis.com/v1/{resource}",
        "images": f"artifactregistry.googleapis.com/v1/{resource}",
        "kms_key": f"cloudkms.googleapis.com/v1/{resource}",
        "topic": f"pubsub.googleapis.com/v1/{resource}",
        "dead_letters": f"pubsub.googleapis.com/v1/{resource}",
        "trigger": f"pubsub.googleapis.com/v1/{resource}",
        "function": f"run.googleapis.com/v2/{told.parent}/services/{resource}",
    }[kind]
    return google.get(f"https://{name}:getIamPolicy", **_WITH_CONDITIONS)


def _read_of_project(case: Case) -> Any:
    url = (
        f"https://cloudresourcemanager.googleapis.com/v3/projects/{case.told.project}:getIamPolicy"
    )
    return case.google.post(url, {"options": {"requestedPolicyVersion": 3}})


def _of_project(case: Case) -> Any:
    """Return the project's policy; an empty one where it cannot be seen: its own check says so."""
    try:
        return _policy(case, "project", case.told.project)
    except UNSEEN:
        return {}


def _of_queues(case: Case) -> Iterator[Finding]:
    for name in case.queues:
        look = partial(_of_queue, case, name)
        yield from case.examined(Check(f"account of queue {name}", look, (_NEEDS["account"],)))


def _of_queue(case: Case, name: str) -> Iterator[Finding]:
    """See whether submit may let a queue's jobs run as the account that its configuration names."""
    title, settings = f"account of queue {name}", case.vertex(name)
    run, spec = (mapping(settings.get(part), part) for part in ("run", "spec"))
    account = text(run.get("service_account") or spec.get("service_account"), "service_account", "")
    if not settings or differs(account):
        yield unknown(title, "its configuration names none that is the same for every launch")
        return
    if not account:
        yield ok(title, "its jobs run as Vertex AI's own agent")
        return
    submit = f"serviceAccount:{case.told.account('submit')}"
    binding = Binding(submit, ACT_AS, "run_as", account, (), "its jobs run as this account")
    try:
        wrong = _bound(case, title, binding, _policy(case, "run_as", account))
    except google_errors.NotFound:
        wrong = failed(
            title, f"{account} does not exist", "Name another one in the queue's configuration."
        )
    if wrong:
        yield wrong
    elif account not in case.told.run_as:
        said = f"{account} is not one of policy.service_accounts"
        yield warning(
            title, said, f"Add it there, in {case.config}, then:\n{case.command('bootstrap')}"
        )
    else:
        yield ok(title, f"submit may let them run as {account}")


def _kind(binding: Binding) -> str:
    return "project" if binding.kind == "sources" else binding.kind


def _title(kind: str, resource: str) -> str:
    name = resource.rpartition("/")[2]
    return {"trigger": "trigger's subscription", "run_as": f"account {name}"}.get(
        kind, f"{kind.replace('_', ' ')} {name}"
    )
