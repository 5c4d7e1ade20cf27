"""Each log-based metric matches the lines that the functions really log, and reads their fields.

A renamed event or field fails here: it would otherwise only leave a chart empty and an alert silent.
"""

import json
import logging
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import flask
import pytest

from deploy.cloud.deployment import Deployment
from deploy.cloud.monitoring.files import ALERTS, DASHBOARDS, HERE, METRICS, rendered
from functions.poll.report import Report as PollReport
from functions.status.closing import close
from functions.status.report import Report as StatusReport
from shared.answer import answer
from shared.core.errors import KeyRefused, Reject, Retry
from shared.core.launch import Launch, Outcome, State
from shared.log import CloudLoggingFormatter
from tests.cloud.log_filter import extracted, parsed
from tests.fakes import InMemoryLedger
from tests.log_lines import LINES
from tests.unit.polling import A
from tests.unit.polling import Scene as Polling
from tests.unit.test_phases import INCOMPLETE, E, Q, R, S, W, at, launch_of
from tests.unit.test_reconcile import Scene

DEPLOYMENT = Deployment("p1", "us-central1", number="1")
ALL = {metric["name"].removeprefix("launch-"): metric for metric in rendered(METRICS, DEPLOYMENT)}
PAGES = HERE.parent.parent.parent / "docs" / "how-to"
EVENT = re.compile(r"\b(?:launch|ledger|poll|request|status|submit|tick|wandb|agent)\.(?!md\b)[a-z_]+\b")
Value = tuple[Any, dict[str, Any]]


def entry_of(line: str, function: str) -> dict[str, Any]:
    """Return a line of a function as Cloud Logging stores it."""
    payload = json.loads(line)
    severity = payload.pop("severity")
    for name in ("time", "logging.googleapis.com/trace"):
        payload.pop(name, None)
    labels = {"service_name": f"launch-{function}", "location": "us-central1", "project_id": "p1"}
    resource = {"type": "cloud_run_revision", "labels": labels}
    return {"severity": severity, "resource": resource, "jsonPayload": payload}


def measured(entry: dict[str, Any]) -> dict[str, Value]:
    """Return what each metric that matches an entry reads: a number, and its labels."""
    found: dict[str, Value] = {}
    for name, metric in ALL.items():
        if not parsed(metric["filter"])(entry):
            continue
        labels = {key: extracted(by, entry) for key, by in metric.get("labelExtractors", {}).items()}
        value = extracted(metric["valueExtractor"], entry) if "valueExtractor" in metric else 1
        if value is not None:
            found[name] = (value, labels)
    return found


