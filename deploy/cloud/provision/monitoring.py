"""The log-based metrics, the dashboard and the alerts of deploy/cloud/monitoring.

Only resources with the deployment's mark are changed or deleted. Fields that our files leave out
stay as an operator has set them: a disabled alert stays disabled.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from urllib.parse import quote

import click

from deploy.cloud.deployment import Deployment
from deploy.cloud.google import Google
from deploy.cloud.marks import LABEL, marked, of_nobody
from deploy.cloud.monitoring.files import ALERT_LABEL, ALERTS, DASHBOARDS, METRICS, rendered
from deploy.cloud.provision.channels import CHANNELS, same_channels
from deploy.cloud.provision.parts import CREATED, DELETED, Change
from shared.core.reserved import DEPLOYMENT

Document = Mapping[str, Any]
MONITORING = "https://monitoring.googleapis.com"
LOGGING = "https://logging.googleapis.com"
_DESCRIPTION = re.compile(rf"vertex-launch ({DEPLOYMENT}): ")  # a metric has no label of its own


class Update(Enum):
    """How a resource is changed: as a whole, merged with what is there, or by named fields."""

    REPLACE = auto()
    MERGE = auto()
    MASK = auto()


@dataclass(frozen=True)
class Kind:
    """One kind of resource: where it is, and what identifies one of them.

    `key` identifies a resource; `mark` returns the fields that `marks` reads; `listed_by` is the
    permission that a look needs.
    """

    title: str
    files: str
    root: str
    collection: str
    key: Callable[[Document], str]
    mark: Callable[[Document], Document]
    listed_by: str
    update: Update


def _last(resource: Document) -> str:
    return str(resource["name"]).rpartition("/")[2]


def _label_of(metric: Document) -> Document:
    found = _DESCRIPTION.match(metric.get("description", ""))
    return {"labels": {LABEL: found[1]}} if found else {}


def _alert(policy: Document) -> str:
    labels = policy.get("userLabels", {})
    return f"{labels.get(LABEL, '')}-{labels.get(ALERT_LABEL, '')}"


KINDS = (
    Kind(
        "metric",
        METRICS,
        f"{LOGGING}/v2",
        "metrics",
        _last,
        _label_of,
        "logging.logMetrics.list",
        Update.REPLACE,
    ),
    Kind(
        "alert",
        ALERTS,
        f"{MONITORING}/v3",
        "alertPolicies",
        _alert,
        lambda policy: {"labels": policy.get("userLabels")},
        "monitoring.alertPolicies.list",
        Update.MASK,
    ),
    Kind(
        "dashboard",
        DASHBOARDS,
        f"{MONITORING}/v1",
        "dashboards",
        _last,
        lambda dashboard: {"labels": dashboard.get("labels")},
        "monitoring.dashboards.list",
        Update.MERGE,
    ),
)


def parts(
    deployment: Deployment, google: Google, channels: tuple[str, ...] = ()
) -> list["Collection"]:
    """Return a part for each kind, in the order of their creation; alerts use the metrics."""
    return [Collection(deployment, google, kind, channels) for kind in KINDS]


class Collection:
    """All resources of one kind. Without `channels`, each alert keeps the channels that it has."""

    def __init__(
        self, deployment: Deployment, google: Google, kind: Kind, channels: tuple[str, ...] = ()
    ) -> None:
        self.kind = kind
        self._deployment = deployment
        self._google = google
        self._channels = channels
        self._url = f"{kind.root}/projects/{deployment.project}/{kind.collection}"

    def changes(self) -> Iterator[Change]:
        """Yield the resources that are missing or differ, and ours that no file describes.

        Raises:
            ClickException: a resource of somebody else has the name of ours.
        """
        wanted = {self.kind.key(each): each for each in self.wanted()}
        there: dict[str, Document] = {}
        surplus = []  # also a second alert, if the answer of its creation was lost
        for each in self._listed():
            key = self.kind.key(each)
            if key in wanted and key not in there:
                there[key] = each
            elif self._ours(each):
                surplus.append(each)
        for key, document in wanted.items():
            if key in there:
                yield from self._updated(key, document, there[key])
            else:
                yield Change(self._title(key), CREATED, self._call("POST", self._url, document))
        for each in surplus:
            yield self._deletion(each)

    def removals(self) -> list[Change]:
        """Return the deletions of all resources with our mark."""
        return [self._deletion(each) for each in self.ours()]

    def wanted(self) -> list[dict[str, Any]]:
        """Return the resources that the files describe."""
        documents = rendered(self.kind.files, self._deployment)
        if self._channels and self.kind.files == ALERTS:
            documents = [{**each, CHANNELS: list(self._channels)} for each in documents]
        return documents

    def ours(self) -> list[Document]:
        """Return the resources with our mark; raises Google's errors."""
        return [each for each in self._listed() if self._ours(each)]

    def _listed(self) -> Iterator[Document]:
        return self._google.listed(self._url, self.kind.collection)

    def _updated(self, key: str, wanted: Document, there: Document) -> Iterator[Change]:
        if reason := of_nobody(self.kind.mark(there), self._deployment):
            raise click.ClickException(f"{self._title(key)} {reason}")
        differing = [name for name in wanted if _differs(name, wanted[name], there.get(name))]
        if not differing:
            return
        if self.kind.update is Update.REPLACE and not _replaceable(there, wanted):
            yield self._deletion(there)
            yield Change(self._title(key), CREATED, self._call("POST", self._url, wanted))
            return
        address = self._address(there)
        match self.kind.update:
            case Update.REPLACE:
                call = self._call("PUT", address, wanted)
            case Update.MERGE:
                call = self._call("PATCH", address, _merged(there, wanted))
            case Update.MASK:
                body = {name: _merged(there.get(name), wanted[name]) for name in differing}
                call = self._call("PATCH", address, body, updateMask=",".join(differing))
        yield Change(self._title(key), f"changes {', '.join(differing)}", call)

    def _deletion(self, there: Document) -> Change:
        title = self._title(self.kind.key(there) or _last(there))
        return Change(title, DELETED, self._call("DELETE", self._address(there)))

    def _ours(self, resource: Document) -> bool:
        return marked(self.kind.mark(resource)) == self._deployment.name

    def _address(self, there: Document) -> str:
        return f"{self._url}/{quote(_last(there), safe='')}"

    def _title(self, key: str) -> str:
        return f"{self.kind.title} {key}"

    def _call(
        self, method: str, url: str, body: Document | None = None, **query: str
    ) -> Callable[[], Any]:
        return lambda: self._google.change(method, url, body, query)


