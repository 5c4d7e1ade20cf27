"""What the verbs need of the outside, by role. The adapters implement these; so do the fakes in the tests."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from shared.core.budget import Budget
from shared.core.building import Recipe
from shared.core.errors import LaunchError
from shared.core.jobsource import JobSource
from shared.core.launch import Entry, Launch, RunPath
from shared.core.message import Queue
from shared.core.queueconfig import QueueConfig

Clock = Callable[[], datetime]  # the time now, aware, in UTC
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Answers(Generic[K, V]):
    """What an outside system answered about many things at once. A missing answer is not a fact.

    `found` holds the things that exist. `failed` says, for each thing that the system could not be asked about, why: it
    may or may not exist. `hidden` holds the runs that our key cannot see. Whatever is in none of them does not exist.
    """

    found: Mapping[K, V] = field(default_factory=dict)
    failed: Mapping[K, LaunchError] = field(default_factory=dict)
    hidden: frozenset[K] = frozenset()


@dataclass(frozen=True, slots=True)
class OpenLaunches:
    """A listing of the ledger. `unreadable` holds, by launch key, the records that this version cannot read, and why.

    An unreadable record counts as an open launch and holds its slot.
    """

    entries: Sequence[Entry] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)


class Ledger(Protocol):
    """The book of launches: `open/<key>` while something is owed, `closed/<key>` afterwards.

    Every method raises Retry where the bucket cannot be reached and Denied where it may not be.
    """

    def now(self) -> datetime:
        """Return the time by the bucket's own clock, aware, in UTC: one clock for all functions."""

    def read(self, key: str) -> Launch | None:
        """Return the open launch, or None. Raises Retry for a record that this version cannot read."""

    def read_closed(self, key: str) -> Launch | None:
        """Return the closed launch, or None. Raises Retry for a record that this version cannot read."""

    def write(self, launch: Launch) -> Launch:
        """Write unless somebody has written since `launch` was read; return it as written.

        Generation 0 says that nothing was there.

        Raises:
            Conflict: where somebody has.
        """

    def is_closed(self, key: str) -> bool:
        """Tell whether this launch was closed before."""

    def close(self, launch: Launch) -> None:
        """Write `closed/<key>`, then delete `open/<key>` unless somebody has written it since. Safe to repeat."""

    def withdraw(self, key: str, generation: int = 0) -> None:
        """Delete `open/<key>`: it was never ours to launch, or a late duplicate of a closed one.

        With the generation that was read, Conflict says that somebody has written since, and nothing is deleted.
        """

    def list_open(self) -> OpenLaunches:
        """List all open launches from their metadata: one call per 1,000, no record is read."""


class AgentBook(Protocol):
    """Where poll keeps its W&B agent's id, and the lease that keeps two polls from working at the same time."""

    def take(self, holder: str, now: datetime, until: datetime) -> "AgentNote | None":
        """Take the lease and return what is known of the agent; None where somebody else holds it."""

    def give_back(self, note: "AgentNote") -> None:
        """End the lease and keep what the note says."""


@dataclass(frozen=True, slots=True)
class AgentNote:
    """What poll remembers from one call to the next: the agent's id, where it is registered, and for which queues.

    A note of an older version lacks fields; its agent is then registered anew.
    """

    holder: str
    agent_id: str = ""
    base_url: str = ""  # of the W&B that knows this agent
    entity: str = ""
    queues: tuple[str, ...] = ()  # as the settings name them
    missing: tuple[
        str, ...
    ] = ()  # those of them that W&B did not have when the agent was registered
    failures: int = 0  # calls in a row in which W&B did not confirm this agent
    stopped: bool = False  # `python -m deploy agent stop`: nothing is popped
    polled_at: datetime | None = None  # the last call of poll
    why_not: str = ""  # why that call popped nothing
    lease_until: datetime | None = None
    generation: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class QueueItem:
    """An item popped off a W&B queue: leased to us for about a minute.

    `problem` says, to its author, why the run spec cannot be read; then `run_spec` is empty.
    """

    id: str
    run_spec: dict[str, Any] = field(
        repr=False
    )  # can hold a key, as can whatever is rendered from it
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ItemStatus:
    """What W&B shows of a queue item. `run_name` is the run that its acker announced, empty before an ack."""

    state: str
    run_name: str