@contextmanager
def logged(function: str) -> Iterator[list[dict[str, Any]]]:
    """Collect the entries of a function, as its real formatter writes them."""
    entries: list[dict[str, Any]] = []

    class Collecting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            entries.append(entry_of(CloudLoggingFormatter("p1").format(record), function))

    handler, loggers = Collecting(), [logging.getLogger(name) for name in ("functions", "shared")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield entries
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def of_event(entries: list[dict[str, Any]], event: str) -> dict[str, Value]:
    """Return what the metrics read from the last line of an event."""
    return measured([each for each in entries if each["jsonPayload"]["message"] == event][-1])


def ticked(report: Any, function: str) -> dict[str, Value]:
    """Return what the metrics read from the real `tick.done` of a report."""
    app = flask.Flask("test")
    with logged(function) as entries, app.test_request_context():
        answer(flask.request, lambda: report)
    return of_event(entries, "tick.done")


def status_ticked() -> Scene:
    """Return a scene with one launch of each state; W&B does not take a report."""
    scene = Scene()
    scene.queued("a")
    scene.submitted("b")
    scene.submitted("c")
    ended = scene.queued("d")
    scene.ledger.write(ended.end(Outcome.FAILED, "no", scene.clock()))
    scene.wandb.fail["fail_item"] = Retry("503")
    scene.clock.pass_(5)
    return scene


@pytest.mark.parametrize("name", ALL)
def test_the_table_of_log_lines_has_each_event_and_field(name: str) -> None:
    """The fixture of all tests compares this table with the real lines."""
    metric = ALL[name]
    read = " ".join([metric["filter"], metric.get("valueExtractor", ""), *metric.get("labelExtractors", {}).values()])
    for event in re.findall(r'jsonPayload\.message="([^"]+)"', metric["filter"]):
        _, *fields = LINES[event].split()
        known = {each.strip("?") for each in fields}
        assert set(re.findall(r"jsonPayload\.(\w+)", read)) - {"message"} <= known


def test_status_counts_its_launches() -> None:
    """By state, the oldest, and what it owes."""
    assert ticked(status_ticked().tick(), "status") == {
        "ticks": (1, {}),
        "queued-launches": (1, {}),
        "submitting-launches": (0, {}),
        "submitted-launches": (2, {}),
        "ended-launches": (1, {}),
        "oldest-seconds": (5, {}),
        "reports-owed": (1, {}),
    }


def test_a_poll_counts_slots_and_held_queues() -> None:
    """Without a limit there is no headroom, and no point in the chart."""
    scene = Polling()
    scene.wandb.push("i", A)
    found = ticked(scene.poll(max_jobs=7), "poll")
    assert (found["ticks"], found["headroom"], found["held-queues"]) == ((1, {}), (7, {}), (0, {}))
    assert "key-refused" not in found
    assert "headroom" not in ticked(scene.poll(max_jobs=-1), "poll")


def test_a_refused_key_is_counted() -> None:
    """By its own metric: the alert has its own page."""
    report = PollReport.of_refused_key(KeyRefused("W&B answers 401"))
    assert ticked(report, "poll")["key-refused"] == (1, {})


def test_a_doubled_job_is_counted() -> None:
    """From the line that names it."""
    scene = Scene()
    launch = scene.submitted()
    scene.submit(replace(launch, entry=replace(launch.entry, state=State.QUEUED)), attempt=1)
    with logged("status") as entries:
        scene.tick()
    assert of_event(entries, "status.doubled")["doubled-jobs"] == (1, {})


def test_a_report_that_is_given_up_is_counted() -> None:
    """W&B refuses it for a day."""
    scene = Scene()
    scene.ledger.write(scene.queued().note(scene.clock(), "x").end(Outcome.REJECTED, "no", scene.clock()))
    scene.wandb.fail["fail_item"] = Reject("item", "is unknown")
    scene.clock.pass_(25 * 3600)
    with logged("status") as entries:
        scene.tick()
    assert of_event(entries, "status.never_told")["reports-lost"] == (1, {})


def closed(launch: Launch) -> dict[str, Value]:
    """Return what the metrics read when this launch is closed."""
    ledger = InMemoryLedger(lambda: at(1000))
    with logged("status") as entries:
        close(ledger, ledger.write(launch), StatusReport())
    return of_event(entries, "launch.closed")


def test_a_closed_launch_is_counted_with_its_phases() -> None:
    """By outcome, queue and source; one of an earlier version has no phases."""
    launch = launch_of([(0, Q), (3, W, "STOCKOUT"), (13, S), (20, R), (30.5, E)])
    labels = {"outcome": "SUCCEEDED", "queue": "vertex", "source": "wandb"}
    seconds = {"capacity": 10, "quota": 0, "build": 0, "queued": 3, "pending": 7, "running": 10.5}
    phases = {f"{phase}-seconds": (value, labels) for phase, value in seconds.items()}
    assert closed(launch) == {"closed": (1, labels), **phases}
    assert closed(INCOMPLETE["an older version submitted it"]) == {"closed": (1, labels)}


def test_a_launch_without_a_job_has_no_time_from_enqueue_to_job() -> None:
    """It counts as closed."""
    assert set(closed(launch_of([(0, Q), (3, W, "STOCKOUT"), (500, E)]))) == {"closed"}


@pytest.mark.parametrize("event", LINES)
def test_errors_are_counted_by_event(event: str) -> None:
    """Each line of the table whose level is an error, and no other."""
    level = LINES[event].split()[0]
    record = logging.LogRecord("functions", getattr(logging, level), "", 0, event, (), None)
    entry = entry_of(CloudLoggingFormatter("p1").format(record), "submit")
    counted = measured(entry)
    expected = {"errors": (1, {"event": event})} if level in ("ERROR", "CRITICAL") else {}
    assert counted == expected


def test_lines_of_others_are_not_counted() -> None:
    """Another deployment's function, a library's error, a line of another resource."""
    record = logging.LogRecord("urllib3", logging.ERROR, "", 0, "Connection broken. Retry", (), None)
    line = CloudLoggingFormatter("p1").format(record)
    assert measured(entry_of(line, "submit")) == {}
    ours = entry_of(line.replace("Connection broken. Retry", "tick.failed"), "submit")
    assert "errors" in measured(ours)
    assert measured({**ours, "resource": {**ours["resource"], "type": "gce_instance"}}) == {}
    ours["resource"]["labels"]["service_name"] = "launch-b-submit"
    assert measured(ours) == {}


def words(command: str) -> set[str]:
    """Return a command's words, without the deployment's name, whose default is in the pages."""
    return set(shlex.split(command)) - {"--name=launch"}


@pytest.mark.parametrize("alert", rendered(ALERTS, DEPLOYMENT), ids=lambda alert: alert["displayName"])
def test_an_alert_leads_to_its_page(alert: dict[str, Any]) -> None:
    """The page begins with the command of the alert; both name log events that exist."""
    key = alert["userLabels"]["vertex-launch-alert"]
    content = alert["documentation"]["content"]
    assert f"docs/how-to/alert-{key}.md" in content
    page = (PAGES / f"alert-{key}.md").read_text(encoding="utf-8")
    heading, fence, command = page.splitlines()[0], *page.splitlines()[2:4]
    assert (heading.startswith("# Alert: "), fence) == (True, "```sh")
    filled = command.replace("$PROJECT", "p1").replace("$REGION", "us-central1")
    run_first = re.search(r"Run first: `(.+)`", content)
    assert run_first
    assert words(run_first[1]) == words(filled)
    events = set(EVENT.findall(page + json.dumps(alert)))
    assert events <= set(LINES)


def test_what_does_not_pass_by_itself_is_an_error() -> None:
    """The alert `failures` compares labels with these names."""
    text = next(json.dumps(alert) for alert in rendered(ALERTS, DEPLOYMENT) if "one_of" in json.dumps(alert))
    named = set(EVENT.findall(text[text.index("one_of") :]))
    assert len(named) > 5
    assert {LINES[event].split()[0] for event in named} == {"ERROR"}


def test_the_page_counts_the_conditions() -> None:
    """Google may charge for each."""
    count = sum(len(alert["conditions"]) for alert in rendered(ALERTS, DEPLOYMENT))
    page = (PAGES / "monitor-a-deployment.md").read_text(encoding="utf-8")
    assert f"this version has {count} conditions" in page
    pages = {path.stem for path in HERE.glob(ALERTS)}
    assert set(re.findall(r"^\| \[.+\]\(alert-([a-z-]+)\.md\)", page, re.MULTILINE)) == pages


def test_each_metric_is_used() -> None:
    """On the dashboard or by an alert: an unused one only costs money."""
    text = json.dumps([*rendered(DASHBOARDS, DEPLOYMENT), *rendered(ALERTS, DEPLOYMENT)])
    assert {name for name in ALL if f'user/launch-{name}\\"' not in text} == {"running-seconds"}
