"""Monitoring: the metrics, the dashboard and the alerts, and whether anybody is notified."""

from collections.abc import Iterator
from functools import partial

from deploy.cloud import gcloud
from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.finding import Check, Finding, ok, warning
from deploy.cloud.monitoring.files import ALERTS
from deploy.cloud.provision.channels import CHANNELS, OPTION, listing
from deploy.cloud.provision.monitoring import Collection, Document, parts
from deploy.cloud.provision.parts import CREATED, DELETED


def checks(case: Case) -> Iterator[Check]:
    """Yield a check for each kind of resource, and one of the alerts' notifications."""
    collections = parts(case.deployment, case.google)
    for each in collections:
        yield Check(f"{each.kind.title}s", partial(_kind, case, each), (each.kind.listed_by,))
    alerts = next(each for each in collections if each.kind.files == ALERTS)
    yield Check("notifications", partial(_notified, case, alerts), (alerts.kind.listed_by,))


def _kind(case: Case, collection: Collection) -> Iterator[Finding]:
    """Compare all resources of one kind with the files."""
    title = f"{collection.kind.title}s"
    changes = list(collection.changes())
    if not changes:
        count = len(collection.wanted())
        yield ok(title, f"{count}, as provisioned")
        return
    words = {CREATED: "missing", DELETED: "of a former version"}
    found: dict[str, list[str]] = {}
    for change in changes:
        name = change.resource.rpartition(" ")[2]
        found.setdefault(words.get(change.difference, "changed by hand"), []).append(name)
    message = "; ".join(f"{problem}: {', '.join(names)}" for problem, names in found.items())
    yield warning(title, message, case.command("provision"))


def _notified(case: Case, collection: Collection) -> Iterator[Finding]:
    """Find alerts that are disabled or notify nobody."""
    alerts, project = collection.ours(), f"--project={case.deployment.project}"
    off = [each for each in alerts if not each.get("enabled", True)]
    silent = [each for each in alerts if not each.get(CHANNELS)]
    for each in off:
        on = ("alpha", "monitoring", "policies", "update", each["name"], "--enabled", project)
        yield warning("notifications", f"the alert is disabled: {_title(each)}", gcloud.shown(on))
    if silent:
        message = f"nobody is notified of: {'; '.join(map(_title, silent))}"
        name = f"{case.command('provision')} {OPTION}=ID"
        yield warning("notifications", message, f"{listing(case.deployment)}\n{name}")
    if alerts and not off and not silent:
        yield ok("notifications", "each alert is enabled and has a notification channel")


def _title(alert: Document) -> str:
    return str(alert["displayName"]).partition(": ")[2]
