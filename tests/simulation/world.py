"""Everything outside the three functions as one state: W&B, Vertex AI, the bucket, the topic, and what time brings."""

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.core.intake import from_item, from_request
from shared.core.jobstate import phase_of
from shared.core.launch import Event as LaunchEvent
from shared.core.launch import Launch, RunPath, State, Wish
from shared.core.message import Queue, Request, Ticket
from shared.core.pause import Pause
from shared.core.ports import AgentNote
from shared.core.scheduler import SCHEDULER_URI
from tests.simulation.bucket import Bucket
from tests.simulation.builder import TAKES, Builder
from tests.simulation.scripts import SCRIPTS, Step
from tests.simulation.vertex import Vertex
from tests.simulation.wandb import Item, Wandb, key_of
from tests.unit.specs import run_spec

START = datetime(2026, 1, 1, tzinfo=UTC)
OF_CODE: Mapping[str, Any] = {"docker": {}, "job": "team/cats/code:latest"}  # which an image is built of
OF_JOB: Mapping[str, Any] = {"docker": {}, "job": "team/cats/train:latest"}  # instead of an image
QUEUE, OTHER_QUEUE = Queue(entity="team", name="vertex"), Queue(entity="team", name="other")
EVERY = timedelta(minutes=1)  # Cloud Scheduler calls poll and status
ERROR_COMES = timedelta(minutes=1)  # after the state of its job
CANCELLING = timedelta(seconds=20)
API_KEY = "this-is-the-deployments-own-api-key-0001"
OWN_KEY = "this-is-the-key-of-an-items-author-00002"


@dataclass(frozen=True, slots=True)
class Tick:
    """Cloud Scheduler calls a function, and will again."""

    verb: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """Pub/Sub delivers a message, for the nth time."""

    message: Ticket | Request = field(repr=False)
    key: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class WakeUp:
    """Pub/Sub calls poll because status has rung, for the nth time."""

    times: int = 1


@dataclass(frozen=True, slots=True)
class Happening:
    """Something else that happens in its time; `what` tells it from others."""

    what: str
    happen: Callable[["World"], object] = field(repr=False, compare=False)


Event = Tick | Delivery | WakeUp | Happening


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """When an event is due; of several at the same time, the one that was planned first."""

    at: datetime
    number: int
    event: Event = field(compare=False)


