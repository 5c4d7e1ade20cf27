"""Metrics, dashboard and alerts: `provision` reconciles them, and never fails for their sake.

The loopback cloud refuses what Google refuses: unknown fields, metrics and labels, unparseable filters.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import click
import pytest
import requests
import yaml
from google.auth.transport.requests import AuthorizedSession
from google.cloud import storage

from deploy.cloud import waiting
from deploy.cloud.deployment import Deployment
from deploy.cloud.destroy import _monitoring
from deploy.cloud.google import Google
from deploy.cloud.monitoring.files import ALERTS, DASHBOARDS, HERE, METRICS, rendered, text
from deploy.cloud.provision import monitoring
from tests.cloud.warm import warm_gcloud
from tests.cloud.world import Cloud
from tests.deployment.test_provision import BUILD, DEPLOYMENT, deploy_submit, provision

OTHER = Deployment("p1", "us-central1", "launch-b", number="123456789012")
METRIC, ALERT, BOARD = (
    "logging.googleapis.com/projects/p1/metrics/",
    "monitoring.googleapis.com/projects/p1/alertPolicies/",
    "monitoring.googleapis.com/projects/p1/dashboards/",
)
CHANNEL = "monitoring.googleapis.com/projects/p1/notificationChannels/"
HOSTS = ("logging.", "monitoring.")
REFUSED = r"/(metrics|alertPolicies|dashboards)"
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, dict[str, Any]]]:
    """Give a deployment that the first build has provisioned, with its resources as they were then."""
    with Cloud(tmp_path_factory.mktemp("monitoring")) as cloud, pytest.MonkeyPatch.context() as patched:
        for emulator in ("STORAGE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"):
            patched.delenv(emulator, raising=False)
        for name, value in cloud.environ(BUILD).items():
            patched.setenv(name, value)
        patched.setattr(waiting, "sleep", lambda *_: None)
        storage.Client(project="p1").create_bucket("p1-launch-ledger", location="us-central1")
        first = provision()
        assert first.exit_code == 0, first.output
        assert "Skipped" not in first.output
        assert [full for full in cloud.resources if full.startswith(ALERT)] == []  # its metrics need time to appear
        assert len([full for full in cloud.resources if full.startswith(METRIC)]) == len(rendered(METRICS, DEPLOYMENT))
        deploy_submit(cloud)
        for number in ("1", "2"):
            cloud.resources[f"{CHANNEL}{number}"] = {"name": f"projects/p1/notificationChannels/{number}"}
        second = provision("--complete", "--notification-channels=1")
        assert second.exit_code == 0, second.output
        assert "Skipped" not in second.output
        yield cloud, deepcopy(cloud.resources)


@pytest.fixture
def cloud(provisioned: tuple[Cloud, dict[str, Any]]) -> Iterator[Cloud]:
    """Give the deployment as it was provisioned."""
    made, saved = provisioned
    made.resources.clear()
    made.resources.update(deepcopy(saved))
    made.calls.clear()
    yield made
    made.enforce(lambda *_: True)
    made.faults.clear()


def here(cloud: Cloud, *kinds: str) -> dict[str, Any]:
    """Return the resources of monitoring, without what each write changes."""
    found = {full: each for full, each in cloud.resources.items() if full.startswith(kinds or (METRIC, ALERT, BOARD))}
    written = {"createTime", "updateTime", "etag", "mutationRecord"}
    return deepcopy({full: {k: v for k, v in each.items() if k not in written} for full, each in found.items()})


def shape(cloud: Cloud) -> list[str]:
    """Return these resources as comparable texts, without the ids that Google chooses."""
    texts = (json.dumps(each, sort_keys=True) for each in here(cloud).values())
    return sorted(re.sub(r"/alertPolicies/\d+", "", each) for each in texts)


def named(cloud: Cloud, name: str) -> dict[str, Any]:
    """Return a metric or the dashboard by its id, or an alert by its file."""
    return next(
        each
        for full, each in cloud.resources.items()
        if full in (METRIC + name, BOARD + name)
        or (full.startswith(ALERT) and each.get("userLabels", {}).get("vertex-launch-alert") == name)
    )


def reconcile(*channels: str) -> list[str]:
    """Do what `provision` does for monitoring; return the differences."""
    found = []
    for part in monitoring.parts(DEPLOYMENT, Google(), channels):
        for change in part.changes():
            change.carry_out()
            found.append(f"{change.resource}: {change.difference}")
    return found


def writes(cloud: Cloud) -> list[str]:
    """Return the calls that change something in Logging or Monitoring."""
    return [f"{c.method} {c.path}" for c in cloud.calls if c.host.startswith(HOSTS) and c.method != "GET"]


def test_every_file_is_there(cloud: Cloud) -> None:
    """All metrics, all alerts with their channel, one dashboard; each file's name is the name of its resource."""
    assert {each["name"] for each in here(cloud, METRIC).values()} == {
        f"launch-{path.stem}" for path in HERE.glob(METRICS)
    }
    alerts = here(cloud, ALERT).values()
    assert {each["userLabels"]["vertex-launch-alert"] for each in alerts} == {path.stem for path in HERE.glob(ALERTS)}
    assert all(each["notificationChannels"] == ["projects/p1/notificationChannels/1"] for each in alerts)
    assert list(here(cloud, BOARD)) == [f"{BOARD}vertex-launch-launch"]


