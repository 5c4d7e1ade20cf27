"""The second part of the road: a launch in the ledger, its build, its job, its end."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from deploy.cloud.doctor.finding import Finding, failed, ok, unknown
from deploy.operate.why.facts import Facts, Unseen, label
from shared.core.duration import span
from shared.core.entry import Entry
from shared.core.event import EventType
from shared.core.jobstate import phase_of
from shared.core.launch import Launch
from shared.core.shortage import Shortage
from shared.core.states import Outcome, State

SOON = timedelta(minutes=3)  # a due ticket is published, delivered and claimed within this time
CAPACITY = "Vertex AI has no capacity: "  # begins the reason of each shortage
REQUESTS = "LAUNCH_MAX_REQUESTS"
QUOTAS = "https://console.cloud.google.com/iam-admin/quotas?project="
SHORT = {
    Shortage.RATE: "Vertex AI accepts no more calls this minute",
    Shortage.AMOUNT: "the project's quota is used up",
    Shortage.STOCKOUT: "Google has no such machines free in the region",
    Shortage.ZERO: "a quota of the project is 0, so waiting does not help",
}


def check_arrival(facts: Facts, entry: Entry) -> Finding:
    """Tell when the launch was recorded, and by whom."""
    if entry.from_queue:
        what = f"poll popped item {entry.item_id} of queue {entry.queue_name}"
    else:
        what = f"the request of {entry.source or 'another system'} arrived"
    repeats = f", which repeats {entry.retries}" if entry.retries else ""
    return ok("ledger", f"{what} {facts.ago(entry.opened_at)}; launch {label(entry)}{repeats}")


def check_wish(facts: Facts, entry: Entry) -> Iterator[Finding]:
    """Tell what a person asked for."""
    if wish := entry.wish:
        message = f"{wish.by} asked to {wish.kind} it {facts.ago(wish.at)}: status does so at its "
        yield failed("wish", f"{message}next call", facts.place.log("status"))


def check_queued(facts: Facts, entry: Entry) -> Iterator[Finding]:
    """Tell why a launch without a job waits."""
    reason = _reason(facts)
    if entry.build:
        yield _build(facts, entry)
    elif entry.short_of:
        yield _short(facts, entry, reason)
    elif entry.retry_at and entry.retry_at > facts.now:
        yield _retry(facts, entry, reason)
    elif entry.resumes and _last_event(facts) is EventType.PREEMPTED:
        times = f"{entry.resumes} time{'s' if entry.resumes > 1 else ''}"
        message = (
            f"Vertex AI preempted its job ({times}): it is launched again {_when(facts, entry)}"
        )
        yield failed("preemption", message, facts.place.ours("show", entry.key))
    else:
        yield _ticket(facts, entry)


def check_claim(facts: Facts, entry: Entry) -> Finding:
    """Tell what the holder of the claim does."""
    reason = _reason(facts)
    until = entry.lease_until or facts.now
    if entry.unanswered:
        because = f" ({reason})" if reason else ""
        message = f"the answer to its create was lost{because}: submit looks for its job at "
        return failed("claim", message + facts.at(until), facts.place.log("submit"))
    if until > facts.now:
        return ok("claim", f"submit is creating its job; its claim ends at {facts.at(until)}")
    if facts.now - until > SOON:
        message = f"the submit that claimed it ended without an answer {facts.ago(until)}, and no "
        return failed("claim", f"{message}other submit took over", facts.place.log("status"))
    return ok("claim", "its claim has ended: another submit looks for its job within a minute")


def check_job(facts: Facts, entry: Entry) -> Iterator[Finding]:
    """Tell what its job in Vertex AI does."""
    if entry.resumes:
        yield ok("preemptions", f"Vertex AI preempted its run {entry.resumes} times; it goes on")
    job, link = facts.job, facts.job_url
    if isinstance(job, Unseen):
        yield unknown("job", job.why, job.fix)
        began = entry.started_at
        word = f"ran {facts.since(began)}" if began else "had not started"
        yield ok("ledger's view", f"when status last looked, its job {word}: {link}")
        return
    if job is None:
        message = f"its job was deleted in Vertex AI: {entry.job_name}"
        yield failed("job", message, facts.place.log("status"))
        return
    since = facts.since(entry.pending_since or entry.queued_since or job.created_at)
    cancel = f"{link}\n{facts.place.ours('cancel', entry.key)}"
    match job.state.removeprefix("JOB_STATE_"):
        case "QUEUED":
            message = f"Vertex AI keeps its job queued until the project has quota, {since}"
            yield failed("job", message, f"{QUOTAS}{facts.place.project}\n{cancel}")
        case "PENDING" if job.started_at:
            message = "Vertex AI replaces the machines that its job has lost"
            yield failed("job", message, cancel)
        case "PENDING":
            message = f"its job waits in Vertex AI for machines or for its image, {since}"
            yield failed("job", message, cancel)
        case "CANCELLING":
            why = entry.cancel_reason or (
                "its run was stopped in W&B" if entry.stop_seen_at else "somebody cancelled it"
            )
            yield failed("job", f"its job is being cancelled: {why}", link)
        case _ if phase_of(job.state).ended:
            yield _over(facts, entry, job.state.removeprefix("JOB_STATE_"), job.error)
        case "RUNNING" | "UNSPECIFIED" if entry.stop_seen_at:
            message = f"its run was stopped in W&B {facts.ago(entry.stop_seen_at)}: status cancels "
            yield failed("job", f"{message}its job unless the script ends by itself", link)
        case "RUNNING":
            yield ok("job", f"its job runs {facts.since(job.started_at or job.created_at)}: {link}")
        case state:
            yield failed("job", f"its job is {state} in Vertex AI", link)


def check_end(facts: Facts, entry: Entry) -> Iterator[Finding]:
    """Tell how the launch ended, and what is still owed."""
    reason, outcome = _reason(facts), str(entry.outcome or "without an outcome")
    ago = facts.ago(entry.ended_at) if entry.ended_at else "earlier"
    says = f"it ended as {outcome} {ago}{f': {reason}' if reason else ''}"
    if entry.outcome is Outcome.SUCCEEDED:
        yield ok("end", says)
    elif entry.outcome is Outcome.REJECTED:
        again = "Change the value, then enqueue the item again."
        if not entry.from_queue:
            again = "Change the value, then publish the request with another idempotency key."
        yield failed("end", says, again)
    else:
        yield failed("end", says, facts.place.ours("retry", entry.key))
    open_still = any(one.key == entry.key for one in _open(facts))
    late = entry.ended_at is None or facts.now - entry.ended_at > SOON
    if entry.report_owed and open_still and late:
        message = "W&B has not accepted the report yet: its author does not see the reason"
        yield failed("report", message, facts.place.log("status"))
    if entry.job_name:
        yield ok("job", f"its last job: {facts.job_url}")


def _build(facts: Facts, entry: Entry) -> Finding:
    build, logs = facts.build, facts.place.ours("logs", entry.key)
    since = f" {facts.since(began)}" if (began := _at(facts, EventType.BUILDING)) else ""
    if isinstance(build, Unseen):
        message = f"Cloud Build builds its image{since} ({entry.build}); its state cannot be seen"
        return failed("build", f"{message}: {build.why}", build.fix or logs)
    if build is None or not build.over:
        state = build.status if build else "its state is unknown"
        where = (build.log_url if build else "") or entry.build
        message = f"Cloud Build builds its image{since}: {state}, {where}"
        return failed("build", message, logs)
    detail = f": {build.detail.rstrip('.')}" if build.detail else ""
    if build.failed:
        message = f"its image could not be built ({build.status}{detail}): {build.log_url}"
        return failed("build", message, logs)
    return ok("build", "its image is built: status publishes its ticket at its next call")


def _short(facts: Facts, entry: Entry, reason: str) -> Finding:
    short, reason = entry.short_of or Shortage.AMOUNT, reason.removeprefix(CAPACITY)
    message = f"{SHORT[short]} ({short}){f': {reason}' if reason else ''}. "
    message += f"After {_attempts(entry)} it waits {facts.since(entry.opened_at)}; next attempt: "
    place = facts.place
    fixes = [place.ours("cancel", entry.key)]
    if short in (Shortage.AMOUNT, Shortage.ZERO):
        fixes.insert(0, f"{QUOTAS}{place.project}")
    if short is Shortage.STOCKOUT:
        fixes.insert(0, "docs/how-to/run-where-machines-are-rare.md adds other places.")
    return failed("capacity", f"{message}{_when(facts, entry)}", "\n".join(fixes))


def _retry(facts: Facts, entry: Entry, reason: str) -> Finding:
    if not entry.from_queue and REQUESTS in reason:
        return _crowded(facts, entry, reason)
    message = f"{_attempts(entry)} failed: {reason or 'no reason is recorded'}. "
    message += f"Next attempt: {_when(facts, entry)}"
    if entry.failures:
        message += f"; {entry.failures} failures count against LAUNCH_MAX_FAILURES"
    return failed("attempts", message, facts.place.log("submit"))


def _crowded(facts: Facts, entry: Entry, reason: str) -> Finding:
    running = [
        label(one)
        for one in _open(facts)
        if not one.from_queue and one.state in (State.SUBMITTING, State.SUBMITTED)
    ]
    more = f" and {len(running) - 10} more" if len(running) > 10 else ""
    message = f"{reason}: {', '.join(running[:10]) or 'unknown'}{more}. "
    message += f"Next attempt: {_when(facts, entry)}"
    raise_it = f"To raise the limit, change {REQUESTS}, then build."
    return failed("max_requests", message, f"{facts.place.ours('ls')}\n{raise_it}")


def _ticket(facts: Facts, entry: Entry) -> Finding:
    """Judge a launch that a submit may claim now."""
    due = max(entry.retry_at or entry.opened_at, entry.opened_at)
    if facts.now - due < SOON:
        return ok("ticket", "its ticket is on the way: submit claims the launch within a minute")
    message = f"no submit has claimed it, although it is due {facts.since(due)}"
    return failed("ticket", message, f"{facts.place.log('submit')}\n{facts.place.log('status')}")


def _over(facts: Facts, entry: Entry, state: str, error: str) -> Finding:
    message = f"its job is {state}{f': {error}' if error else ''}; status reports the end within "
    message += "a few minutes"
    if state == "SUCCEEDED":
        return ok("job", message)
    return failed("job", message, f"{facts.place.ours('logs', entry.key)}")


def _reason(facts: Facts) -> str:
    """Return the whole reason; the index keeps 300 bytes of it."""
    if isinstance(facts.record, Launch):
        return facts.record.reason
    return facts.entry.reason if facts.entry else ""


def _last_event(facts: Facts) -> EventType | None:
    events = facts.record.events if isinstance(facts.record, Launch) else ()
    return events[-1].type if events else None


def _at(facts: Facts, kind: EventType) -> datetime | None:
    events = facts.record.events if isinstance(facts.record, Launch) else ()
    return next((event.at for event in reversed(events) if event.type is kind), None)


def _attempts(entry: Entry) -> str:
    return f"{entry.attempt} attempt{'' if entry.attempt == 1 else 's'}"


def _when(facts: Facts, entry: Entry) -> str:
    if not entry.retry_at or entry.retry_at <= facts.now:
        return "within a minute"
    return f"{facts.at(entry.retry_at)} (in {span(entry.retry_at - facts.now)})"


def _open(facts: Facts) -> list[Entry]:
    return [] if isinstance(facts.open, Unseen) else list(facts.open)
