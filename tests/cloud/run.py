"""Cloud Run: services and revisions, kept in the form of v1 (Kubernetes style)."""

import json
import re
from copy import deepcopy
from typing import Any

from tests.cloud.calls import REGION_CODES, Answer, Call, Json, Refusal
from tests.cloud.names import claims
from tests.cloud.permissions import invoked
from tests.cloud.service import Service, unknown
from tests.cloud.state import State, now


class Run(Service):
    """Services, which Cloud Functions creates and `update-traffic` changes."""

    name = "run"

    def answer(self, call: Call) -> Json | Answer:
        """Answer v1 on its regional host; else apply the shared rules (v1 IAM methods, v2)."""
        pattern = r"/apis/serving\.knative\.dev/v1/namespaces/([^/]+)/(services|revisions)(?:/([^/]+))?"
        found = re.fullmatch(pattern, call.path)
        if found is None:
            return super().answer(call)
        project, kind, name = found.groups()
        parent = self.state.canonical(f"projects/{project}/locations/{call.host.partition('-run.')[0]}")
        if name is None and call.method == "GET":
            return {
                "apiVersion": "serving.knative.dev/v1",
                "kind": "List",
                "metadata": {},
                "items": self.listed(parent, kind),
            }
        if name is None:
            raise unknown(call)
        if kind == "revisions":
            return self.revision(parent, name)
        full = self.full(f"{parent}/services/{name}")
        if call.method == "PUT":
            return replace_service(self.state, full, call.document)
        if call.method == "DELETE":
            delete_service(self.state, full)
            return {"kind": "Status", "status": "Success"}
        return self.state.get(full)

    def resource(self, call: Call, name: str) -> Json | Answer:
        """Get a service in the form of v2."""
        if call.method != "GET":
            raise unknown(call)
        service = self.state.get(self.full(name))
        if "/revisions/" in name:
            return {
                "name": name,
                "service": name.split("/")[5],
                "createTime": service["metadata"]["creationTimestamp"],
                "containers": [{"env": each.get("env", [])} for each in service["spec"].get("containers", [])],
            }
        status = service["status"]
        latest = f"{name}/revisions/{status['latestReadyRevisionName']}"
        return {
            "name": name,
            "uri": status["url"],
            "labels": service["metadata"]["labels"],
            "latestReadyRevision": latest,
            "latestCreatedRevision": latest,
            "template": {"serviceAccount": service["spec"]["template"]["spec"].get("serviceAccountName", "")},
            "traffic": [_traffic_v2(target) for target in service["spec"]["traffic"]],
            "trafficStatuses": [_traffic_v2(target) for target in status["traffic"]],
            "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"},
        }

    def listed(self, parent: str, kind: str) -> list[Json]:
        """List the region's services, or all of their revisions."""
        services = self.state.children(self.full(f"{parent}/services"))
        if kind == "services":
            return services
        names = [self.full(f"{parent}/services/{service['metadata']['name']}/revisions") for service in services]
        return [revision for name in names for revision in self.state.children(name)]

    def revision(self, parent: str, name: str) -> Json:
        """Get one revision of any service."""
        for revision in self.listed(parent, "revisions"):
            if revision["metadata"]["name"] == name:
                return revision
        raise Refusal(404, f"Revision '{name}' was not found.")


class Invocations(Service):
    """Calls of functions; `answers` has a (status, JSON) pair or a callable by function, else 200 `{}`."""

    name = "web"

    def answer(self, call: Call) -> Json | Answer:
        """Answer as the test configured; refuse a token for another audience."""
        project, region, name = invoked(call)
        service = self.state.get(
            f"run.googleapis.com/{self.state.canonical(f'projects/{project}')}/locations/{region}/services/{name}"
        )
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        mine = (service["status"]["url"], f"https://{name}-{self.state.number}.{region}.run.app")
        if token.count(".") == 2 and claims(token)["aud"] not in mine:
            raise Refusal(401, f"The access token could not be verified: it is for {claims(token)['aud']!r}.")
        answered = self.state.answers.get(name, (200, {}))
        if isinstance(answered, tuple):
            return Answer(json.dumps(answered[1]).encode(), answered[0])
        status, body = answered(call)
        return Answer(body, status)