def test_a_second_run_changes_nothing(cloud: Cloud) -> None:
    """Whether the build names the channels again or not."""
    for options in (
        (),
        ("--notification-channels=1",),
        ("--notification-channels=projects/p1/notificationChannels/1",),
    ):
        assert provision("--complete", *options).output == "Nothing to change.\n"
    assert writes(cloud) == []


def conditions(policy: dict[str, Any]) -> dict[str, Any]:
    """Return the threshold of an alert's first condition."""
    found: dict[str, Any] = policy["conditions"][0]["conditionThreshold"]
    return found


BY_HAND: dict[str, tuple[str, Change, str]] = {
    "a metric's filter": (
        "launch-ticks",
        lambda m: m.update(filter='severity="ERROR"'),
        "metric launch-ticks: changes",
    ),
    "a metric's value": ("launch-oldest-seconds", lambda m: m.pop("valueExtractor"), "changes valueExtractor"),
    "a metric's label": ("launch-errors", lambda m: m["labelExtractors"].clear(), "changes labelExtractors"),
    "a metric's buckets": (
        "launch-oldest-seconds",
        lambda m: m["bucketOptions"]["explicitBuckets"]["bounds"].pop(),
        "changes bucketOptions",
    ),
    "a metric is deleted": ("launch-ticks", lambda m: m.clear(), "metric launch-ticks: is created"),
    "an alert's threshold": ("old-launch", lambda p: conditions(p).update(thresholdValue=9e9), "changes conditions"),
    "an alert's condition": ("undelivered-report", lambda p: p["conditions"].pop(), "changes conditions"),
    "an alert's page": ("no-tick", lambda p: p["documentation"].update(content="?"), "alert launch-no-tick: changes"),
    "an alert's title": ("no-tick", lambda p: p.update(displayName="x"), "changes displayName"),
    "an alert is deleted": ("no-tick", lambda p: p.clear(), "alert launch-no-tick: is created"),
    "a tile": (
        "vertex-launch-launch",
        lambda d: d["mosaicLayout"]["tiles"].pop(),
        "dashboard vertex-launch-launch: changes mosaicLayout",
    ),
    "the dashboard is deleted": ("vertex-launch-launch", lambda d: d.clear(), "is created"),
}


def of_a_former_version(metric: dict[str, Any]) -> None:
    """Give a metric a label more."""
    metric["metricDescriptor"]["labels"] = [*metric["metricDescriptor"].get("labels", ()), {"key": "author"}]
    metric["labelExtractors"] = {**metric.get("labelExtractors", {}), "author": "EXTRACT(jsonPayload.author)"}


