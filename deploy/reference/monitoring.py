"""The tables of metrics and alerts, from the files of deploy/cloud/monitoring."""

import re
from collections.abc import Mapping
from typing import Any

from deploy.cloud.deployment import Deployment
from deploy.cloud.monitoring.files import ALERT_LABEL, ALERTS, METRICS, rendered
from deploy.reference.markdown import code, table

DEPLOYMENT = Deployment("my-project", "us-central1")


def monitoring_tables() -> str:
    """Return the table of metrics, and that of alerts with their severity."""
    metrics = table(
        ("metric", "counts or measures", "log event", "labels"),
        map(_metric, rendered(METRICS, DEPLOYMENT)),
    )
    alerts = table(("alert", "severity", "conditions"), map(_alert, rendered(ALERTS, DEPLOYMENT)))
    return f"{metrics}\n## Alerts\n\n{alerts}"


def _metric(metric: Mapping[str, Any]) -> tuple[str, ...]:
    events = re.findall(r'jsonPayload\.message="([^"]+)"', metric["filter"])
    return (
        code(metric["name"]),
        metric["description"].partition(": ")[2],
        ", ".join(map(code, events)),
        ", ".join(map(code, metric.get("labelExtractors", ()))),
    )


def _alert(alert: Mapping[str, Any]) -> tuple[str, ...]:
    key = alert["userLabels"][ALERT_LABEL]
    conditions = "; ".join(each["displayName"] for each in alert["conditions"])
    return f"[{key}](../how-to/alert-{key}.md)", alert["severity"].lower(), conditions
