"""Poll's agent in W&B: does W&B show it, and may it poll?"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import quote

from google.api_core import exceptions as google_errors
from pydantic import TypeAdapter

from deploy.cloud.buckets import STORAGE
from deploy.cloud.doctor.case import SECRET, Case
from deploy.cloud.doctor.finding import Check, Finding, failed, ok, warning
from shared.adapters.gcs import GcsAgentBook
from shared.core.ports import AgentNote

RECENTLY = timedelta(minutes=5)
AGENT = """query LaunchAgent($agentId: ID!) {
  launchAgent(id: $agentId) { name agentStatus stopPolling heartbeatAt }
}"""
_NOTE = TypeAdapter(AgentNote)


def checks(case: Case) -> Iterator[Check]:
    """Yield the check of the agent."""
    needs = ("storage.objects.get", "secretmanager.versions.access")
    yield Check("agent", partial(_agent, case), needs, on_stack=True)


def _note(case: Case) -> AgentNote:
    """Return the note of poll's agent; an empty one if there is none."""
    if stack := case.stack:
        book = GcsAgentBook(stack["LEDGER_BUCKET"], stack["LAUNCH_AGENT_NAME"])
        return book.read() or AgentNote("")
    note = f"agents/{case.deployment.name}.json"
    address = f"{STORAGE}/{case.deployment.ledger_bucket}/o/{quote(note, safe='')}"
    try:
        return _NOTE.validate_python(case.google.get(address, alt="media"))
    except google_errors.NotFound:
        return AgentNote("")


def _agent(case: Case) -> Iterator[Finding]:
    """Check that W&B shows the agent that poll has registered, and that it may poll."""
    note = _note(case)
    start = case.command("agent start")
    if note.stopped:
        message = "`vertex-launch agent stop` has stopped it: poll pops nothing"
        yield warning("agent", message, start)
        return
    if not note.agent_id:
        ledger = f"gs://{case.deployment.ledger_bucket}"  # without the bucket there is no note
        message = "poll has never registered an agent in W&B"
        never = failed("agent", message, case.log("poll"))
        yield replace(never, because=(ledger, case.functions_key, SECRET, *case.missing("poll")))
        return
    agent = case.wandb().query(AGENT, {"agentId": note.agent_id})["launchAgent"]
    if not agent:
        message = "W&B does not know it; poll registers another agent at its next call"
        yield failed("agent", message, case.log("poll"))
        return
    name = f"{agent['name']} is {agent['agentStatus']}"
    beat = datetime.fromisoformat(agent["heartbeatAt"])
    beat = beat if beat.tzinfo else beat.replace(tzinfo=UTC)
    if agent["stopPolling"]:
        message = f"{name}, and W&B asks it to stop polling: somebody has stopped it in W&B"
        yield failed("agent", message, start)
    elif datetime.now(UTC) - beat > RECENTLY:
        message = f"{name}, but poll's last heartbeat was {ago(beat)}"
        yield failed("agent", message, case.log("poll"))
    else:
        yield ok("agent", f"{name}, seen {ago(beat)}")


def ago(then: datetime) -> str:
    """Return how long ago something was, for people."""
    minutes = int((datetime.now(UTC) - then).total_seconds() // 60)
    return f"{minutes} minutes ago" if minutes > 1 else "a moment ago"