FIXED: dict[str, Change] = {
    "its type": lambda metric: metric["metricDescriptor"].update(valueType="INT64"),
    "its labels": of_a_former_version,
}


@pytest.mark.parametrize("case", FIXED)
def test_a_metric_that_google_cannot_change_is_created_again(cloud: Cloud, case: str) -> None:
    """Google keeps the type of a metric, and its labels."""
    before = shape(cloud)
    FIXED[case](named(cloud, "launch-queued-seconds"))
    assert reconcile() == ["metric launch-queued-seconds: is deleted", "metric launch-queued-seconds: is created"]
    assert shape(cloud) == before
    assert reconcile() == []


def test_a_label_may_join(cloud: Cloud) -> None:
    """Of a version that has one more."""
    metric = named(cloud, "launch-closed")
    metric["metricDescriptor"]["labels"] = metric["metricDescriptor"]["labels"][:1]
    metric["labelExtractors"] = {"outcome": metric["labelExtractors"]["outcome"]}
    assert reconcile() == ["metric launch-closed: changes metricDescriptor, labelExtractors"]


@pytest.mark.parametrize("case", BY_HAND)
def test_a_difference_is_undone(cloud: Cloud, case: str) -> None:
    """It names the difference, makes one change, and finds nothing the next time."""
    name, change, says = BY_HAND[case]
    before = shape(cloud)
    resource = named(cloud, name)
    full = next(full for full, each in cloud.resources.items() if each is resource)
    change(resource)
    if resource == {}:
        del cloud.resources[full]
    (difference,) = reconcile("projects/p1/notificationChannels/1")
    assert says in difference
    assert len(writes(cloud)) == 1
    assert shape(cloud) == before
    assert reconcile() == []


def test_what_an_operator_adds_stays(cloud: Cloud) -> None:
    """A disabled alert, other channels, a rate limit, other labels: also if another field changes."""
    alert = named(cloud, "failures")
    own = {"enabled": False, "notificationChannels": ["projects/p1/notificationChannels/2"]}
    alert.update(own, userLabels={**alert["userLabels"], "team": "ml"})
    alert["alertStrategy"]["notificationPrompts"] = ["OPENED"]
    assert reconcile() == []
    alert["displayName"] = "x"
    assert reconcile() == ["alert launch-failures: changes displayName"]
    changed = named(cloud, "failures")
    assert {name: changed[name] for name in own} == own
    assert changed["userLabels"]["team"] == "ml"
    assert changed["alertStrategy"]["notificationPrompts"] == ["OPENED"]


def test_the_plan_changes_nothing(cloud: Cloud) -> None:
    """It shows the same lines as the run after it."""
    del cloud.resources[METRIC + "launch-ticks"]
    named(cloud, "failures")["displayName"] = "x"
    planned = provision("--plan")
    assert writes(cloud) == []
    assert "metric launch-ticks: is created" in planned.output
    assert planned.output.replace(" to change.", " changed.") == provision().output


