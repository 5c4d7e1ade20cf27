"""The state of the cloud: resources, IAM policies, objects and operations."""

import base64
import datetime as dt
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tests.cloud.calls import Function, Json, Refusal

Allow = Callable[[str, str, str], bool]


@dataclass(frozen=True)
class StoredObject:
    """One generation of one object in a bucket."""

    content: bytes
    generation: int
    metageneration: int = 1
    fields: Json = field(default_factory=dict)


@dataclass
class State:
    """The state of one project; a full resource is `SERVICE.googleapis.com/NAME` with the project's id."""

    project: str
    number: str
    resources: dict[str, Json] = field(default_factory=dict)
    policies: dict[str, Json] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    objects: dict[tuple[str, str], StoredObject] = field(default_factory=dict)
    operations: dict[str, Json] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    messages: dict[str, list[Json]] = field(default_factory=dict)
    sessions: dict[str, Json] = field(default_factory=dict)
    answers: dict[str, tuple[int, Json] | Function] = field(default_factory=dict)
    scheduler_outcome: dict[str, int] = field(default_factory=dict)
    call_target: Callable[[Json], object] | None = None
    vertex: str = ""
    scheduler_in: tuple[str, ...] = ("europe-west1", "europe-west4", "us-central1", "us-east1")
    audited: dict[str, Json] = field(default_factory=dict)  # resource -> the entry of the audit log on it
    allow: Allow = lambda *_: True
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def get(self, full: str) -> Json:
        """Return the resource, or refuse with NOT_FOUND."""
        if full not in self.resources:
            raise Refusal(404, f"Resource '{full.partition('/')[2]}' was not found.")
        return self.resources[full]

    def add(self, full: str, resource: Json) -> Json:
        """Add a resource, or refuse with ALREADY_EXISTS."""
        if full in self.resources:
            raise Refusal(409, f"Resource '{full.partition('/')[2]}' already exists.")
        self.resources[full] = resource
        return resource

    def remove(self, full: str) -> Json:
        """Delete the resource and its policy, or refuse with NOT_FOUND."""
        removed = self.get(full)
        del self.resources[full]
        self.policies.pop(full, None)
        return removed

    def children(self, full_collection: str) -> list[Json]:
        """List the resources of a collection, such as `….com/projects/p1/topics`; `-` is any location."""
        pattern = re.compile(re.escape(full_collection).replace(r"/\-/", "/[^/]+/") + "/[^/]+")
        return [resource for full, resource in sorted(self.resources.items()) if pattern.fullmatch(full)]

    def demand(self, identity: str, permission: str, resource: str) -> None:
        """Refuse unless `identity` has the permission on a full resource."""
        service, _, name = resource.partition("/")
        resource = f"{service}/{self.canonical(name)}"
        if not self.allow(identity, permission, resource):
            raise Refusal(403, f"{identity}: permission '{permission}' denied on resource '{resource}'")

    def policy(self, full: str) -> Json:
        """Return the resource's IAM policy with its etag."""
        return {"version": 1, **deepcopy(self.policies.get(full, {})), "etag": self.etag(full)}

    def set_policy(self, full: str, policy: Json) -> Json:
        """Replace the resource's IAM policy; refuse a stale etag, and conditions before version 3."""
        if policy.get("etag") not in (None, "", self.etag(full)):
            raise Refusal(
                409, "There were concurrent policy changes. Please retry the whole read-modify-write.", "ABORTED"
            )
        bindings = [binding for binding in policy.get("bindings", []) if binding.get("members")]
        conditions = any("condition" in binding for binding in bindings)
        if conditions and policy.get("version") != 3:
            raise Refusal(400, "Conditions need policy version 3.")
        self.policies[full] = {"version": 3 if conditions else 1, "bindings": bindings}
        return self.policy(full)

    def etag(self, full: str) -> str:
        """Return the etag of the resource's policy, a function of its content."""
        written = json.dumps(self.policies.get(full, {}), sort_keys=True).encode()
        readable = (
            hashlib.sha256(written).hexdigest()[:6].encode()
        )  # without + and /, which some of gcloud writes as - and _
        return base64.b64encode(readable).decode()

    def canonical(self, name: str) -> str:
        """Replace the project's number or `-` in a resource name by the project's id."""
        return re.sub(rf"^projects/({self.number}|-)(?=/|$)", f"projects/{self.project}", name)


def now() -> str:
    """Return the current time in Google's format."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def merge(resource: Json, changes: Json, mask: str) -> Json:
    """Return `resource` with the mask's fields of `changes`; without a mask, all of its fields."""
    merged = deepcopy(resource)
    if not mask:
        return {**merged, **changes}
    for path in mask.split(","):
        keys = [re.sub(r"_([a-z])", lambda found: found[1].upper(), key) for key in path.strip().split(".")]
        _copy_field(merged, changes, keys)
    return merged


def _copy_field(target: Json, source: Any, keys: list[str]) -> None:
    key, *rest = keys
    value = source.get(key) if isinstance(source, dict) else None
    if rest:
        _copy_field(target.setdefault(key, {}), value, rest)
    elif value is None:
        target.pop(key, None)
    else:
        target[key] = deepcopy(value)
