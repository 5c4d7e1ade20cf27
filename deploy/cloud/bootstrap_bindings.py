"""The steps of `bootstrap` that give and remove access: the bindings of deploy/cloud/iam.yaml."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from deploy.cloud.deployment import Deployment
from deploy.cloud.gcloud import Step
from deploy.cloud.iam import AT_BUILD, FIRST_DAYS, Binding, bind_command, bindings
from deploy.cloud.iam_policies import has, policy_command, surplus


def bindings_by_resource(deployment: Deployment, *, prune: bool = False) -> dict[str, list[Step]]:
    """Return one step for the policy of each resource, by the resource's kind or name.

    With `prune`, the steps also remove roles that the table gave our accounts earlier. Functions
    of an earlier version that still serve need these.
    """
    groups: dict[str, list[Binding]] = defaultdict(list)
    for binding in bindings(deployment):
        if binding.kind not in AT_BUILD:
            groups[_group(binding)].append(binding)
    return {
        group: [_renewals(deployment, wanted)]
        if group == FIRST_DAYS
        else [
            Step(
                f"access to {wanted[0].resource}",
                command=(),
                describe=policy_command(wanted[0], deployment),
                updates=partial(_updates, deployment, wanted, prune=prune),
            )
        ]
        for group, wanted in groups.items()
    }


def _group(binding: Binding) -> str:
    if binding.expires:
        return FIRST_DAYS
    match binding.kind:
        case "project" | "sources":
            return "project"
        case "kms_key":
            return "kms_key"
    return binding.resource


def _updates(
    deployment: Deployment,
    wanted: Sequence[Binding],
    policy: Mapping[str, Any] | None,
    *,
    prune: bool,
) -> Iterator[tuple[str, ...]]:
    """Yield the commands that add missing bindings and, to prune, remove surplus ones."""
    for binding in wanted:
        if not has(policy, binding):
            yield bind_command(binding, deployment)
    for each in surplus(deployment, wanted[0], policy):
        if prune and each.ours:
            yield each.remove


def _renewals(deployment: Deployment, wanted: Sequence[Binding]) -> Step:
    """Return the step of the bindings that end; only builds that create something need them."""

    def updates(policy: Mapping[str, Any] | None) -> Iterator[tuple[str, ...]]:
        for binding in wanted:
            yield from _renewal(binding, bind_command(binding, deployment), policy or {})

    return Step(
        f"the build's access to {wanted[0].resource} until tomorrow",
        command=(),
        describe=policy_command(wanted[0], deployment),
        updates=updates,
        without="A build that creates a function or a topic, or that sets a policy, fails until "
        "an owner runs bootstrap; other builds work",
    )


def _renewal(
    binding: Binding, bind: tuple[str, ...], policy: Mapping[str, Any]
) -> Iterator[tuple[str, ...]]:
    """Yield the commands that replace a binding whose end is another than the wanted one."""
    ends = {
        one.get("condition", {}).get("expression", "")
        for one in policy.get("bindings", ())
        if one["role"] == binding.role and binding.member in one.get("members", ())
    }
    if ends == {binding.condition}:
        return
    if ends:
        remove = ("projects", "remove-iam-policy-binding", binding.resource, "--all")
        yield (*remove, f"--member={binding.member}", f"--role={binding.role}")
    yield bind