class RunQueue(Protocol):
    """W&B's run queues, as poll sees them. Raises Retry, Denied, OutcomeUnknown, SettingsError."""

    def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
        """Lease the next item; an empty `agent_id` names no agent, which W&B allows."""

    def ack(self, item_id: str, run_id: str) -> bool:
        """Accept an item; False where its lease ended or somebody (perhaps we ourselves) acked it before."""

    def item_statuses(self, items: Sequence[tuple[Queue, str]]) -> Answers[str, ItemStatus]:
        """Return what W&B shows of these items, by id, a hundred at a query. Never raises: see Answers.failed."""

    def known_queues(self, entity: str) -> frozenset[str]:
        """Return the names of the run queues of an entity that our key can see."""

    def register(self, entity: str, queues: Sequence[str], config: Mapping[str, Any]) -> str:
        """Register an agent for these queues and return its id. Reject names queues that do not exist."""

    def heartbeat(self, agent_id: str, *, running: bool) -> bool | None:
        """Show the agent as active, and return whether W&B asks it to stop polling.

        None means that W&B does not know this agent: it answers null, 404 or errors.
        """


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run in W&B: its state (pending, running, finished, failed, crashed, …) and whether stop was pressed."""

    state: str
    stopped: bool

    @property
    def started(self) -> bool:
        """Tell whether somebody called wandb.init: a run made in advance, as a sweep does, is pending until then."""
        return self.state != "pending"

    @property
    def ended(self) -> bool:
        """Tell whether W&B itself shows the run as over."""
        return self.state in {"finished", "failed", "crashed", "killed", "preempted"}


class RunTracker(Protocol):
    """W&B's runs, items and sweeps, as status sees them. Raises Retry, Denied, SettingsError."""

    def run_statuses(self, runs: Sequence[RunPath]) -> Answers[RunPath, RunStatus]:
        """Return what W&B shows of these runs, a hundred at a query. Never raises: see Answers.failed and hidden."""

    def item_statuses(self, items: Sequence[tuple[Queue, str]]) -> Answers[str, ItemStatus]:
        """Return what W&B shows of these items, by id, a hundred at a query. Never raises: see Answers.failed."""

    def fail_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Show the item as FAILED; safe to repeat. An item that is gone or FAILED counts as reported.

        Reject: W&B has the item and does not take the report.
        """

    def warn_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Show this warning at the item; safe to repeat. An item that is gone or FAILED needs no warning."""

    def cancel_sweep(self, sweep: RunPath) -> None:
        """End a sweep whose scheduler has failed; safe to repeat, and one that is over is left as it is.

        Reject: the key may not do that.
        """


class Publisher(Protocol):
    """The topic."""

    def publish(self, keys: Iterable[str]) -> None:
        """Publish a ticket for each of these launches and wait until all are accepted. Raises Retry, Denied."""


@dataclass(frozen=True, slots=True)
class CustomJobCall:
    """The arguments of one CustomJob: `CustomJob(**constructor)`, then `.submit(**submit)`.

    `recipe` is what its image is built of, where it is one of ours.
    """

    project: str
    location: str
    constructor: Mapping[str, Any] = field(repr=False)
    submit: Mapping[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = ()
    recipe: Recipe | None = None

    @property
    def parent(self) -> str:
        """Return where the job will be, as a resource name."""
        return f"projects/{self.project}/locations/{self.location}"


class JobArtifacts(Protocol):
    """W&B's jobs, as submit sees them. Raises Retry, Denied."""

    def resolve(self, path: str) -> JobSource:
        """Return what the job entity/project/name:alias is now, under the name of its version.

        Raises:
            Reject: there is no such job that this deployment's key may see, or it cannot be launched.
        """


class QueueConfigs(Protocol):
    """The configurations of W&B's run queues, as submit sees them. Raises Retry, Denied."""

    def config_of(self, queue: Queue) -> QueueConfig | None:
        """Return what a queue gives to its items; None where there is none. Reject: the key may not see it."""


class Sweeps(Protocol):
    """W&B's sweeps, as submit sees them. Raises Retry, Denied."""

    def state_of(self, entity: str, project: str, sweep: str) -> str:
        """Return a sweep's state (RUNNING, PAUSED, …), empty where there is none. Reject: the key may not see it."""


@dataclass(frozen=True, slots=True)
class FoundJob:
    """A CustomJob that was found by its labels; `attempt` is the label of that name."""

    name: str
    attempt: int


class Compute(Protocol):
    """Vertex AI, as submit sees it."""

    def create(self, call: CustomJobCall, budget: Budget) -> str:
        """Create the CustomJob and return its resource name; asks the budget immediately before it sends anything.

        Raises:
            OutOfTime: nothing was sent.
            Reject, Capacity, Denied, Retry: Vertex's definite answer, or nothing was sent; nothing was created.
            OutcomeUnknown: whatever else happened; there may be a job.
        """

    def find(self, parent: str, labels: Mapping[str, str]) -> FoundJob | None:
        """Return the newest job with all these labels, or None. Raises Retry, Denied, Reject (a malformed parent)."""


@dataclass(frozen=True, slots=True)
class Job:
    """A CustomJob; `key` and `attempt` are its labels, `max_wait` how long it was told that it may be pending.

    `started_at` is when it first ran: one whose machines were taken away may be pending once more. `secrets` are the
    values of its variables that nobody should read.
    """

    name: str
    key: str
    attempt: int
    state: str
    created_at: datetime
    ended_at: datetime | None = None
    error: str = ""
    max_wait: timedelta = timedelta(0)
    started_at: datetime | None = None
    updated_at: datetime | None = None
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


class Jobs(Protocol):
    """Vertex AI, as status sees it. Raises Retry, Denied."""

    def list_jobs(self, parent: str, created_since: datetime | None = None) -> Iterator[Job]:
        """Yield our jobs of a region that have not ended; with a time, all that were created since. 100 a call."""

    def get_job(self, name: str) -> Job | None:
        """Return one job, None where it was deleted."""

    def cancel_job(self, name: str) -> None:
        """Ask for a job to be cancelled; safe to repeat, and a job that has ended is left as it is."""


class JobLogs(Protocol):
    """What jobs and builds print, as Cloud Logging keeps it. Never raises: an excerpt is a courtesy."""

    def tail(self, job_name: str, since: datetime) -> str:
        """Return the last lines that a job has printed since; empty where there are none, or they cannot be read."""

    def tail_of_build(self, build_name: str, since: datetime) -> str:
        """Return the last lines of a build's log since; empty where there are none, or they cannot be read."""
