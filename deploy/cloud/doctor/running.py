"""What runs: the functions, their schedule, the trigger, what it could not deliver, and the agent in W&B."""

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
from deploy.cloud.bootstrap import submit_command
from deploy.cloud.deployment import FUNCTIONS, SCHEDULED, Deployment
from deploy.cloud.doctor.case import NUMBER, Case
from deploy.cloud.doctor.finding import Check, Finding, failed, ok, warning
from deploy.cloud.doctor.project import STORAGE
from deploy.cloud.provision import topics
from deploy.cloud.provision.parts import Part
from deploy.cloud.provision.schedule import ScheduledCall, job_name
from shared.core.ports import AgentNote

RECENTLY = timedelta(minutes=5)
LOOKED_AT = 10  # dead letters
PULL_SECONDS = 10
AGENT = "query LaunchAgent($agentId: ID!) { launchAgent(id: $agentId) { name agentStatus stopPolling heartbeatAt } }"
_NOTE = TypeAdapter(AgentNote)


def checks(case: Case) -> Iterator[Check]:
    """Yield this group's checks."""
    for verb in FUNCTIONS:
        yield Check(
            f"function {verb}", partial(_function, case, verb), ("cloudfunctions.functions.get",)
        )
    yield Check("one commit", partial(_commit, case), ("cloudfunctions.functions.get",))
    for verb in SCHEDULED:
        yield Check(
            f"schedule of {verb}", partial(_scheduled, case, verb), ("cloudscheduler.jobs.get",)
        )
    for title, (make, needs) in _parts().items():
        yield Check(title, partial(_provisioned, case, title, make), (*needs, NUMBER))
    yield Check("dead letters", partial(_dead_letters, case), ("pubsub.subscriptions.consume",))
    yield Check(
        "agent", partial(_agent, case), ("storage.objects.get", "secretmanager.versions.access")
    )


def _function(case: Case, verb: str) -> Iterator[Finding]:
    title, name = f"function {verb}", case.told.function(verb)
    try:
        there = case.function(verb)
    except google_errors.NotFound:
        yield failed(title, f"{name} is not deployed", submit_command(case.told))
        return
    if there["state"] != "ACTIVE":
        messages = [each.get("message", "") for each in there.get("stateMessages", ())]
        said = "; ".join([f"{name} is {there['state']}", *filter(None, messages)])
        yield failed(title, said, submit_command(case.told))
    else:
        yield ok(
            title, f"{name} is active, of commit {there.get('labels', {}).get('commit', 'unknown')}"
        )


def _commit(case: Case) -> Iterator[Finding]:
    """See whether all three are of one commit: a build that stopped half-way leaves them apart."""
    commits = {}
    for verb in FUNCTIONS:
        try:
            commits[verb] = case.function(verb).get("labels", {}).get("commit", "unknown")
        except google_errors.NotFound:
            return  # its own check says so
    if len(set(commits.values())) > 1:
        said = ", ".join(f"{verb} is of {commit}" for verb, commit in commits.items())
        yield failed("one commit", said, submit_command(case.told))
    else:
        yield ok("one commit", "of all three functions")


def _scheduled(case: Case, verb: str) -> Iterator[Finding]:
    """See whether Cloud Scheduler calls a function, and whether it answers well."""
    title, name, told = f"schedule of {verb}", job_name(case.told, verb), case.told
    job_id, where = (
        name.rpartition("/")[2],
        (f"--location={told.region}", f"--project={told.project}"),
    )
    try:
        job = CloudSchedulerClient(transport="rest").get_job(name=name)
    except google_errors.NotFound:
        yield failed(title, f"{job_id} does not exist", case.command("provision"))
        return
    if job.state != Job.State.ENABLED:
        said = f"{job_id} is {Job.State(job.state).name.lower()}: {verb} is not called"
        yield failed(title, said, gcloud.shown(("scheduler", "jobs", "resume", job_id, *where)))
    elif job.last_attempt_time is None or datetime.now(UTC) - job.last_attempt_time > RECENTLY:
        last = (
            f"last called {_ago(job.last_attempt_time)}"
            if job.last_attempt_time
            else "has never been called"
        )
        run = gcloud.shown(("scheduler", "jobs", "run", job_id, *where))
        yield failed(title, f"{job_id} {last}, though it should be every minute", run)
    elif job.status.code:
        said = f"{job_id}'s last call failed: code {job.status.code} {job.status.message}".strip()
        yield failed(title, said, _log(case, verb))
    else:
        yield ok(title, f"called {_ago(job.last_attempt_time)}, and it answered well")


