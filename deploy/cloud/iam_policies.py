"""Compare the policy of a resource with the table: missing bindings, and surplus ones of ours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from deploy.cloud.deployment import ACCOUNTS, Deployment
from deploy.cloud.iam import BUCKETS, Binding, bind_command, bindings, table

ADD = "add-iam-policy-binding"
WITH_CONDITIONS = ("project", "sources", *BUCKETS)  # their `remove` needs to know which condition


@dataclass(frozen=True)
class Surplus:
    """A member with a role on a resource of which the table has no such binding.

    `ours` says that some version of the table gave it: nobody else gives these roles to our
    accounts. `remove` is gcloud's command.
    """

    member: str
    role: str
    ours: bool
    remove: tuple[str, ...]


def has(policy: Mapping[str, Any] | None, wanted: Binding) -> bool:
    """Tell whether a policy has a binding, with exactly its condition."""
    return any(
        one["role"] == wanted.role
        and wanted.member in one.get("members", ())
        and one.get("condition", {}).get("expression", "") == wanted.condition
        for one in (policy or {}).get("bindings", ())
    )


def policy_command(binding: Binding, deployment: Deployment) -> tuple[str, ...]:
    """Return gcloud's command that prints the policy of a binding's resource."""
    words = _words(binding, deployment, "get-iam-policy")
    return tuple(word for word in words if not word.startswith(("--member=", "--role=")))


def surplus(
    deployment: Deployment, on: Binding, policy: Mapping[str, Any] | None
) -> Iterator[Surplus]:
    """Yield the bindings in the policy of `on`'s resource that our accounts do not need."""
    wanted = {(b.member, b.role) for b in bindings(deployment) if b.resource == on.resource}
    members = {f"serviceAccount:{deployment.account(role)}" for role in ACCOUNTS}
    custom = {
        f"projects/{deployment.project}/roles/{deployment.custom_role(name)}"
        for name in table().roles
    }
    known = {row.role for row in table().bindings} | custom
    for binding in (policy or {}).get("bindings", ()):
        for member in sorted(members & set(binding.get("members", ()))):
            role = binding["role"]
            if (member, role) not in wanted:
                yield Surplus(member, role, role in known, _remove(on, member, role, deployment))


def _remove(on: Binding, member: str, role: str, deployment: Deployment) -> tuple[str, ...]:
    found = replace(on, member=member, role=role)
    words = _words(found, deployment, "remove-iam-policy-binding")
    return (*words, "--all") if on.kind in WITH_CONDITIONS else words


def _words(binding: Binding, deployment: Deployment, verb: str) -> tuple[str, ...]:
    words = bind_command(replace(binding, condition=""), deployment)
    kept = (word for word in words if not word.startswith("--condition"))
    return tuple(verb if word == ADD else word for word in kept)
