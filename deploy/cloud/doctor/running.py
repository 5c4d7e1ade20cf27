"""The running parts: functions, schedule, topics, trigger, dead letters, the agent in W&B."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

import requests
from google.api_core import exceptions as google_errors
from google.cloud.scheduler_v1 import CloudSchedulerClient
from google.cloud.scheduler_v1.types import Job
from google.pubsub_v1 import PublisherClient, SubscriberClient
from pydantic import TypeAdapter

from deploy.cloud import gcloud
from deploy.cloud.buckets import STORAGE
from deploy.cloud.deployment import SCHEDULED, Deployment
from deploy.cloud.doctor import functions
from deploy.cloud.doctor.case import NUMBER, Case
from deploy.cloud.doctor.finding import Check, Finding, failed, ok, warning
from deploy.cloud.doctor.names import check_names
from deploy.cloud.provision import topics
from deploy.cloud.provision.parts import CREATED, Part
from deploy.cloud.provision.schedule import ScheduledCall, job_name
from deploy.cloud.provision.trigger import Trigger
from deploy.cloud.provision.wake_up import WakeUps
from shared.core.ports import AgentNote

RECENTLY = timedelta(minutes=5)
LOOKED_AT = 10  # dead letters
PULL_SECONDS = 10
AGENT = """query LaunchAgent($agentId: ID!) {
  launchAgent(id: $agentId) { name agentStatus stopPolling heartbeatAt }
}"""
_NOTE = TypeAdapter(AgentNote)


def checks(case: Case) -> Iterator[Check]:
    """Yield this group's checks."""
    yield from functions.checks(case)
    yield Check("names of settings", partial(check_names, case), functions.SEES_TRAFFIC[:2])
    look = partial(_schedulers_place, case)
    yield Check("Cloud Scheduler's location", look, ("cloudscheduler.locations.list",))
    for verb in SCHEDULED:
        look = partial(_scheduled, case, verb)
        yield Check(f"schedule of {verb}", look, ("cloudscheduler.jobs.get",))
    for title, (make, needs) in _parts().items():
        yield Check(title, partial(_provisioned, case, title, make), (*needs, NUMBER))
    yield Check("dead letters", partial(_dead_letters, case), ("pubsub.subscriptions.consume",))
    see_agent = ("storage.objects.get", "secretmanager.versions.access")
    yield Check("agent", partial(_agent, case), see_agent)


def _schedulers_place(case: Case) -> Iterator[Finding]:
    """Check that Cloud Scheduler serves the location of the jobs: it does not serve all regions."""
    title, place = "Cloud Scheduler's location", case.deployment.scheduler_region
    url = f"https://cloudscheduler.googleapis.com/v1/projects/{case.deployment.project}/locations"
    served = sorted(each["locationId"] for each in case.google.listed(url, "locations"))
    if place in served:
        yield ok(title, place)
        return
    message = f"it does not serve {place}; it serves {', '.join(served)}"
    fix = "Name a location nearby: build with _SCHEDULER_REGION=LOCATION, and give our commands "
    yield failed(title, message, f"{fix}--scheduler-region=LOCATION.")


def _scheduled(case: Case, verb: str) -> Iterator[Finding]:
    """Check that Cloud Scheduler calls a function, and that the call succeeds."""
    title, deployment = f"schedule of {verb}", case.deployment
    name = job_name(deployment, verb)
    job_id = name.rpartition("/")[2]
    where = (f"--location={deployment.scheduler_region}", f"--project={deployment.project}")
    try:
        job = CloudSchedulerClient(transport="rest").get_job(name=name)
    except google_errors.NotFound:
        yield failed(title, f"{job_id} does not exist", case.command("provision"))
        return
    if job.state != Job.State.ENABLED:
        message = f"{job_id} is {Job.State(job.state).name.lower()}: it does not call {verb}"
        yield failed(title, message, gcloud.shown(("scheduler", "jobs", "resume", job_id, *where)))
    elif job.last_attempt_time is None or datetime.now(UTC) - job.last_attempt_time > RECENTLY:
        run = gcloud.shown(("scheduler", "jobs", "run", job_id, *where))
        if job.last_attempt_time:
            message = f"{job_id} ran last {_ago(job.last_attempt_time)}"
        else:
            message = f"{job_id} has never run"
        yield failed(title, f"{message}, but its schedule is every minute", run)
    elif job.status.code:
        answer = f"code {job.status.code} {job.status.message}".strip()
        yield failed(title, f"{job_id}'s last call failed: {answer}", _log(case, verb))
    else:
        yield ok(title, f"called {_ago(job.last_attempt_time)}, successfully")


def _log(case: Case, verb: str) -> str:
    """Return the command that shows a function's last log lines."""
    lines = f'resource.labels.service_name="{case.deployment.function(verb)}"'
    project = f"--project={case.deployment.project}"
    return gcloud.shown(("logging", "read", lines, project, "--limit=20", "--freshness=10m"))


