"""Refuse log-based metrics, alerts and dashboards that Google would refuse."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.api import distribution_pb2, metric_pb2
from google.cloud.monitoring_dashboard_v1 import Dashboard
from google.cloud.monitoring_v3 import AlertPolicy
from google.protobuf import json_format

from tests.cloud.calls import Json, Refusal
from tests.cloud.log_filter import extracted, parsed
from tests.cloud.state import State

USER = "logging.googleapis.com/user/"
OF_A_METRIC = {"name", "description", "filter", "disabled", "metricDescriptor", "valueExtractor"}
OF_A_METRIC |= {"labelExtractors", "bucketOptions", "createTime", "updateTime", "version", "resourceName"}
TERM = re.compile(r'(metric|resource)\.(type|labels?\.(\w+))=("[^"]*"|one_of\(("[^"]*"(, )?)+\))')
ALIGNERS = {
    ("DELTA", "INT64"): {"ALIGN_DELTA", "ALIGN_RATE", "ALIGN_SUM", "ALIGN_MEAN", "ALIGN_MAX"},
    ("DELTA", "DISTRIBUTION"): {"ALIGN_DELTA", "ALIGN_SUM", "ALIGN_PERCENTILE_99", "ALIGN_PERCENTILE_95"},
    ("GAUGE", "INT64"): {"ALIGN_MAX", "ALIGN_MEAN", "ALIGN_MIN", "ALIGN_NEXT_OLDER"},
}
NUMERIC = {"REDUCE_MEAN", "REDUCE_COUNT"}  # of distributions; REDUCE_SUM of distributions is a distribution
NUMERIC |= {f"REDUCE_PERCENTILE_{percent}" for percent in ("99", "95", "50", "05")}


@dataclass(frozen=True)
class Metric:
    """What a filter may say of a metric."""

    kind: str
    value: str
    resource: str
    labels: frozenset[str]
    resource_labels: frozenset[str]


OF_GOOGLE = {
    "pubsub.googleapis.com/subscription/num_undelivered_messages": Metric(
        "GAUGE", "INT64", "pubsub_subscription", frozenset(), frozenset({"subscription_id"})
    ),
    **{
        f"serviceruntime.googleapis.com/quota/{name}": Metric(
            "GAUGE",
            "INT64",
            "consumer_quota",
            frozenset({"quota_metric", *more}),
            frozenset({"service", "location"}),
        )
        for name, more in {"allocation/usage": (), "limit": ("limit_name",)}.items()
    },
}
OF_CLOUD_RUN = frozenset({"service_name", "revision_name", "location", "configuration_name"})


def checked_metric(body: Json) -> Json:
    """Return a metric as Google answers it; raises Refusal."""
    if odd := set(body) - OF_A_METRIC:
        raise _unknown(odd)
    if not re.fullmatch(r"[\w.,+!*',()%/-]{1,100}", body.get("name", "")):
        raise Refusal(400, f"Invalid name: {body.get('name')!r}")
    parsed(body.get("filter", ""))
    given = {name: value for name, value in body.get("metricDescriptor", {}).items() if name != "type"}
    descriptor = _normal(given, metric_pb2.MetricDescriptor())
    labels = {label["key"] for label in descriptor.get("labels", [])}
    if labels != set(body.get("labelExtractors", {})):
        raise Refusal(400, "The labels of the descriptor differ from the extractors.")
    if ("valueExtractor" in body) != (descriptor.get("valueType") == "DISTRIBUTION"):
        raise Refusal(400, "A value extractor needs a distribution, and a distribution needs one.")
    for extractor in (*body.get("labelExtractors", {}).values(), body.get("valueExtractor")):
        if extractor is not None:
            extracted(extractor, {})
    checked = {**body, "metricDescriptor": {**descriptor, "type": USER + body["name"]}}
    if "bucketOptions" in body:
        checked["bucketOptions"] = _normal(body["bucketOptions"], distribution_pb2.Distribution.BucketOptions())
    return checked


def check_replacement(there: Json, body: Json) -> None:
    """Refuse what Google cannot change: the kind, the type, and labels of a metric."""
    before, after = (each.get("metricDescriptor", {}) for each in (there, body))
    for name in ("metricKind", "valueType"):
        if before.get(name) != after.get(name):
            raise Refusal(400, f"{name} cannot be changed.")
    if not {each["key"] for each in before.get("labels", ())} <= {each["key"] for each in after.get("labels", ())}:
        raise Refusal(400, "A label cannot be removed.")


def checked_alert(body: Json, state: State) -> Json:
    """Return an alert policy as Google answers it; raises Refusal."""
    policy = _normal(body, AlertPolicy.pb()())
    if not 1 <= len(policy.get("conditions", ())) <= 6 or "combiner" not in policy:
        raise Refusal(400, "A policy has a combiner and one to six conditions.")
    for key, value in policy.get("userLabels", {}).items():
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key) or not re.fullmatch(r"[a-z0-9_-]{0,63}", value):
            raise Refusal(400, f"Invalid user label {key}={value}")
    for channel in policy.get("notificationChannels", ()):
        if f"monitoring.googleapis.com/{state.canonical(channel)}" not in state.resources:
            raise Refusal(404, f"Notification channel {channel} does not exist.")
    for condition in policy["conditions"]:
        absent, threshold = condition.get("conditionAbsent"), condition.get("conditionThreshold")
        found = absent or threshold
        if found is None or "displayName" not in condition:
            raise Refusal(400, "A condition has a name, and an absence or a threshold.")
        seconds = int(found.get("duration", "-1s").removesuffix("s"))
        if seconds % 60 or seconds < (120 if absent else 0):
            raise Refusal(400, f"Invalid duration: {found.get('duration')}")
        if threshold and "comparison" not in threshold:
            raise Refusal(400, "A threshold has a comparison.")
        (aggregation,) = found["aggregations"]
        if _aggregated(found["filter"], aggregation, state) == "DISTRIBUTION":
            raise Refusal(400, "A condition compares numbers.")
    return policy


def checked_dashboard(body: Json, state: State) -> Json:
    """Return a dashboard as Google answers it; raises Refusal."""
    dashboard = _normal({name: value for name, value in body.items() if name != "etag"}, Dashboard.pb()())
    layout = dashboard.get("mosaicLayout", {})
    taken: set[tuple[int, int]] = set()
    for tile in layout.get("tiles", ()):
        x, y, width, height = (tile.get(name, 0) for name in ("xPos", "yPos", "width", "height"))
        cells = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
        if not cells or x + width > layout["columns"] or cells & taken:
            raise Refusal(400, f"The tile {tile['widget'].get('title')} lies outside, or over another tile.")
        taken |= cells
    for query in _queries(layout):
        _aggregated(query["filter"], query["aggregation"], state)
    return dashboard


def _queries(node: Any) -> Iterator[Json]:
    if isinstance(node, list):
        for each in node:
            yield from _queries(each)
    if isinstance(node, dict):
        if "aggregation" in node:
            yield node
        for name, each in node.items():
            if name == "logsPanel":
                parsed(each["filter"])
            yield from _queries(each)


def _aggregated(text: str, aggregation: Mapping[str, Any], state: State) -> str:
    """Return the type of the aggregated value; raises Refusal, also for an unknown metric."""
    terms: dict[str, str] = {}
    for term in text.split(" AND "):
        found = TERM.fullmatch(term.strip())
        if found is None:
            raise Refusal(400, f"Could not parse filter {text!r}")
        terms[f"{found[1]}.{found[3] or found[2]}"] = found[4].strip('"')
    metric = _metric(terms.get("metric.type", ""), state)
    if terms.get("resource.type") != metric.resource:
        raise Refusal(400, f"The metric has no resource of type {terms.get('resource.type')}")
    grouped = [path.replace(".label.", ".") for path in aggregation.get("groupByFields", ())]
    for path in {*terms, *grouped} - {"metric.type", "resource.type"}:
        side, _, label = path.partition(".")
        if label not in (metric.labels if side == "metric" else metric.resource_labels):
            raise Refusal(400, f"Unknown label {path} of {terms['metric.type']}")
    if aggregation["perSeriesAligner"] not in ALIGNERS[metric.kind, metric.value]:
        raise Refusal(400, f"{aggregation['perSeriesAligner']} is not valid for {terms['metric.type']}")
    if int(aggregation["alignmentPeriod"].removesuffix("s")) < 60:
        raise Refusal(400, "The shortest alignment period is 60s.")
    reduced = aggregation.get("crossSeriesReducer", "")
    percentile = "PERCENTILE" in aggregation["perSeriesAligner"] or reduced in NUMERIC
    return "DOUBLE" if percentile else metric.value


def _metric(name: str, state: State) -> Metric:
    if name in OF_GOOGLE:
        return OF_GOOGLE[name]
    stored = state.resources.get(f"logging.googleapis.com/projects/{state.project}/metrics/{name.removeprefix(USER)}")
    if stored is None:
        raise Refusal(
            404,
            f'Cannot find metric(s) that match type = "{name}". If a metric was created recently, it could take '
            "up to 10 minutes to become available. Please try again soon.",
        )
    descriptor = stored["metricDescriptor"]
    labels = frozenset(label["key"] for label in descriptor.get("labels", ()))
    kind, value = descriptor.get("metricKind", ""), descriptor.get("valueType", "")
    return Metric(kind, value, "cloud_run_revision", labels, OF_CLOUD_RUN)


def _normal(body: Json, message: Any) -> Json:
    """Return a message as Google's JSON: without defaults; refuse unknown fields and values."""
    try:
        normal: Json = json_format.MessageToDict(json_format.ParseDict(body, message))
    except json_format.ParseError as exc:
        raise Refusal(400, f"Invalid JSON payload received. {exc}") from exc
    return normal


def _unknown(names: set[str]) -> Refusal:
    return Refusal(400, f"Invalid JSON payload received. Unknown name {', '.join(sorted(names))}")