@dataclass
class World:
    """All that the functions can see or have done. Its parts hold values that never change, so a fork is cheap."""

    now: datetime = START
    wandb: Wandb = field(default_factory=Wandb)
    vertex: Vertex = field(default_factory=Vertex)
    bucket: Bucket[Launch | AgentNote] = field(default_factory=Bucket)
    builder: Builder = field(default_factory=Builder)
    agenda: list[Due] = field(default_factory=list)
    requests: dict[str, Request] = field(default_factory=dict)  # by launch key
    scripts: dict[str, str] = field(default_factory=dict)  # by launch key
    stopped_at: dict[str, datetime] = field(default_factory=dict)  # by launch key
    paused_at: datetime | None = None  # since when the queues are paused with the command
    cancelled: frozenset[str] = frozenset()  # launch keys that a person has cancelled with the command
    dead_letters: tuple[str, ...] = ()
    wrongs: tuple[str, ...] = ()  # jobs that were cancelled while they only waited for quota
    leaks: tuple[str, ...] = ()
    worked_at: datetime = START  # when something last happened that keeps a deployment warm
    odd: bool = False  # the answer to the call under way shows a fault  # where a key was seen
    planned: int = 0
    announced: tuple[tuple[str, LaunchEvent], ...] = ()  # events with their ids, as the topic got them
    kept: dict[str, frozenset[LaunchEvent]] = field(default_factory=dict)  # the same, once each, by launch
    forgotten: frozenset[str] = frozenset()  # keys of launches whose records somebody deleted

    def fork(self) -> "World":
        """Return a world of its own that is in the same state."""
        return World(
            self.now,
            self.wandb.fork(),
            self.vertex.fork(),
            self.bucket.fork(),
            self.builder.fork(),
            list(self.agenda),
            dict(self.requests),
            dict(self.scripts),
            dict(self.stopped_at),
            self.paused_at,
            self.cancelled,
            self.dead_letters,
            self.wrongs,
            self.leaks,
            self.worked_at,
            False,
            self.planned,
            self.announced,
            dict(self.kept),
            self.forgotten,
        )

    def announce(self, name: str, event: LaunchEvent) -> None:
        """Let the topic have an event, perhaps again."""
        self.announced += ((name, event),)
        key = name.partition("/")[0]
        self.kept[key] = self.kept.get(key, frozenset()) | {event}

    def plan(self, after: timedelta, event: Event) -> None:
        """Let something happen later."""
        self.planned += 1
        heapq.heappush(self.agenda, Due(self.now + after, self.planned, event))

    def next(self) -> Event:
        """Let time pass until the next event."""
        due = heapq.heappop(self.agenda)
        self.now = max(self.now, due.at)
        return due.event

    def search_for_keys(self, where: str, text: str) -> None:
        """Note where a key can be read that must not be."""
        if API_KEY in text or OWN_KEY in text:
            self.leaks += (where,)

    # what people and other systems do

    def enqueue(
        self, item_id: str, script: str, changes: Mapping[str, Any] | None = None, queue: Queue = QUEUE
    ) -> None:
        """Put an item on a queue, with changes to its run spec."""
        own = {"_wandb_api_key": OWN_KEY} if len(self.wandb.items) % 2 else {}  # every other author brings a key
        item = Item(item_id, queue, run_spec(**own, **(changes or {})), script)
        self.wandb.items[item_id] = item
        self.scripts[item.key] = script

    def enqueue_poison(self, item_id: str, problem: str = "is nested 5,000 levels deep") -> None:
        """Put an item on the queue whose run spec nobody can read."""
        item = Item(item_id, QUEUE, {}, "trains", problem=problem)
        self.wandb.items[item_id] = item
        self.scripts[item.key] = item.script

    def hide(self, item_id: str) -> None:
        """Let our key see nothing of an item's run, whose project is restricted."""
        self.wandb.hidden |= {self.run_of(key_of(item_id))}

    def enqueue_scheduler(self, item_id: str, script: str) -> None:
        """Put the scheduler of a sweep on the queue, as `wandb launch-sweep` does; the sweep has the item's name."""
        command = {"entry_point": ["wandb", "scheduler", item_id], "args": ["--queue", "vertex"]}
        kind = {"uri": SCHEDULER_URI, "resource": "local-process", "resource_args": {}, "docker": {}}
        self.wandb.sweeps[item_id] = "RUNNING"
        self.enqueue(item_id, script, {**kind, "run_id": item_id, "overrides": command})

    def request(self, name: str, script: str, queue: Queue | None = None) -> None:
        """Let another system publish a request; on a queue's behalf it leaves the queue's configuration out."""
        spec = run_spec(_wandb_api_key=OWN_KEY, **({"resource_args": {}} if queue else {}))
        request = Request(source="pipeline", idempotency_key=name, run_spec=spec, queue=queue)
        self.requests[request.launch_key] = request
        self.scripts[request.launch_key] = script
        self.plan(timedelta(seconds=1), Delivery(request, request.launch_key))

    def forget_request(self) -> None:
        """Delete all records of requests by hand, closed ones too, and let their publishers repeat them."""
        self.forgotten |= frozenset(self.requests)
        self.cancelled -= self.requests.keys()
        for key, request in self.requests.items():
            self.bucket.delete(f"open/{key}")
            self.bucket.delete(f"closed/{key}")
            self.plan(timedelta(seconds=1), Delivery(request, key))

    def publish(self, key: str, after: timedelta = timedelta(seconds=1)) -> None:
        """Take a ticket and deliver it."""
        self.search_for_keys("a ticket", key)
        self.plan(after, Delivery(Ticket(launch_key=key), key))

    def ring(self, after: timedelta = timedelta(seconds=1), times: int = 1) -> None:
        """Take a wake-up and deliver it."""
        self.plan(after, WakeUp(times))

    def stop(self, item_id: str) -> None:
        """Press stop in W&B, where there is a run to press it on."""
        run = self.run_of(key_of(item_id))
        if run in self.wandb.runs and not self.wandb.runs[run].ended:
            self.wandb.stop(run)
            self.stopped_at.setdefault(key_of(item_id), self.now)

    def prepare_run(self, item_id: str) -> None:
        """Make an item's run in advance, as a sweep does."""
        self.wandb.show(self.run_of(key_of(item_id)), "pending")

    def remove(self, item_id: str) -> None:
        """Take an item off its queue, as its author may."""
        item = self.wandb.items.get(item_id)
        if item and item.state != "FAILED":
            self.wandb.remove(item_id)

    def compete(self, item_id: str) -> None:
        """Let another agent on the same queue pop this item, if it waits, and ack it two seconds later."""
        item = self.wandb.items.get(item_id)
        if item and item.state == "PENDING" and self.wandb.pop(item.queue, self.now):
            acks = Happening(f"another agent acks {item_id}", lambda w: w.wandb.ack(item_id, "theirs", w.now, "them"))
            self.plan(timedelta(seconds=2), acks)

    def take(self) -> None:
        """Let the leases of all items end, and another agent pop and ack them."""
        self.wandb.end_leases()
        for item in [item for item in self.wandb.items.values() if item.state == "PENDING"]:
            self.wandb.pop(item.queue, self.now)
            self.wandb.ack(item.id, "theirs", self.now, "them")

    def delete_job(self, item_id: str) -> None:
        """Delete the living job of an item in Google's console."""
        for job in self.vertex.alive(key_of(item_id)):
            self.vertex.delete(job.name, self.now)
            run = self.run_of(job.key)
            if run in self.wandb.runs and self.wandb.runs[run].started:
                self.wandb.show(run, "crashed")

    def cancel_all(self) -> None:
        """Cancel every launch, as the command does: by compare-and-swap, and never in a claim."""
        for name, (generation, content) in list(self.bucket.objects.items()):
            if not (name.startswith("open/") and isinstance(content, Launch)):
                continue
            if content.entry.state is not State.ENDED and not content.entry.claimed(self.now):
                self.bucket.write(name, content.asked(Wish("cancel", "ana", self.now)), generation)
                self.cancelled |= {content.key}

    def pause(self) -> None:
        """Pause all queues with the command, beside a poll at work, for ten minutes."""
        self._write_note((Pause("", "ana", self.now),))
        self.paused_at = self.now
        self.plan(timedelta(minutes=10), Happening("the queues go on", World.resume))

    def resume(self) -> None:
        """Let all queues go on."""
        self._write_note(())
        self.paused_at = None

    def _write_note(self, paused: tuple[Pause, ...]) -> None:
        name = "agents/vertex-launch.json"
        generation, content = self.bucket.objects.get(name, (0, AgentNote("")))
        if isinstance(content, AgentNote):
            self.bucket.write(name, replace(content, paused=paused), generation)

    def stop_all(self) -> None:
        """Press stop on every run that there is."""
        for item in list(self.wandb.everything()):
            self.stop(item.id)

    def remove_all(self) -> None:
        """Take every item off its queue."""
        for item_id in list(self.wandb.items):
            self.remove(item_id)

    def delete_all(self) -> None:
        """Delete every living job."""
        for item_id in list(self.wandb.items):
            self.delete_job(item_id)

    # what Vertex AI does with a job

    def create(self, call: Any) -> str:
        """Create a job, and let its script begin."""
        for name, value in call.constructor["labels"].items():
            self.search_for_keys("a label", f"{name}={value}")
        job = self.vertex.create(call, self.now)
        for step in SCRIPTS[self.scripts[job.key]](job.attempt):
            self.plan(step.after, Happening(f"{job.name} {step}", _progress(job.name, step)))
        return job.name

    def printed(self, name: str) -> str:
        """Return the end of a job's log: with the keys of its environment, and ours."""
        return "\n".join(
            ("logged in with", *sorted(self.vertex.jobs[name].secrets), "or was it", API_KEY, "and then it failed")
        )

    def build(self, image: str) -> str:
        """Begin a build, which ends in its time."""
        name = self.builder.begin(image)
        self.plan(TAKES, Happening(f"{name} ends", lambda world: world.builder.end(name)))
        return name

    def cancel(self, name: str) -> None:
        """Begin to cancel a job."""
        if name in self.vertex.jobs and name not in self.vertex.deleted:
            job = self.vertex.jobs[name]
            if not phase_of(job.state).ended and job.state != "JOB_STATE_CANCELLING":
                if job.state == "JOB_STATE_QUEUED" and job.key not in {*self.stopped_at, *self.cancelled}:
                    self.wrongs += (job.name,)
                self.vertex.put(name, "JOB_STATE_CANCELLING", self.now)
                end = Step(CANCELLING, "JOB_STATE_CANCELLED", "killed")
                self.plan(CANCELLING, Happening(f"{name} is cancelled", _progress(name, end)))

    def run_of(self, key: str) -> RunPath:
        """Return the run that a launch should be."""
        request = self.requests.get(key)
        if request:
            return from_request(request, self.now).entry.run
        item = next(item for item in self.wandb.everything() if item.key == key)
        return from_item(item.id, item.queue, item.run_spec, self.now).entry.run

    @property
    def busy(self) -> bool:
        """Tell whether anything but a tick is planned."""
        return any(not isinstance(due.event, Tick) for due in self.agenda)

    def launches(self, folder: str) -> Iterator[Launch]:
        """Yield the launches that are `open` or `closed`."""
        for name, (_, content) in self.bucket.objects.items():
            if name.startswith(f"{folder}/") and isinstance(content, Launch):
                yield content


def _progress(name: str, step: Step) -> Callable[[World], None]:
    """Return one step of a job's script; nothing of a job that was cancelled, or is being so, goes on."""

    def happen(world: World) -> None:
        job = world.vertex.jobs[name]
        cancelling = job.state == "JOB_STATE_CANCELLING" and step.state != "JOB_STATE_CANCELLED"
        if job.state == "JOB_STATE_CANCELLED" or cancelling:
            return
        run = RunPath(*_path(world, job.key), world.vertex.run_ids[name])
        if step.run and (run in world.wandb.runs or step.run == "running"):
            world.wandb.show(run, step.run)
        if step.state:
            world.vertex.put(name, step.state, world.now, "" if step.late else step.error)
            if step.late:
                says = Happening(f"{name} says why", lambda w: w.vertex.say(name, step.error))
                world.plan(ERROR_COMES, says)

    return happen


def _path(world: World, key: str) -> tuple[str, str]:
    run = world.run_of(key)
    return run.entity, run.project
