"""IAM as far as the deployment needs it: who may do what follows from the policies that the deployment has set."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from deploy.cloud.iam import table
from tests.cloud.world import Cloud

# Services that give a resource's name to a condition, of those that we use: docs/iam/conditions-resource-attributes.
WITH_NAMES = ("storage.googleapis.com/", "secretmanager.googleapis.com/", "cloudkms.googleapis.com/")
NAME = re.compile(r'resource\.name\.startsWith\("([^"]+)"\)')
BEFORE = re.compile(r'request\.time < timestamp\("([^"]+)"\)')


@dataclass
class Enforcement:
    """Allows what a policy of the resource, of its bucket, or of the project allows; `owner` may do all.

    A predefined role holds the permissions for whose sake the table takes it, and no others: so what the table does not
    list is denied. `used` collects by what it was allowed: (identity, role, where that is bound, permission).
    """

    cloud: Cloud
    owner: str
    used: set[tuple[str, str, str, str]] = field(default_factory=set)
    denied: list[tuple[str, str, str]] = field(default_factory=list)
    others: dict[str, frozenset[str]] = field(default_factory=dict)  # roles that only the guide gives
    expected: set[tuple[str, str]] = field(default_factory=set)  # what a test lets be denied: (identity, permission)
    later: timedelta = timedelta()  # how much later it is than now

    def allows(self, identity: str, permission: str, resource: str) -> bool:
        """Tell, and note it."""
        if identity == self.owner:
            return True
        for role, place in self._roles(identity, resource):
            if permission in self._permissions(role):
                self.used.add((identity, role, place, permission))
                return True
        self.denied.append((identity, permission, resource))
        return False

    def _roles(self, identity: str, resource: str) -> Iterator[tuple[str, str]]:
        """Yield the roles that hold on a resource, and where each is bound: there, on what it is in, on the project."""
        for place in (*_above(resource), f"cloudresourcemanager.googleapis.com/projects/{self.cloud.project}"):
            for binding in self.cloud.policies.get(place, {}).get("bindings", []):
                if not self._holds(binding.get("condition", {}).get("expression", ""), resource):
                    continue
                if f"serviceAccount:{identity}" in binding["members"]:
                    yield binding["role"], place

    def _holds(self, condition: str, resource: str) -> bool:
        """Evaluate a condition; one that uses what a resource does not have grants nothing."""
        if found := NAME.fullmatch(condition):
            service, _, name = resource.partition("/")
            return f"{service}/" in WITH_NAMES and name.startswith(found[1])
        if found := BEFORE.fullmatch(condition):
            return datetime.now(UTC) + self.later < datetime.fromisoformat(found[1])
        assert not condition, f"what this means is not known here: {condition}"
        return True

    def _permissions(self, role: str) -> frozenset[str]:
        custom = self.cloud.resources.get(f"iam.googleapis.com/{role}")
        if custom is not None:
            return frozenset(custom["includedPermissions"])
        if role in self.others:
            return self.others[role]
        return frozenset(p for row in table().bindings if row.role == role for p in row.needs)


def _above(resource: str) -> Iterator[str]:
    """Yield a resource and what it is in: an object's bucket, a version's secret."""
    while resource.count("/") >= 2:
        yield resource
        resource = resource.rpartition("/")[0]
