"""Cloud Monitoring's alerts, dashboards and channels, and Cloud Logging's metrics."""

from copy import deepcopy

from tests.cloud.calls import Answer, Call, Json, Refusal
from tests.cloud.metric_rules import check_replacement, checked_alert, checked_dashboard, checked_metric
from tests.cloud.service import Service, parse_path, unknown
from tests.cloud.state import now
from tests.cloud.vertex import Logging


class Monitoring(Service):
    """Alerts, dashboards, and channels that a test adds to `resources`; SQL and MQL are unknown."""

    name = "monitoring"

    def collection(self, call: Call, name: str, version: str) -> Json | Answer:
        """List, or create as the rules allow."""
        kind = name.rpartition("/")[2]
        if call.method == "GET":
            return {kind: self.state.children(self.full(name))}
        if call.method != "POST" or kind == "notificationChannels":
            raise unknown(call)
        body = self.checked(kind, call.document)
        identifier = str(next(self.state.numbers))
        if kind == "dashboards":  # its creator may choose the id
            identifier = self.state.canonical(body.get("name", "")).rpartition("/")[2] or identifier
        return self.stored(f"{name}/{identifier}", body, new=True)

    def patch(self, call: Call, name: str) -> Json:
        """Replace a resource, or the fields of a mask."""
        there = self.state.get(self.full(name))
        kind = name.split("/")[2]
        body = call.document
        if kind == "dashboards" and body.get("etag", there["etag"]) != there["etag"]:
            raise Refusal(409, "The dashboard was changed by another request.", "ABORTED")
        if mask := call.query.get("updateMask", ""):
            body = {**there, **{field: body.get(field) for field in mask.split(",")}}
        return self.stored(name, self.checked(kind, body), new=False)

    def checked(self, kind: str, body: Json) -> Json:
        """Return a resource that the rules allow."""
        if kind == "alertPolicies":
            return checked_alert(body, self.state)
        return checked_dashboard(body, self.state)

    def stored(self, name: str, body: Json, *, new: bool) -> Json:
        """Store a resource with what Google adds, such as the project's number."""
        resource = deepcopy(body)
        resource["name"] = name
        if "/dashboards/" in name:
            resource["name"] = name.replace(f"projects/{self.state.project}/", f"projects/{self.state.number}/")
            resource["etag"] = f"etag-{next(self.state.numbers)}"
        for number, condition in enumerate(resource.get("conditions", ())):
            condition["name"] = f"{name}/conditions/{number}"
        if "/alertPolicies/" in name:
            resource.setdefault("enabled", True)
            resource["mutationRecord"] = {"mutateTime": now()}
        if new:
            return self.state.add(self.full(name), resource)
        self.state.resources[self.full(name)] = resource
        return resource


class LoggingWithMetrics(Logging):
    """Logs, and log-based metrics."""

    def answer(self, call: Call) -> Json | Answer:
        """List entries, or read and write metrics."""
        if "/metrics" not in call.path:
            return super().answer(call)
        _, name, _ = parse_path(call.path)
        name = self.state.canonical(name)
        if name.endswith("/metrics"):
            if call.method == "GET":
                return {"metrics": self.state.children(self.full(name))}
            return self.state.add(self.full(f"{name}/{call.document.get('name')}"), self.described(call.document))
        if call.method == "PUT":  # replaces, or creates
            check_replacement(self.state.resources.get(self.full(name), call.document), call.document)
            self.state.resources[self.full(name)] = self.described(call.document)
            return self.state.resources[self.full(name)]
        if call.method == "DELETE":
            self.state.remove(self.full(name))
            return {}
        return self.state.get(self.full(name))

    def described(self, body: Json) -> Json:
        """Return a metric with what Google adds."""
        return {"createTime": now(), **checked_metric(body), "updateTime": now()}
