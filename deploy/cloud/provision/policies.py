"""The bindings of deploy/cloud/iam.yaml on topics and on the trigger's subscription."""

from collections.abc import Iterator
from typing import Any

from google.api_core import exceptions as google_errors
from google.iam.v1.policy_pb2 import Binding as IamBinding
from google.iam.v1.policy_pb2 import Policy

from deploy.cloud.deployment import Deployment
from deploy.cloud.iam import Binding
from deploy.cloud.provision.parts import Change
from deploy.cloud.provision.trigger import trigger_subscription


class IamPolicy:
    """One binding of the table, on a topic or on the trigger's subscription."""

    def __init__(
        self, deployment: Deployment, binding: Binding, client: Any, publisher: Any
    ) -> None:
        self._deployment = deployment
        self._binding = binding
        self._client = client
        self._publisher = publisher

    def changes(self) -> Iterator[Change]:
        """Yield the binding if it is missing; raises NotYet before the resource exists."""
        resource = self._binding.resource or trigger_subscription(self._deployment, self._publisher)
        role, member = self._binding.role, self._binding.member
        try:
            policy = self._client.get_iam_policy(request={"resource": resource})
        except google_errors.NotFound:
            policy = Policy()
        if _has(policy, role, member):
            return

        def bind() -> None:
            # The etag of the policy that is read here makes the write a compare-and-swap.
            policy = self._client.get_iam_policy(request={"resource": resource})
            policy.bindings.append(IamBinding(role=role, members=[member]))
            self._client.set_iam_policy(request={"resource": resource, "policy": policy})

        yield Change(resource, f"{member.partition(':')[2]} gets {role}", bind)

    def removal(self) -> None:
        """Return None: the binding goes with its resource."""


def _has(policy: Policy, role: str, member: str) -> bool:
    return any(
        binding.role == role and member in binding.members and not binding.condition.expression
        for binding in policy.bindings
    )