def _parts() -> dict[str, tuple[Callable[[Deployment], Part], tuple[str, ...]]]:
    """Return the parts that `provision` reconciles, with the permissions that a look needs.

    Group `access` checks policies, group `project` the ledger's rule.
    """
    topic, subscription, job = (
        "pubsub.topics.get",
        "pubsub.subscriptions.get",
        "cloudscheduler.jobs.get",
    )
    found: dict[str, tuple[Callable[[Deployment], Part], tuple[str, ...]]] = {
        "topic": (lambda d: topics.TopicPart(d, d.topic, _publisher()), (topic,)),
        "dead-letter topic": (
            lambda d: topics.TopicPart(d, d.dead_letters, _publisher()),
            (topic,),
        ),
        "dead-letter subscription": (
            lambda d: topics.DeadLetters(d, _subscriber()),
            (subscription,),
        ),
        "wake-up topic": (
            lambda d: topics.TopicPart(d, d.wake_up, _publisher()),
            (topic,),
        ),
        "wake-up subscription": (lambda d: WakeUps(d, _subscriber()), (subscription,)),
        "trigger": (
            lambda d: Trigger(d, _publisher(), _subscriber()),
            (topic, subscription),
        ),
    }
    for verb in SCHEDULED:
        make = partial(_scheduled_call, verb)
        found[f"provision of {verb}'s schedule"] = (make, (job,))
    return found


def _scheduled_call(verb: str, deployment: Deployment) -> Part:
    return ScheduledCall(deployment, verb, CloudSchedulerClient(transport="rest"))


def _publisher() -> Any:
    return PublisherClient(transport="rest")


def _subscriber() -> Any:
    return SubscriberClient(transport="rest")


def _provisioned(case: Case, title: str, make: Callable[[Deployment], Part]) -> Iterator[Finding]:
    changes = list(make(case.numbered).changes())
    for change in changes:
        differs = "does not exist" if change.difference == CREATED else change.difference
        name = change.resource.rpartition("/")[2]
        yield failed(title, f"{name}: {differs}", case.command("provision"))
    if not changes:
        yield ok(title, "as provisioned")


def _dead_letters(case: Case) -> Iterator[Finding]:
    """Look at the dead letters, and release each at once."""
    deployment = case.deployment
    subscription = f"projects/{deployment.project}/subscriptions/{deployment.dead_letters}"
    url = f"https://pubsub.googleapis.com/v1/{subscription}"
    try:
        answer = case.google.post(f"{url}:pull", {"maxMessages": LOOKED_AT}, timeout=PULL_SECONDS)
    except requests.Timeout:  # Pub/Sub answers an empty subscription late
        answer = {}
    except google_errors.NotFound:
        message = f"{deployment.dead_letters} does not exist"
        yield failed("dead letters", message, case.command("provision"))
        return
    seen = answer.get("receivedMessages", [])
    if not seen:
        yield ok("dead letters", "none")
        return
    case.google.post(
        f"{url}:modifyAckDeadline",
        {"ackIds": [one["ackId"] for one in seen], "ackDeadlineSeconds": 0},
    )
    count = f"{len(seen)}{' or more' if len(seen) == LOOKED_AT else ''}"
    oldest = min(one["message"].get("publishTime", "") for one in seen)
    show = case.command("dead-letters")
    fix = f"{show}\n{show} --replay  # after you have fixed the cause"
    message = f"{count} that submit could not accept, the oldest from {oldest}"
    yield warning("dead letters", message, fix)


def _agent(case: Case) -> Iterator[Finding]:
    """Check that W&B shows the agent that poll has registered, and that it may poll."""
    note_object = f"agents/{case.deployment.name}.json"
    address = f"{STORAGE}/{case.deployment.ledger_bucket}/o/{quote(note_object, safe='')}"
    try:
        note = _NOTE.validate_python(case.google.get(address, alt="media"))
    except google_errors.NotFound:
        note = AgentNote("")
    start = case.command("agent start")
    if note.stopped:
        message = "`vertex-launch agent stop` has stopped it: poll pops nothing"
        yield warning("agent", message, start)
        return
    if not note.agent_id:
        yield failed("agent", "poll has never registered an agent in W&B", _log(case, "poll"))
        return
    agent = case.wandb().query(AGENT, {"agentId": note.agent_id})["launchAgent"]
    if not agent:
        message = "W&B does not know it; poll registers another agent at its next call"
        yield failed("agent", message, _log(case, "poll"))
        return
    name = f"{agent['name']} is {agent['agentStatus']}"
    beat = datetime.fromisoformat(agent["heartbeatAt"])
    beat = beat if beat.tzinfo else beat.replace(tzinfo=UTC)
    if agent["stopPolling"]:
        message = f"{name}, and W&B asks it to stop polling: somebody has stopped it in W&B"
        yield failed("agent", message, start)
    elif datetime.now(UTC) - beat > RECENTLY:
        message = f"{name}, but poll's last heartbeat was {_ago(beat)}"
        yield failed("agent", message, _log(case, "poll"))
    else:
        yield ok("agent", f"{name}, seen {_ago(beat)}")


def _ago(then: datetime) -> str:
    minutes = int((datetime.now(UTC) - then).total_seconds() // 60)
    return f"{minutes} minutes ago" if minutes > 1 else "a moment ago"