def _log(case: Case, verb: str) -> str:
    """Return the command that shows what a function said of late."""
    what = f'resource.labels.service_name="{case.told.function(verb)}"'
    return gcloud.shown(
        ("logging", "read", what, f"--project={case.told.project}", "--limit=20", "--freshness=10m")
    )


def _parts() -> dict[str, tuple[Callable[[Deployment], Part], tuple[str, ...]]]:
    """Return what `provision` keeps as it shall be; policies are the other group's, the ledger's rule the first's."""
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
        "trigger": (
            lambda d: topics.Trigger(d, _publisher(), _subscriber()),
            (topic, subscription),
        ),
    }
    for verb in SCHEDULED:
        made = partial(_scheduled_call, verb)
        found[f"provision of {verb}'s schedule"] = (made, (job,))
    return found


def _scheduled_call(verb: str, deployment: Deployment) -> Part:
    return ScheduledCall(deployment, verb, CloudSchedulerClient(transport="rest"))


def _publisher() -> Any:
    return PublisherClient(transport="rest")


def _subscriber() -> Any:
    return SubscriberClient(transport="rest")


def _provisioned(case: Case, title: str, make: Callable[[Deployment], Part]) -> Iterator[Finding]:
    changes = list(make(case.deployment).changes())
    for change in changes:
        differs = "does not exist" if change.difference == "is made" else change.difference
        yield failed(
            title, f"{change.resource.rpartition('/')[2]}: {differs}", case.command("provision")
        )
    if not changes:
        yield ok(title, "as provisioned")


def _dead_letters(case: Case) -> Iterator[Finding]:
    """Look at what submit could not take, without taking it: each is put back at once."""
    told = case.told
    url = f"https://pubsub.googleapis.com/v1/projects/{told.project}/subscriptions/{told.dead_letters}"
    try:
        answer = case.google.post(f"{url}:pull", {"maxMessages": LOOKED_AT}, timeout=PULL_SECONDS)
    except requests.Timeout:  # where nothing waits, Pub/Sub waits
        answer = {}
    except google_errors.NotFound:
        yield failed(
            "dead letters", f"{told.dead_letters} does not exist", case.command("provision")
        )
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
    yield warning(
        "dead letters",
        f"{count} that submit could not take, the oldest of {oldest}",
        f"{show}\n{show} --replay  # when what it tripped over is mended",
    )


def _agent(case: Case) -> Iterator[Finding]:
    """See whether W&B shows the agent that poll has registered, and whether it is let poll."""
    note_object = f"agents/{case.told.name}.json"
    address = f"{STORAGE}/{case.told.ledger_bucket}/o/{quote(note_object, safe='')}"
    try:
        note = _NOTE.validate_python(case.google.get(address, alt="media"))
    except google_errors.NotFound:
        note = AgentNote("")
    anew = case.command("agent start")
    if note.stopped:
        yield warning(
            "agent", "`python -m deploy agent stop` has stopped it: poll pops nothing", anew
        )
        return
    if not note.agent_id:
        yield failed("agent", "poll has never registered one in W&B", _log(case, "poll"))
        return
    agent = case.wandb().query(AGENT, {"agentId": note.agent_id})["launchAgent"]
    if not agent:
        yield failed(
            "agent",
            "W&B does not know it. Poll registers another at its next call",
            _log(case, "poll"),
        )
        return
    name = f"{agent['name']} is {agent['agentStatus']}"
    beat = datetime.fromisoformat(agent["heartbeatAt"])
    beat = beat if beat.tzinfo else beat.replace(tzinfo=UTC)
    if agent["stopPolling"]:
        yield failed(
            "agent", f"{name}, and W&B asks it to stop polling: somebody has stopped it there", anew
        )
    elif datetime.now(UTC) - beat > RECENTLY:
        yield failed(
            "agent", f"{name}, but poll last showed it as alive {_ago(beat)}", _log(case, "poll")
        )
    else:
        yield ok("agent", f"{name}, seen {_ago(beat)}")


def _ago(then: datetime) -> str:
    minutes = int((datetime.now(UTC) - then).total_seconds() // 60)
    return f"{minutes} minutes ago" if minutes > 1 else "a moment ago"
