"""The steps of `bootstrap` that give access: the bindings of deploy/cloud/iam.yaml."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from deploy.cloud.deployment import Deployment
from deploy.cloud.gcloud import Step
from deploy.cloud.iam import AT_BUILD, Binding, bind_command, bindings


def bindings_by_resource(deployment: Deployment) -> dict[str, list[Step]]:
    """Return the binding steps, grouped by resource: each step rewrites its resource's policy."""
    groups: dict[str, list[Step]] = defaultdict(list)
    for binding in bindings(deployment):
        if binding.kind not in AT_BUILD:
            groups[_group(binding)].append(_bind(binding, deployment))
    return groups


def _group(binding: Binding) -> str:
    match binding.kind:
        case "project" | "sources":
            return "project"
        case "kms_key":
            return "kms_key"
    return binding.resource


def _bind(binding: Binding, deployment: Deployment) -> Step:
    role = binding.role.rpartition("/")[2]
    where = binding.resource if binding.kind != "sources" else "the buckets of functions' sources"
    title = f"{binding.member.partition(':')[2]} gets {role} on {where}"
    bind = bind_command(binding, deployment)
    if not binding.expires:
        return Step(title, bind)
    policy = ("projects", "get-iam-policy", deployment.project)
    return Step(f"{title}, for a day", bind, policy, partial(_renewal, binding, bind))


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
