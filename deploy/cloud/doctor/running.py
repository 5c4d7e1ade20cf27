"""The running parts: functions, schedule, topics, trigger, dead letters, the agent in W&B."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from google.api_core import exceptions as google_errors
from google.cloud.scheduler_v1 import CloudSchedulerClient
from google.cloud.scheduler_v1.types import Job
from google.pubsub_v1 import PublisherClient, SubscriberClient

from deploy.cloud import gcloud
from deploy.cloud.deployment import SCHEDULED, Deployment
from deploy.cloud.doctor import agent, dead_letters, functions
from deploy.cloud.doctor.agent import RECENTLY, ago
from deploy.cloud.doctor.case import NUMBER, SECRET, Case
from deploy.cloud.doctor.finding import Check, Finding, failed, ok
from deploy.cloud.doctor.names import check_names
from deploy.cloud.provision import topics
from deploy.cloud.provision.parts import CREATED, Part
from deploy.cloud.provision.schedule import ScheduledCall, job_name
from deploy.cloud.provision.trigger import Trigger
from deploy.cloud.provision.wake_up import WakeUps


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
    yield from dead_letters.checks(case)
    yield from agent.checks(case)


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
        yield failed(title, f"{job_id} does not exist", case.command("provision"), name)
        return
    if job.state != Job.State.ENABLED:
        message = f"{job_id} is {Job.State(job.state).name.lower()}: it does not call {verb}"
        yield failed(title, message, gcloud.shown(("scheduler", "jobs", "resume", job_id, *where)))
    elif job.last_attempt_time is None or datetime.now(UTC) - job.last_attempt_time > RECENTLY:
        run = gcloud.shown(("scheduler", "jobs", "run", job_id, *where))
        if job.last_attempt_time:
            message = f"{job_id} ran last {ago(job.last_attempt_time)}"
        else:
            message = f"{job_id} has never run"
        yield failed(title, f"{message}, but its schedule is every minute", run)
    elif job.status.code:
        answer = f"code {job.status.code} {job.status.message}".strip()
        wrong = failed(title, f"{job_id}'s last call failed: {answer}", case.log(verb))
        yield replace(wrong, because=(case.functions_key, SECRET, *case.missing(verb)))
    else:
        yield ok(title, f"called {ago(job.last_attempt_time)}, successfully")


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
        "topic of events": (lambda d: topics.TopicPart(d, d.events, _publisher()), (topic,)),
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
        yield failed(title, f"{name}: {differs}", case.command("provision"), change.resource)
    if not changes:
        yield ok(title, "as provisioned")
