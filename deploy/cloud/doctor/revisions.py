"""The revisions of a function that serve traffic, and the variables of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.cloud.google import Google

UNKNOWN = "unknown"
LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"


@dataclass(frozen=True)
class Revision:
    """A revision. deploy/cloud/function.sh sets the variables `DEPLOYED_…`; none changes later.

    `percent` is its part of the traffic, `created` its time in RFC 3339.
    """

    name: str
    percent: int
    created: str
    variables: Mapping[str, str]

    @property
    def commit(self) -> str:
        """Return the commit; "unknown" if an earlier version deployed the revision."""
        return self.variables.get("DEPLOYED_COMMIT", UNKNOWN)

    @property
    def build(self) -> str:
        """Return the resource name of the build; empty if no build deployed the revision."""
        return self.variables.get("DEPLOYED_BUILD", "")

    @property
    def over(self) -> str:
        """Return the revisions that served before, as `--to-revisions` takes them, or empty."""
        return self.variables.get("DEPLOYED_OVER", "")

    @property
    def version(self) -> str:
        """Return what it runs, for people: two builds of one commit can have other settings."""
        build = self.build.rpartition("/")[2]
        return f"commit {self.commit}" + (f" of build {build}" if build else "")


def serving(google: Google, service: str) -> tuple[Revision, ...]:
    """Return the revisions of a Cloud Run service that have traffic; raises Google's errors."""
    there = google.get(_url(service))
    return tuple(
        _revision(google, service, name, percent)
        for name, percent in _traffic(there)
        if name and percent
    )


def newest(google: Google, service: str) -> Revision:
    """Return the newest revision that is ready; raises Google's errors."""
    return _revision(google, service, _short(google.get(_url(service))["latestReadyRevision"]), 0)


def _traffic(service: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield each revision with its percentage; one that has only a tag has none."""
    for target in service.get("trafficStatuses", ()):
        latest = service.get("latestReadyRevision", "") if target.get("type") == LATEST else ""
        yield _short(target.get("revision") or latest), target.get("percent", 0)


def _revision(google: Google, service: str, name: str, percent: int) -> Revision:
    there = google.get(f"{_url(service)}/revisions/{name}")
    variables = {
        variable["name"]: variable.get("value", "")
        for container in there.get("containers", ())[:1]
        for variable in container.get("env", ())
    }
    return Revision(name, percent, there.get("createTime", ""), variables)


def _url(service: str) -> str:
    return f"https://run.googleapis.com/v2/{service}"


def _short(name: str) -> str:
    return name.rpartition("/")[2]