def _replaceable(there: Document, wanted: Document) -> bool:
    """Tell whether Google can change a metric: it keeps kind, type and labels; labels may join."""
    before, after = (each.get("metricDescriptor", {}) for each in (there, wanted))
    labels, kept = ({one["key"] for one in each.get("labels", ())} for each in (after, before))
    fixed = ("metricKind", "valueType")
    return kept <= labels and all(before.get(name) == after.get(name) for name in fixed)


def _differs(name: str, wanted: Any, there: Any) -> bool:
    if name == CHANNELS:
        return not same_channels(wanted, there)
    if name == "name":  # Google answers with the project's number
        return False
    return not _covers(there, wanted)


def _covers(there: Any, wanted: Any) -> bool:
    """Tell whether a resource has all that is wanted; Google adds fields, and omits defaults."""
    match wanted:
        case dict():
            fields = there if isinstance(there, dict) else {}
            return all(_covers(fields.get(name), value) for name, value in wanted.items())
        case list():
            items = there if isinstance(there, list) else []
            return len(items) == len(wanted) and all(map(_covers, items, wanted))
        case bool() | str():
            return bool((there or type(wanted)()) == wanted)
        case _:  # numbers of 64 bits come as text
            return float(there or 0) == float(wanted)


def _merged(there: Any, wanted: Any) -> Any:
    """Return what is wanted, with the fields of a resource that our files leave out."""
    if isinstance(wanted, dict) and isinstance(there, dict):
        return {**there, **{name: _merged(there.get(name), wanted[name]) for name in wanted}}
    return wanted
