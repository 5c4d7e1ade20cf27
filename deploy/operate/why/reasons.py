"""From facts to findings, in the order of the road from W&B's queue to Vertex AI; all pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.cloud.doctor.finding import Finding, Outcome, unknown
from deploy.exit_codes import FAILURE, REJECTED, SUCCESS, UNKNOWN
from deploy.operate.why import launching, polling, waiting
from deploy.operate.why.facts import Facts, Item
from shared.core import states
from shared.core.entry import Entry
from shared.core.redaction import redacted
from shared.core.states import State

SIGNS = {Outcome.OK: "ok", Outcome.FAILED: "blocks", Outcome.UNKNOWN: "unseen"}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to "why": the cause in one sentence, the checklist, the exit code."""

    cause: str
    findings: tuple[Finding, ...]
    exit_code: int

    def document(self, facts: Facts) -> dict[str, Any]:
        """Return the JSON form."""
        document: dict[str, Any] = redacted(
            {
                "launch_key": facts.entry.key if facts.entry else None,
                "item": facts.item.id if facts.item else None,
                "cause": self.cause,
                "checks": [
                    {
                        "check": finding.name,
                        "result": SIGNS[finding.outcome],
                        "message": finding.message,
                        "fix": finding.fix.splitlines(),
                    }
                    for finding in self.findings
                ],
            }
        )
        return document


def reasons(facts: Facts) -> Answer:
    """Return why a launch, an item or everything waits: the first check that blocks."""
    findings = tuple(_road(facts))
    blocking = next((one for one in findings if one.outcome is Outcome.FAILED), None)
    unseen = [one.name for one in findings if one.outcome is Outcome.UNKNOWN]
    if blocking:
        rejected = facts.entry and facts.entry.outcome is states.Outcome.REJECTED
        refused = rejected or blocking.name == "plan"
        says = _sentence(blocking.message)
        if runs := next((one.message for one in findings if _is_good_job(facts, one)), ""):
            says = f"{_sentence(runs)} But: {says}"
        return Answer(says, findings, REJECTED if refused else FAILURE)
    says = _sentence(_goes_on(facts, findings))
    if unseen:
        says += f" But these checks could not be made: {', '.join(unseen)}."
    return Answer(says, findings, UNKNOWN if unseen and not _settled(facts) else SUCCESS)


def _road(facts: Facts) -> Iterator[Finding]:
    if facts.entry:
        yield from _of_launch(facts, facts.entry)
    elif facts.item:
        yield from _of_item(facts, facts.item)
    elif facts.letter:
        yield from waiting.check_dead_letters(facts, facts.letter.launch_key)
    else:
        if facts.not_found:
            yield unknown("ID", facts.not_found)
        yield from _of_deployment(facts)


def _of_deployment(facts: Facts) -> Iterator[Finding]:
    yield polling.check_key(facts)
    yield from polling.check_schedule(facts, "poll")
    yield from polling.check_schedule(facts, "status")
    yield polling.check_poll(facts)
    yield from polling.check_queues(facts)
    for queue in facts.pending:
        yield from polling.check_pause(facts, queue)
        yield polling.check_hold(facts, queue)
    yield from polling.check_limits(facts, scheduler=True)
    yield from waiting.check_dead_letters(facts)
    yield from waiting.check_waiting(facts)


def _of_item(facts: Facts, item: Item) -> Iterator[Finding]:
    """Yield the checks of an item that waits in its queue, without a launch."""
    yield polling.check_key(facts)
    yield from polling.check_schedule(facts, "poll")
    yield polling.check_poll(facts)
    yield from polling.check_pause(facts, item.queue)
    yield polling.check_hold(facts, item.queue)
    yield from polling.check_limits(facts, scheduler=item.scheduler)
    yield waiting.check_position(facts, item.queue, item.id)
    yield from waiting.check_plan(facts.plan)


def _of_launch(facts: Facts, entry: Entry) -> Iterator[Finding]:
    """Yield the checks of a launch; those of the deployment only while they matter to it."""
    yield launching.check_arrival(facts, entry)
    if entry.state is State.ENDED:
        yield from launching.check_end(facts, entry)
        return
    yield from launching.check_wish(facts, entry)
    if entry.state is State.SUBMITTED:
        yield from launching.check_job(facts, entry)
    yield polling.check_key(facts)
    yield from polling.check_schedule(facts, "status")
    yield from polling.check_calls(facts)
    if entry.state is State.QUEUED:
        if entry.from_queue:
            yield from polling.check_pause(facts, entry.queue_name)
        queued = list(launching.check_queued(facts, entry))
        letters = list(waiting.check_dead_letters(facts, entry.key))
        # status publishes a lost ticket again; a launch that nobody claims needs the dead letter
        unclaimed = queued[-1].name == "ticket"
        yield from letters + queued if unclaimed else queued + letters
    elif entry.state is State.SUBMITTING:
        yield launching.check_claim(facts, entry)


def _goes_on(facts: Facts, findings: Sequence[Finding]) -> str:
    """Return the sentence for a launch that nothing blocks."""
    if facts.item:
        position = next((one for one in findings if one.name == "position"), None)
        where = position.message if position else f"item {facts.item.id} waits in its queue"
        return f"nothing blocks it: {where}, and poll asks every minute"
    if facts.not_found:
        return "the ID was not found, and nothing stops launches"
    if facts.entry is None:
        return "nothing stops launches"
    telling = ("end", "claim", "ticket", "build", "job", "ledger's view")
    good = [one for one in findings if one.name in telling and one.outcome is Outcome.OK]
    return good[0].message if good else "nothing blocks it"


def _is_good_job(facts: Facts, finding: Finding) -> bool:
    """Tell whether a finding says that the job of an open launch runs or has succeeded."""
    open_launch = facts.entry is not None and facts.entry.state is State.SUBMITTED
    return open_launch and finding.name == "job" and finding.outcome is Outcome.OK


def _settled(facts: Facts) -> bool:
    """Tell whether nothing that could not be seen can change the answer."""
    return facts.entry is not None and facts.entry.state is State.ENDED


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