def deploy_revision(state: State, full: str, template: Json, labels: Json, *, all_traffic: bool) -> Json:
    """Deploy a new revision `NAME-0000N-xyz`; create the service if it is missing."""
    parent, _, name = full.rpartition("/")
    region = parent.split("/")[4]
    service = state.resources.get(full)
    if service is None:
        host = f"{name}-{int(state.number) % 10**8:08d}ab-{REGION_CODES[region]}.a.run.app"
        service = state.add(full, _new_service(state, name, region, f"https://{host}"))
    metadata, status = service["metadata"], service["status"]
    metadata["generation"] += 1
    metadata["labels"] = {"cloud.googleapis.com/location": region, **labels}
    number = len(state.children(f"{full}/revisions")) + 1
    suffix = "".join(chr(ord("a") + (number * step) % 26) for step in (3, 5, 7))
    revision = f"{name}-{number:05d}-{suffix}"
    service["spec"]["template"] = template
    status["latestReadyRevisionName"] = status["latestCreatedRevisionName"] = revision
    state.add(f"{full}/revisions/{revision}", _new_revision(state, name, revision, template))
    if all_traffic:
        service["spec"]["traffic"] = [{"latestRevision": True, "percent": 100}]
    return _settled(service)


def replace_service(state: State, full: str, wanted: Json) -> Json:
    """Set a service's traffic, labels and annotations from `wanted`; its revisions must exist."""
    service = state.get(full)
    version = wanted.get("metadata", {}).get("resourceVersion")
    if version not in (None, service["metadata"]["resourceVersion"]):
        raise Refusal(409, "The resource was changed by another request.", "ABORTED")
    for target in wanted["spec"].get("traffic", []):
        if "revisionName" in target:
            state.get(f"{full}/revisions/{target['revisionName']}")
    service["metadata"] |= {
        key: wanted["metadata"][key] for key in ("labels", "annotations") if key in wanted["metadata"]
    }
    service["metadata"]["generation"] += 1
    service["spec"]["traffic"] = deepcopy(wanted["spec"].get("traffic", []))
    return _settled(service)


def delete_service(state: State, full: str) -> None:
    """Delete a service and its revisions."""
    for revision in state.children(f"{full}/revisions"):
        state.remove(f"{full}/revisions/{revision['metadata']['name']}")
    state.remove(full)


def _settled(service: Json) -> Json:
    """Set a service's status from its spec."""
    metadata, status = service["metadata"], service["status"]
    metadata["resourceVersion"] = f"AAY{metadata['generation']}"
    status["observedGeneration"] = metadata["generation"]
    latest = status["latestReadyRevisionName"]
    status["traffic"] = [
        {**target, "revisionName": latest if target.get("latestRevision") else target["revisionName"]}
        for target in service["spec"]["traffic"]
    ]
    return service


def _new_service(state: State, name: str, region: str, url: str) -> Json:
    conditions = [{"type": kind, "status": "True"} for kind in ("Ready", "ConfigurationsReady", "RoutesReady")]
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": state.number,
        "uid": f"uid-{next(state.numbers)}",
        "generation": 0,
        "creationTimestamp": now(),
        "selfLink": f"/apis/serving.knative.dev/v1/namespaces/{state.number}/services/{name}",
        "labels": {"cloud.googleapis.com/location": region},
        "annotations": {},
    }
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"template": {}, "traffic": []},
        "status": {"url": url, "address": {"url": url}, "conditions": conditions},
    }


def _new_revision(state: State, service: str, name: str, template: Json) -> Json:
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Revision",
        "metadata": {
            "name": name,
            "namespace": state.number,
            "creationTimestamp": now(),
            "labels": {"serving.knative.dev/service": service},
        },
        "spec": deepcopy(template.get("spec", {})),
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


def _traffic_v2(target: Json) -> Json:
    latest = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
    named = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
    if target.get("latestRevision"):
        return {"type": latest, "percent": target["percent"]}
    return {"type": named, "revision": target["revisionName"], "percent": target.get("percent", 0)}
