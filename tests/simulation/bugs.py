"""Mistakes on purpose, each small and each likely: the simulation has to find every one of them."""

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from functions.poll.drain import Poll, Report
from functions.status.decisions import StatusTimings
from functions.submit import submit as submit
from shared.core.budget import Budget
from shared.core.building import Ensured, Recipe
from shared.core.cadence import Cadence
from shared.core.errors import Denied, LaunchError, OutcomeUnknown, Reject, Retry
from shared.core.jobsource import JobSource
from shared.core.launch import Event, Launch, RunPath, State
from shared.core.message import Queue, Request, Ticket
from shared.core.ports import (
    AgentNote,
    Answers,
    Clock,
    CustomJobCall,
    FoundJob,
    ItemStatus,
    Job,
    OpenLaunches,
    QueueItem,
    RunStatus,
    Span,
)
from tests.simulation.deployment import BUDGETS, PARENT, TIMEOUTS, Deployment, Parts, StepBudget
from tests.simulation.ports import Agents, CloudBuild, Events, Ledger, Topic, Vertex, Wandb
from tests.simulation.processes import Call, Cross, nothing
from tests.simulation.wandb import key_of
from tests.simulation.world import API_KEY, World

log = logging.getLogger("functions.planted")
_drawn = itertools.count()


class RingsBeforeAck(Ledger):
    """Poll publishes a ticket as soon as it has opened the launch."""

    def write(self, launch: Launch) -> Launch:
        """Write, and publish."""
        written = super().write(launch)
        Topic(self.cross).publish([launch.key])
        return written


class AcksBeforeOpening(Wandb):
    """Poll acks an item before it has written it down."""

    def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
        """Pop, and ack."""
        item = super().pop(queue, agent_id)
        if item:
            self.ack(item.id, key_of(item.id)[1:13])
        return item


class TakesNoForYes(Wandb):
    """Poll does not look at the answer to an ack."""

    def ack(self, item_id: str, run_id: str) -> bool:
        """Ack."""
        super().ack(item_id, run_id)
        return True


class TakesAllForAcked(Wandb):
    """Status takes each item that it asks for, for one that W&B has acked to us."""

    def item_statuses(self, items: Sequence[tuple[Queue, str]]) -> Answers[str, ItemStatus]:
        """Say that they are ours."""
        found = super().item_statuses(items).found
        return Answers({one: ItemStatus("CLAIMED", key_of(one)[1:13]) for one in found})


class DrawsRunIds(Wandb):
    """Poll draws the id of a run that has none, anew each time that its item comes."""

    def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
        """Pop, and draw."""
        item = super().pop(queue, agent_id)
        return replace(item, run_spec={**item.run_spec, "run_id": f"drawn{next(_drawn)}"}) if item else None


class ReadsNothing(Ledger):
    """Poll acks without a look at the record of an earlier poll, which has the run's id."""

    def read(self, key: str) -> Launch | None:
        """Read nothing."""
        return None


class ForgetsVersion(Wandb):
    """Each attempt asks for the job's latest version, not for the one that was launched first."""

    def resolve(self, path: str) -> JobSource:
        """Resolve."""
        return super().resolve(f"{path.partition(':')[0]}:latest")


class TakesSlot(Ledger):
    """Poll keeps count of slots beside the ledger: one is taken with each launch that is opened."""

    def write(self, launch: Launch) -> Launch:
        """Write, and take a slot."""
        written, name = super().write(launch), f"slots/{launch.key}"

        def take(world: World) -> None:
            world.bucket.delete(name)
            world.bucket.write(name, launch, 0)

        self.cross(Call("ledger", "ledger.write", name, take, changes=True))
        return written

    def list_open(self) -> OpenLaunches:
        """Yield a launch for each slot."""
        slots, _ = self.cross(Call("ledger", "ledger.list", "slots/", lambda w: w.bucket.page("slots/", "")))
        return OpenLaunches([launch.entry for launch in slots])


class GivesSlotBack(Ledger):
    """Status gives that slot back after a close."""

    def close(self, launch: Launch) -> None:
        """Close, and give the slot back."""
        super().close(launch)
        name = f"slots/{launch.key}"
        self.cross(Call("ledger", "ledger.delete", name, lambda w: w.bucket.delete(name), changes=True))


class ListsOnePage(Ledger):
    """The listing of the ledger ends after its first page."""

    def list_open(self) -> OpenLaunches:
        """Yield the first page."""
        return next(self.pages())