def test_parts_of_a_former_version_go_and_those_of_others_stay(cloud: Cloud) -> None:
    """Only the mark counts: not the name, not the words of a description."""
    before = here(cloud)
    metric = next(each for each in before.values() if each["name"] == "launch-ticks")
    alert = next(each for each in before.values() if each.get("userLabels", {}).get("vertex-launch-alert") == "no-tick")
    kept = {
        METRIC + "launch-foo": {**metric, "name": "launch-foo", "description": "launch: mine"},
        METRIC + "foo": {**metric, "name": "foo", "description": "vertex-launch launch-b: mine"},
        ALERT + "x7": {**alert, "name": "projects/p1/alertPolicies/x7", "userLabels": {"vertex-launch": "launch-b"}},
        ALERT + "x8": {**alert, "name": "projects/p1/alertPolicies/x8", "userLabels": {}},
        BOARD + "x": {"name": "projects/p1/dashboards/x", "displayName": "launch: launches"},
    }
    former = {
        METRIC + "launch-former": {**metric, "name": "launch-former", "description": "vertex-launch launch: old"},
        ALERT + "x9": {
            **alert,
            "name": "projects/p1/alertPolicies/x9",
            "userLabels": {"vertex-launch": "launch", "vertex-launch-alert": "old"},
        },
        ALERT + "x99": {**alert, "name": "projects/p1/alertPolicies/x99"},  # the answer of its creation was lost
        BOARD + "old": {"name": "projects/1/dashboards/old", "labels": {"vertex-launch": "launch"}},
    }
    cloud.resources.update(deepcopy(kept | former))
    assert reconcile() == [
        "metric launch-former: is deleted",
        "alert launch-old: is deleted",
        "alert launch-no-tick: is deleted",
        "dashboard old: is deleted",
    ]
    assert here(cloud) == before | kept


def test_two_deployments_share_nothing(cloud: Cloud) -> None:
    """Each has its own, and each removes its own."""
    before = here(cloud)
    for part in monitoring.parts(OTHER, Google()):
        for change in part.changes():
            change.carry_out()
        assert list(part.changes()) == []
    assert len(here(cloud)) == 2 * len(before)
    assert reconcile() == []
    for part in monitoring.parts(OTHER, Google()):
        for change in part.removals():
            change.carry_out()
    assert here(cloud) == before


def test_refused_monitoring_stops_no_deployment(cloud: Cloud) -> None:
    """It says what is skipped, and goes on; the next run completes it."""
    for full in [*here(cloud), *(full for full in cloud.resources if full.startswith("cloudscheduler."))]:
        del cloud.resources[full]
    fault = cloud.fail("POST", REFUSED, status=403, times=1000)
    refused = provision("--complete")
    fault.times = 0
    assert refused.exit_code == 0, refused.output
    assert "jobs/launch-poll: is created" in refused.output
    for kind in ("metrics", "alerts", "dashboards"):
        assert f"Skipped: {kind}: " in refused.output
    assert "run bootstrap again" in refused.output
    assert "metric launch-ticks: is created" in provision("--complete").output
    assert provision("--complete").output == "Nothing to change.\n"


OFF = "Cloud Monitoring API has not been used in project p1 before or it is disabled. Enable it, then retry."


def allow_none(cloud: Cloud, _: pytest.MonkeyPatch) -> None:
    """Give the build no permission, as bootstrap of an earlier version."""
    cloud.enforce(lambda _, permission, __: not permission.startswith(("monitoring.", "logging.")))


def turn_off(cloud: Cloud, _: pytest.MonkeyPatch) -> None:
    """Turn the APIs off; Google's words are those of an API that was turned on a moment ago."""
    cloud.refuse("GET", f"{REFUSED}|/notificationChannels", 403, OFF, times=1000)


