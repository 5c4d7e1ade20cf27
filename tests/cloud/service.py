"""The shared rules of Google's APIs: named resources, IAM policies, long-running operations."""

import re
from copy import deepcopy
from typing import Any, ClassVar

from tests.cloud.calls import Answer, Call, Json, Refusal
from tests.cloud.permissions import UnknownCallError
from tests.cloud.state import State, merge, now


class Service:
    """One API with paths `/VERSION/NAME[:VERB]`; subclasses override its rules.

    `long_running` maps collections to message types; their writes return a finished operation.
    """

    name: ClassVar[str]
    long_running: ClassVar[dict[str, str]] = {}

    def __init__(self, state: State) -> None:
        self.state = state

    def answer(self, call: Call) -> Json | Answer:
        """Answer one call by the shared rules."""
        version, name, verb = parse_path(call.path)
        name = self.state.canonical(name)
        if verb:
            return self.verb(call, name, verb)
        if "/operations/" in name:
            return self.operation(name)
        if is_collection(name):
            return self.collection(call, name, version)
        return self.resource(call, name)

    def collection(self, call: Call, name: str, version: str) -> Json | Answer:
        """Create in a collection, or list it."""
        kind = name.rpartition("/")[2]
        if call.method == "GET":
            return {kind: self.state.children(self.full(name))}
        if call.method != "POST":
            raise unknown(call)
        new_name, body = self.new(call, name)
        made = self.state.add(self.full(new_name), {})
        made.update(self.created(call, new_name, {"createTime": now(), "updateTime": now(), **body, "name": new_name}))
        return self.answered(kind, new_name, made)

    def resource(self, call: Call, name: str) -> Json | Answer:
        """Get, create (PUT), update or delete one resource."""
        full, kind = self.full(name), name.split("/")[-2]
        if call.method == "GET":
            return self.state.get(full)
        if call.method == "PUT":
            made = self.state.add(full, {})
            made.update(self.created(call, name, {**deepcopy(call.document), "name": name}))
            return made
        if call.method == "PATCH":
            return self.answered(kind, name, self.patch(call, name))
        if call.method == "DELETE":
            self.deleted(call, name, self.state.remove(full))
            return self.answered(kind, name, {}, "google.protobuf.Empty")
        raise unknown(call)

    def patch(self, call: Call, name: str) -> Json:
        """Update one resource by the call's mask; return it whole."""
        before = self.state.get(self.full(name))
        changed = merge(before, self.changes(call), self.mask(call)) | {"name": name}
        if "updateTime" in before:
            changed["updateTime"] = now()
        self.state.resources[self.full(name)] = self.updated(call, name, changed)
        return self.state.resources[self.full(name)]

    def verb(self, call: Call, name: str, verb: str) -> Json | Answer:
        """Read, replace or test the IAM policy of a resource."""
        full = self.full(name)
        if verb in ("getIamPolicy", "setIamPolicy", "testIamPermissions"):
            self.state.get(full)
        if verb == "getIamPolicy":
            return self.state.policy(full)
        if verb == "setIamPolicy":
            return self.state.set_policy(full, call.document["policy"])
        if verb == "testIamPermissions":
            return {"permissions": self.held(call, full)}
        raise unknown(call)

    def held(self, call: Call, full: str) -> list[str]:
        """Return the requested permissions that the caller has."""
        asked: list[str] = call.document.get("permissions", [])
        return [permission for permission in asked if self.state.allow(call.identity, permission, full)]

    def operation(self, name: str) -> Json:
        """Return an operation, which is done."""
        if name not in self.state.operations:
            raise Refusal(404, f"Operation '{name}' was not found.")
        return self.state.operations[name]

    def new(self, call: Call, collection: str) -> tuple[str, Json]:
        """Return the name and body of the resource that a POST creates."""
        identifier = next((value for key, value in call.query.items() if re.search(r"[a-z](Id|_id)$", key)), None)
        body = call.document
        named = body.get("name", "")
        if identifier is None and not named:
            raise Refusal(400, f"A name is missing for {collection}.")
        name = f"{collection}/{identifier}" if identifier else named
        return self.state.canonical(name), body

    def created(self, call: Call, name: str, resource: Json) -> Json:
        """Add the service's own fields to a new resource."""
        return resource

    def updated(self, call: Call, name: str, resource: Json) -> Json:
        """Add the service's own fields to a changed resource."""
        return resource

    def deleted(self, call: Call, name: str, resource: Json) -> None:
        """Delete the dependents of a deleted resource."""

    def changes(self, call: Call) -> Json:
        """Return the fields of a PATCH."""
        return call.document

    def mask(self, call: Call) -> str:
        """Return the update mask of a PATCH."""
        return call.query.get("updateMask", call.query.get("update_mask", ""))

    def answered(self, kind: str, name: str, resource: Json, message: str | None = None) -> Json:
        """Return the resource, or a finished operation for a long-running collection."""
        if kind not in self.long_running:
            return resource
        parent = "/".join(name.split("/")[:4])
        operation: dict[str, Any] = {
            "name": f"{parent}/operations/operation-{next(self.state.numbers)}",
            "done": True,
            "metadata": {},
            "response": {"@type": f"type.googleapis.com/{message or self.long_running[kind]}", **deepcopy(resource)},
        }
        self.state.operations[operation["name"]] = operation
        return operation

    def full(self, name: str) -> str:
        """Return the full resource of a name."""
        return f"{self.name}.googleapis.com/{name}"


def parse_path(path: str) -> tuple[str, str, str]:
    """Split `/VERSION/NAME:VERB` into its three parts."""
    found = re.fullmatch(r"/(v\d\w*)/(.*?)(?::([a-zA-Z]+))?", path)
    if found is None:
        raise Refusal(404, f"The requested URL {path} was not found on this server.")
    return found[1], found[2], found[3] or ""


def is_collection(name: str) -> bool:
    """Return whether a name is a collection (`projects/p/topics`), not a resource."""
    return len(name.split("/")) % 2 == 1


def unknown(call: Call) -> UnknownCallError:
    """Return the error of a call without a rule."""
    return UnknownCallError(f"tests/cloud does not know {call.method} {call.host}{call.path}")