class TakesSchedulersForJobs(Ledger):
    """Poll does not tell the schedulers of sweeps from the jobs that are open."""

    def list_open(self) -> OpenLaunches:
        """Yield entries."""
        return OpenLaunches([replace(entry, scheduler=False) for entry in super().list_open().entries])


class TripsOverEmptyQueue(Wandb):
    """Poll expects an item in every answer of W&B."""

    def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
        """Pop."""
        item = super().pop(queue, agent_id)
        if item is None:
            raise KeyError("runQueueItemId")
        return item


class ClaimsNothing(Ledger):
    """Submit goes on without having written its claim."""

    def write(self, launch: Launch) -> Launch:
        """Write anything but a claim."""
        return launch if launch.entry.state is State.SUBMITTING else super().write(launch)


class CountsNoAttempts(Ledger):
    """Submit makes each of its attempts under the number of the first."""

    def write(self, launch: Launch) -> Launch:
        """Write."""
        return super().write(replace(launch, entry=replace(launch.entry, attempt=min(launch.entry.attempt, 1))))

    def read(self, key: str) -> Launch | None:
        """Read a launch as if it had never been tried."""
        launch = super().read(key)
        queued = launch and launch.entry.state is State.QUEUED
        return replace(launch, entry=replace(launch.entry, attempt=0)) if launch and queued else launch


class LooksAtNothingClosed(Ledger):
    """Submit does not look whether the launch was closed before."""

    def is_closed(self, key: str) -> bool:
        """Say no."""
        return False


class LooksNothingUp(Vertex):
    """A takeover does not look for the job of the attempt that it resolves."""

    def find(self, parent: str, labels: Mapping[str, str]) -> FoundJob | None:
        """Find nothing."""
        return None


class WaitsForNoImage(CloudBuild):
    """Submit creates the job while its image is still being built."""

    def ensure(self, recipe: Recipe, budget: Budget) -> Ensured:
        """Begin the build, and say that all is there."""
        super().ensure(recipe, budget)
        return Ensured(image=recipe.image)


class LooksUpAtHome(Vertex):
    """A takeover looks for the job in the deployment's own region, wherever the ladder has brought it."""

    def find(self, parent: str, labels: Mapping[str, str]) -> FoundJob | None:
        """Find a job."""
        return super().find(PARENT, labels)


class RepeatsCreate(Vertex):
    """Submit sends a create without an answer once more."""

    def create(self, call: CustomJobCall, budget: Budget) -> str:
        """Create, perhaps twice."""
        try:
            return super().create(call, budget)
        except OutcomeUnknown:
            return super().create(call, budget)


class TakesErrorForRefusal(Vertex):
    """Every exception of the SDK's submit(), such as a KeyError after the create, counts as a refusal."""

    def create(self, call: CustomJobCall, budget: Budget) -> str:
        """Create."""
        try:
            return super().create(call, budget)
        except OutcomeUnknown as exc:
            raise Reject("Vertex AI", f"refuses the job: {exc}") from exc


class LabelsWithKey(Vertex):
    """A job's labels carry the API key."""

    def create(self, call: CustomJobCall, budget: Budget) -> str:
        """Create."""
        labels = {**call.constructor["labels"], "wandb_api_key": API_KEY}
        return super().create(replace(call, constructor={**call.constructor, "labels": labels}), budget)


class LogsRequest(Vertex):
    """What is sent to Vertex AI is logged, its containers' environment included."""

    def create(self, call: CustomJobCall, budget: Budget) -> str:
        """Log, and create."""
        log.info("launch.creating", extra={"fields": {"request": call.constructor}})
        return super().create(call, budget)


class SwallowsErrors(submit.Submit):
    """Submit answers well although the ledger could not be reached, so its message does not come again."""

    def launch(self, message: Ticket | Request, budget: Budget) -> str:
        """Launch, or not."""
        try:
            return super().launch(message, budget)
        except (Retry, Denied):
            return "launch.failed"


class ClosesBeforeReport(Ledger):
    """Status closes a launch as soon as it has recorded its end."""

    def write(self, launch: Launch) -> Launch:
        """Write, and close."""
        written = super().write(launch)
        if launch.entry.state is State.ENDED:
            self.close(written)
        return written


class WritesIntoClaims(Ledger):
    """Status writes into a launch while a submit holds its claim."""

    def list_open(self) -> OpenLaunches:
        """Yield entries, and mark them."""
        listed = super().list_open()
        for entry in listed.entries:
            if entry.state is State.SUBMITTING and (launch := self.read(entry.key)):
                self.write(launch)
        return listed