def block(_: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a firewall block both hosts."""
    request = AuthorizedSession.request

    def blocked(self: AuthorizedSession, method: str, url: str, **others: Any) -> Any:
        if url.startswith((monitoring.MONITORING, monitoring.LOGGING)):
            raise requests.ConnectionError("connection refused")
        return request(self, method, url, **others)

    monkeypatch.setattr(AuthorizedSession, "request", blocked)


@pytest.mark.parametrize(
    ("refuse", "says"),
    [
        (allow_none, "run it once, then build"),
        (turn_off, "`bootstrap` turns the API on"),
        (block, "connection refused"),
    ],
)
def test_monitoring_that_cannot_be_seen_stops_no_deployment(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, refuse: Callable[[Cloud, pytest.MonkeyPatch], None], says: str
) -> None:
    """It waits for one permission only, and briefly; `destroy` goes on, too."""
    pauses: list[float] = []
    monkeypatch.setattr(waiting, "sleep", lambda _, seconds: pauses.append(seconds))
    with monkeypatch.context() as patched:
        refuse(cloud, patched)
        refused = provision("--complete", "--notification-channels=1")
        kept: list[str] = []
        assert list(_monitoring(DEPLOYMENT, kept)) == []
    assert refused.exit_code == 0, refused.output
    assert refused.output.count("Skipped: ") == 3
    assert says in refused.output
    assert sum(pauses) < 30
    assert len(kept) == 3


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("path", ["/metrics$", "/alertPolicies$", "/dashboards$"])
def test_a_run_that_died_is_completed_by_the_next(cloud: Cloud, path: str, lost: bool) -> None:
    """Nothing is missing, nothing is twice."""
    before = shape(cloud)
    kinds = {"/metrics$": METRIC, "/alertPolicies$": ALERT, "/dashboards$": BOARD}
    for full in here(cloud, kinds[path]):
        del cloud.resources[full]
    channel = "projects/p1/notificationChannels/1"
    fault = cloud.lose("POST", path, status=500) if lost else cloud.fail("POST", path, status=500)
    with pytest.raises(click.ClickException, match="service failed"):
        reconcile(channel)
    assert fault.times == 0
    reconcile(channel)
    assert reconcile(channel) == []
    assert shape(cloud) == before


def test_alerts_wait_for_new_metrics(cloud: Cloud) -> None:
    """Google shows a new metric to alerts after minutes; the words are Google's."""
    del cloud.resources[next(iter(here(cloud, ALERT)))]
    words = (
        'Cannot find metric(s) that match type = "x". If a metric was created recently, it could take up to 10 minutes'
    )
    fault = cloud.refuse("POST", "/alertPolicies$", 404, words, times=3)
    done = provision("--complete")
    assert fault.times == 0
    assert "Skipped" not in done.output
    assert "is created" in done.output


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("3", "projects/p1/notificationChannels/3 does not exist. List the channels with: gcloud beta"),
        ("1 3", "projects/p1/notificationChannels/3 does not exist"),
        ("me@example.com", "has 'me@example.com': write ids, or names such as projects/p1/notificationChannels/ID"),
        ("projects/p1/alertPolicies/1", "write ids, or names"),
        ("projects/p2/notificationChannels/1", "belongs to another project. Alerts of p1 use channels of p1"),
    ],
)
def test_an_unknown_channel_is_an_error(cloud: Cloud, given: str, says: str) -> None:
    """Before anything is changed, with the command that lists the channels."""
    named(cloud, "failures")["displayName"] = "x"
    refused = provision("--complete", f"--notification-channels={given}")
    assert refused.exit_code != 0
    assert says in refused.output
    assert writes(cloud) == []


@pytest.mark.parametrize("given", ["1,2", " projects/p1/notificationChannels/2;  1 "])
def test_channels_are_set(cloud: Cloud, given: str) -> None:
    """As names or ids; all alerts get them."""
    done = provision("--complete", f"--notification-channels={given}")
    assert done.output.endswith(f"{len(here(cloud, ALERT))} changed.\n")
    for alert in here(cloud, ALERT).values():
        assert {name.rpartition("/")[2] for name in alert["notificationChannels"]} == {"1", "2"}


def test_a_name_that_somebody_else_uses_is_named(cloud: Cloud) -> None:
    """Their metric stays as it is; the rest is reconciled."""
    named(cloud, "launch-ticks").update(description="mine", filter='severity="ERROR"')
    named(cloud, "failures")["displayName"] = "x"
    done = provision("--complete")
    assert done.exit_code == 0
    assert "Skipped: metrics: metric launch-ticks carries no mark of the deployment launch" in done.output
    assert "alert launch-failures: changes displayName" in done.output
    assert named(cloud, "launch-ticks")["filter"] == 'severity="ERROR"'


def first(pattern: str) -> dict[str, Any]:
    """Return the first document of a pattern."""
    return rendered(pattern, DEPLOYMENT)[0]


def alert(**changes: Any) -> dict[str, Any]:
    """Return an alert with changes of its threshold."""
    policy = next(each for each in rendered(ALERTS, DEPLOYMENT) if "old-launch" in str(each["userLabels"]))
    conditions(policy).update(changes)
    return policy


STRICT: dict[str, tuple[str, dict[str, Any]]] = {
    "a metric's unknown field": ("metrics", {**first(METRICS), "labels": {}}),
    "a metric's unparseable filter": ("metrics", {**first(METRICS), "filter": 'jsonPayload.message="x" AND'}),
    "a metric's unknown log field": ("metrics", {**first(METRICS), "filter": 'payload.message="x"'}),
    "a metric without its extractor": ("metrics", {**first(METRICS), "labelExtractors": {}}),
    "a metric's kind": ("metrics", {**first(METRICS), "metricDescriptor": {"metricKind": "SUM"}}),
    "an alert's unknown field": ("alertPolicies", {**first(ALERTS), "labels": {}}),
    "a condition's unknown field": ("alertPolicies", alert(threshold=1)),
    "an unknown metric": ("alertPolicies", alert(filter=conditions(alert())["filter"].replace("oldest", "old"))),
    "a filter without a resource": ("alertPolicies", alert(filter=conditions(alert())["filter"].partition(" AND")[0])),
    "an unknown label": ("alertPolicies", alert(filter=conditions(alert())["filter"] + ' AND metric.label.x="y"')),
    "a distribution as a number": (
        "alertPolicies",
        alert(aggregations=[{"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_DELTA"}]),
    ),
    "an aligner of another type": (
        "alertPolicies",
        alert(aggregations=[{"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_MAX"}]),
    ),
    "a duration of half minutes": ("alertPolicies", alert(duration="90s")),
    "a channel that does not exist": ("alertPolicies", {**first(ALERTS), "notificationChannels": ["projects/p1/x/9"]}),
    "a dashboard's unknown field": ("dashboards", {**first(DASHBOARDS), "layout": {}}),
}


@pytest.mark.parametrize("case", STRICT)
def test_the_loopback_cloud_is_strict(cloud: Cloud, case: str) -> None:
    """It refuses what Google refuses; so a mistake in our files cannot pass."""
    collection, body = STRICT[case]
    kind = next(kind for kind in monitoring.KINDS if kind.collection == collection)
    for full in here(cloud, METRIC) if collection == "metrics" else []:
        del cloud.resources[full]
    with pytest.raises(Exception, match=r"40[04] POST"):
        Google().change("POST", f"{kind.root}/projects/p1/{collection}", body)


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed: it is the judge")
def test_gcloud_reads_the_files(cloud: Cloud, tmp_path: Path) -> None:
    """The real gcloud creates each metric, alert and dashboard from its file; `provision` then has nothing to do."""
    expected = here(cloud)
    for full in expected:
        del cloud.resources[full]
    creations = {
        METRICS: "logging metrics create {name} --config-from-file={file}",
        ALERTS: "alpha monitoring policies create --policy-from-file={file}",
        DASHBOARDS: "monitoring dashboards create --config-from-file={file}",
    }
    script = []
    for pattern, command in creations.items():
        for path in sorted(HERE.glob(pattern)):
            file = tmp_path / f"{path.parent.name}-{path.name}"
            file.write_text(text(path, DEPLOYMENT), encoding="utf-8")
            name = yaml.safe_load(file.read_text(encoding="utf-8")).get("name")
            script.append(f"gcloud {command.format(name=name, file=file)}")
    with warm_gcloud(cloud):
        done = subprocess.run(
            ["bash", "-e", "-c", "\n".join(script)],
            env=cloud.environ(BUILD), capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(here(cloud)) == len(expected)
    assert provision("--complete").output == "Nothing to change.\n"