class DeletesBeforeClose(Ledger):
    """Status deletes the open record before it writes the closed one."""

    def close(self, launch: Launch) -> None:
        """Close in the wrong order."""
        self.withdraw(launch.key)
        self.write_closed(launch)


class SaysNothing(Wandb):
    """Status fails an item without a message."""

    def fail_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Fail an item."""
        super().fail_item(queue, item_id, "", stage)


class OverlooksWishes(Ledger):
    """A function reads and writes records without what a person has asked for."""

    def read(self, key: str) -> Launch | None:
        """Read a launch as if nobody had asked for anything."""
        launch = super().read(key)
        return launch and replace(launch, entry=replace(launch.entry, wish=None))

    def list_open(self) -> OpenLaunches:
        """List them so."""
        listed = super().list_open()
        return replace(listed, entries=[replace(entry, wish=None) for entry in listed.entries])


class OverlooksPauses(Agents):
    """Status publishes tickets for launches of a paused queue."""

    def read(self) -> AgentNote | None:
        """Read the note as if nobody had paused a queue."""
        note = super().read()
        return note and replace(note, paused=())


class LeavesSweep(Wandb):
    """Status lets the sweep of a failed scheduler be."""

    def cancel_sweep(self, sweep: RunPath) -> None:
        """Do nothing."""


class NeverCancels(Vertex):
    """Status notes that a job is to be cancelled, and leaves it at that."""

    def cancel_job(self, name: str) -> None:
        """Do nothing."""


class OverlooksStop(Wandb):
    """Status does not see that a run which was preempted had been stopped."""

    def run_statuses(self, runs: Sequence[RunPath]) -> Answers[RunPath, RunStatus]:
        """See."""
        seen = super().run_statuses(runs)
        shown = {run: RunStatus(one.state, one.stopped and one.state != "preempted") for run, one in seen.found.items()}
        return replace(seen, found=shown)


class IgnoresBudget(StepBudget):
    """Submit creates without a check of its budget."""

    def require(self, action: str, seconds: float = 0.0) -> None:
        """Look at nothing."""
        self._cross(Call("platform", "budget", action, nothing))


class BeginsLate(StepBudget):
    """The budget begins where it is asked for the first time, which is after the rendering."""

    def require(self, action: str, seconds: float = 0.0) -> None:
        """Begin, or check."""
        if not self.begun and self.seconds == BUDGETS["submit"]:
            self.begun, self._ends = True, self._monotonic() + self.seconds
        super().require(action, seconds)


class PollsForTwoMinutes(StepBudget):
    """Poll's budget is its whole timeout."""

    def __init__(self, cross: Cross, clock: Clock, seconds: float) -> None:
        super().__init__(cross, clock, TIMEOUTS["poll"].total_seconds() if seconds == BUDGETS["poll"] else seconds)


class LeasesBeforeRendering(Ledger):
    """The lease of a claim begins when the record is read: before the rendering, however long that takes."""

    began: datetime | None = None

    def read(self, key: str) -> Launch | None:
        """Read, and note the time."""
        launch = super().read(key)
        self.began = self.now()
        return launch

    def write(self, launch: Launch) -> Launch:
        """Write a claim with the lease of that time."""
        entry = launch.entry
        if entry.state is State.SUBMITTING and not entry.unanswered and self.began:
            lease = self.began + submit.SubmitTimings().lease
            return super().write(replace(launch, entry=replace(entry, lease_until=lease)))
        return super().write(launch)


class LooksOnce(Ledger):
    """One look-up that finds no job is enough for another create."""

    def read(self, key: str) -> Launch | None:
        """Read a launch as if somebody had looked before."""
        launch = super().read(key)
        if launch and launch.entry.state is State.SUBMITTING:
            return replace(launch, entry=replace(launch.entry, looked_at=launch.entry.opened_at))
        return launch


class LooksNotFirst(Vertex):
    """A request's first attempt does not look whether an earlier record of it has a job."""

    def find(self, parent: str, labels: Mapping[str, str]) -> FoundJob | None:
        """Find by attempt only."""
        return super().find(parent, labels) if "launch_attempt" in labels else None


class LeavesOutUnreadable(Ledger):
    """Poll counts only the records that it can read."""

    def list_open(self) -> OpenLaunches:
        """List those."""
        return OpenLaunches(super().list_open().entries)


class WarnsFirst(Ledger):
    """Status sends a launch's warning before it acts on what it has decided."""

    def read(self, key: str) -> Launch | None:
        """Warn, and read."""
        launch = super().read(key)
        if launch and launch.entry.notice and not launch.entry.noticed and launch.entry.from_queue:
            Wandb(self.cross).warn_item(launch.entry.queue, launch.entry.item_id, launch.entry.notice, "agent")
        return launch


class TripsOverPoison(Wandb):
    """Poll falls over an item that it cannot read, and asks the queue no further."""

    def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
        """Pop."""
        item = super().pop(queue, agent_id)
        if item and item.problem:
            raise Retry(item.problem)
        return item


class WaitsForNoError(Vertex):
    """Status judges a job as soon as it has ended, though its error comes a minute later."""

    def get_job(self, name: str) -> Job | None:
        """Return a job as if it had ended long ago."""
        job = super().get_job(name)
        return job and replace(job, ended_at=job.ended_at and job.ended_at - timedelta(minutes=10))


class TakesQueuedForPending(Vertex):
    """Status takes a job that waits for quota for one that does not start."""

    def list_jobs(self, parent: str, span: Span | None = None) -> Iterator[Job]:
        """List jobs."""
        for job in super().list_jobs(parent, span):
            yield replace(job, state=job.state.replace("QUEUED", "PENDING"))


class SeesNewestOnly(Vertex):
    """Status looks at the job of the newest attempt only: it never cancels an older one that lives."""

    def list_jobs(self, parent: str, span: Span | None = None) -> Iterator[Job]:
        """List the newest job of each launch."""
        jobs = list(super().list_jobs(parent, span))
        newest = {job.key: max(one.attempt for one in jobs if one.key == job.key) for job in jobs}
        yield from (job for job in jobs if job.attempt == newest[job.key])


@dataclass(frozen=True, slots=True)
class FastForever(Cadence):
    """Poll and status take a deployment that was ever warm for warm."""

    def is_warm(self, warm_until: datetime | None, now: datetime) -> bool:
        """Look at no clock."""
        return warm_until is not None


class WaitsForWakeUps(Poll):
    """A full poll leaves the calls of Cloud Scheduler to the wake-ups."""

    def run(self, holder: str, budget: Budget, *, woken: bool = False) -> Report:
        """Work if there is a wake-up, or a free slot."""
        note = self.agents.read()
        if note and note.full and not woken:
            return Report(polled=False, why_not="status wakes poll")
        return super().run(holder, budget, woken=woken)


class TakesSilenceForTopic(Events):
    """Status takes a batch of events for published, whatever Pub/Sub answers."""

    def announce(self, happened: Sequence[tuple[Launch, Event]]) -> None:
        """Publish events."""
        with suppress(LaunchError):
            super().announce(happened)


class WritesLaterFacts(Events):
    """Status publishes an event with what is known by then."""

    def announce(self, happened: Sequence[tuple[Launch, Event]]) -> None:
        """Publish events."""
        super().announce([(launch, replace(event, job=launch.entry.job_name)) for launch, event in happened])


class AnnouncesAtOnce(Ledger):
    """Status announces a launch that it lists, whether its item is ours or not."""

    def list_open(self) -> OpenLaunches:
        """List launches."""
        listed = super().list_open()
        for entry in listed.entries:
            if not entry.attempt and (launch := self.read(entry.key)):
                Events(self.cross).announce([(launch, launch.events[0])])
        return listed


@dataclass(frozen=True)
class Bug:
    """A mistake that is planted, the invariant that it breaks, and the scenario in which it is looked for."""

    violates: str
    scenario: str
    deployment: Deployment
    faults: int = field(default=1)  # how many it takes


def _parts(**verbs: Parts) -> Deployment:
    return Deployment(parts=verbs)


_SHORT = timedelta(seconds=20)
_NOT_OURS, _FOREIGN = "a CustomJob for an item that is not ours", "a report for an item that is not ours"
_TWO_OF_ATTEMPT, _TWO_OF_LAUNCH = "two CustomJobs of one attempt", "two CustomJobs of one launch"
_UNCLAIMED = "a create without a claim that outlasts it"
_NEITHER = "an item is left without a run and without a message"

BUGS = {
    "publishes before the ack": Bug(_NOT_OURS, "trains", _parts(poll=Parts(ledger=RingsBeforeAck))),
    "publishes an item that is not acked": Bug(_NOT_OURS, "trains", _parts(status=Parts(wandb=TakesAllForAcked))),
    "reports an item that is not acked": Bug(
        _FOREIGN, "stopped before it is launched", _parts(status=Parts(wandb=TakesAllForAcked))
    ),
    "takes a refused ack for an accepted one": Bug(_NOT_OURS, "trains", _parts(poll=Parts(wandb=TakesNoForYes))),
    "acks before it writes the launch": Bug(_NEITHER, "trains", _parts(poll=Parts(wandb=AcksBeforeOpening))),
    "run id at random": Bug(_NEITHER, "trains", _parts(poll=Parts(wandb=DrawsRunIds, ledger=ReadsNothing))),
    "headroom from a counter": Bug(
        "more launches are open than max_jobs",
        "one at a time",
        _parts(poll=Parts(ledger=TakesSlot), status=Parts(ledger=GivesSlotBack)),
    ),
    "lists without paging": Bug(
        "more launches are open than max_jobs", "six items", _parts(poll=Parts(ledger=ListsOnePage)), faults=0
    ),
    "poll's lease shorter than its budget": Bug(
        "more launches are open than max_jobs",
        "one at a time",
        Deployment(poll_lease=timedelta(seconds=45), budget=PollsForTwoMinutes),
    ),
    "a window that outlives its lease": Bug(
        "more launches are open than max_jobs",
        "a poll that goes on asking",
        Deployment(poll_lease=timedelta(seconds=4)),
    ),
    "fast forever": Bug("fast without work", "work comes back", Deployment(cadence=FastForever()), faults=0),
    "a lost wake-up that nothing replaces": Bug(
        "the work never ends", "its wake-up is lost", Deployment(poll=WaitsForWakeUps), faults=0
    ),
    "no claim": Bug(_UNCLAIMED, "trains", _parts(submit=Parts(ledger=ClaimsNothing))),
    "no attempts": Bug(_TWO_OF_ATTEMPT, "preempted once", _parts(submit=Parts(ledger=CountsNoAttempts)), faults=0),
    "asks for the latest version again": Bug(
        "two attempts of one launch run different code",
        "of a job",
        _parts(submit=Parts(wandb=ForgetsVersion)),
        faults=0,
    ),
    "does not wait for the image": Bug(
        "a CustomJob without its image", "built", _parts(submit=Parts(build=WaitsForNoImage)), faults=0
    ),
    "no look-up of the closed record or of an earlier job": Bug(
        _TWO_OF_ATTEMPT,
        "request",
        _parts(submit=Parts(ledger=LooksAtNothingClosed, vertex=LooksNotFirst)),
    ),
    "no look-up by label": Bug(_TWO_OF_LAUNCH, "trains", _parts(submit=Parts(vertex=LooksNothingUp))),
    "looks up in its own region": Bug(
        _TWO_OF_LAUNCH, "finds machines elsewhere", _parts(submit=Parts(vertex=LooksUpAtHome))
    ),
    "submit's lease shorter than its timeout": Bug(
        _UNCLAIMED, "trains", Deployment(submit_timings=submit.SubmitTimings(lease=_SHORT))
    ),
    "no budget check": Bug(_UNCLAIMED, "trains", Deployment(budget=IgnoresBudget)),
    "lease before rendering": Bug(
        _UNCLAIMED,
        "rendering takes half an hour",
        Deployment(budget=BeginsLate, parts={"submit": Parts(ledger=LeasesBeforeRendering)}),
        faults=0,
    ),
    "one look-up only": Bug(_TWO_OF_LAUNCH, "create without an answer", _parts(submit=Parts(ledger=LooksOnce))),
    "no look-up before a request's first create": Bug(
        _TWO_OF_ATTEMPT,
        "request whose record is deleted",
        _parts(submit=Parts(vertex=LooksNotFirst)),
        faults=0,
    ),
    "functions use their own clocks": Bug(
        _UNCLAIMED,
        "trains",
        Deployment(own_clocks=True, clocks={"status": timedelta(minutes=30), "submit": timedelta(minutes=-30)}),
    ),
    "unreadable record is left out": Bug(
        "more launches are open than max_jobs", "one at a time", _parts(poll=Parts(ledger=LeavesOutUnreadable))
    ),
    "warning before the decision": Bug(
        "an item waits because of another",
        "behind a refused warning",
        _parts(status=Parts(ledger=WarnsFirst)),
        faults=0,
    ),
    "stops at a poison item": Bug(
        "an item waits because of another",
        "behind a poison item",
        _parts(poll=Parts(wandb=TripsOverPoison)),
        faults=0,
    ),
    "does not wait for the error text": Bug(
        "a launch ended though only its machines were missing",
        "says late that it was taken away",
        _parts(status=Parts(vertex=WaitsForNoError)),
        faults=0,
    ),
    "takes QUEUED for PENDING": Bug(
        "a job was cancelled though it only waited for quota",
        "queued for quota",
        _parts(status=Parts(vertex=TakesQueuedForPending)),
        faults=0,
    ),
    "blind retry of create": Bug(_TWO_OF_ATTEMPT, "trains", _parts(submit=Parts(vertex=RepeatsCreate))),
    "an error taken for a refusal": Bug(
        "an item is FAILED though its run finished", "trains", _parts(submit=Parts(vertex=TakesErrorForRefusal))
    ),
    "a key in a label": Bug("a key can be read", "trains", _parts(submit=Parts(vertex=LabelsWithKey)), faults=0),
    "a key in the log": Bug("a key can be read", "trains", _parts(submit=Parts(vertex=LogsRequest)), faults=0),
    "ignores an error of the ledger": Bug("a request was lost", "request", Deployment(submit=SwallowsErrors)),
    "closes before the report": Bug(
        "closed before its report", "never starts", _parts(status=Parts(ledger=ClosesBeforeReport)), faults=0
    ),
    "writes into what is claimed": Bug(
        "a claim was lost under its holder", "trains", _parts(status=Parts(ledger=WritesIntoClaims))
    ),
    "deletes before the close": Bug(
        "a launch is lost from the ledger", "trains", _parts(status=Parts(ledger=DeletesBeforeClose))
    ),
    "does not wait for a run that shows late": Bug(
        "an item is FAILED though its run finished",
        "shows its run late",
        Deployment(status_timings=StatusTimings(init_grace=timedelta(0))),
        faults=0,
    ),
    "takes a scheduler for a job": Bug(
        "more schedulers are open than max_schedulers",
        "two schedulers",
        _parts(poll=Parts(ledger=TakesSchedulersForJobs)),
        faults=0,
    ),
    "stops at an empty queue": Bug(
        "a function raised an error",
        "a poll that goes on asking",
        _parts(poll=Parts(wandb=TripsOverEmptyQueue)),
        faults=0,
    ),
    "fails an item without a message": Bug(
        "an item is FAILED without a message", "never starts", _parts(status=Parts(wandb=SaysNothing)), faults=0
    ),
    "leaves the sweep of a failed scheduler": Bug(
        "a sweep waits for a scheduler that has failed",
        "scheduler of a sweep",
        _parts(status=Parts(wandb=LeavesSweep)),
        faults=0,
    ),
    "does not cancel an older job": Bug(
        "an older job lives beside a newer one",
        "an older job is shown late",
        _parts(status=Parts(vertex=SeesNewestOnly)),
        faults=0,
    ),
    "takes a failed publication for events that are out": Bug(
        "the events that readers keep are not the history of the launch",
        "trains",
        _parts(status=Parts(events=TakesSilenceForTopic)),
    ),
    "writes an event by what is known later": Bug(
        "the events that readers keep are not the history of the launch",
        "trains",
        _parts(status=Parts(events=WritesLaterFacts)),
        faults=0,
    ),
    "announces what another agent has": Bug(
        "an event of a launch that is not ours", "another agent", _parts(status=Parts(ledger=AnnouncesAtOnce))
    ),
    "never cancels": Bug("the work never ends", "stopped", _parts(status=Parts(vertex=NeverCancels)), faults=0),
    "claims a cancelled launch": Bug(
        "a create of a cancelled launch",
        "cancelled before it is launched",
        _parts(submit=Parts(ledger=OverlooksWishes)),
    ),
    "forgets a cancel": Bug(
        "a cancel was lost", "cancelled while it trains", _parts(status=Parts(ledger=OverlooksWishes)), faults=0
    ),
    "overlooks a pause": Bug(
        "launched while its queue was paused", "paused", _parts(status=Parts(agents=OverlooksPauses)), faults=0
    ),
    "resumes a stopped run": Bug(
        "launched again after a stop", "stopped and then preempted", _parts(status=Parts(wandb=OverlooksStop)), faults=0
    ),
}
