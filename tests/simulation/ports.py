"""The ports of one invocation, over the simulation's world: every request that the adapters would send is one call."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from shared.core.announcement import announcement
from shared.core.budget import Budget
from shared.core.building import Build, Ensured, Recipe
from shared.core.errors import Conflict, KeyRefused, LaunchError, Retry
from shared.core.jobsource import JobSource, Kind
from shared.core.launch import Event, Launch, RunPath
from shared.core.message import Queue
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
from shared.core.queueconfig import QueueConfig
from tests.simulation.processes import Call, Cross
from tests.simulation.world import OTHER_QUEUE, QUEUE, World
from tests.unit.specs import run_spec

K = TypeVar("K")
V = TypeVar("V")


class Ledger:
    """Implements Ledger, request by request: a close is two of them, a listing one per page."""

    def __init__(self, cross: Cross, clock: Clock) -> None:
        self.cross, self.clock = cross, clock

    def read(self, key: str) -> Launch | None:
        """Return the open launch, or None."""

        def effect(world: World) -> tuple[int, Launch] | None:
            found: Any = world.bucket.read(f"open/{key}")
            if found and world.odd:
                raise Retry(f"open/{key}: a newer version has written it")
            return found  # type: ignore[no-any-return]

        found = self.cross(Call("ledger", "ledger.read", f"open/{key}", effect))
        return replace(found[1], generation=found[0]) if found else None

    def write(self, launch: Launch) -> Launch:
        """Write by compare-and-swap; raises Conflict."""
        return replace(launch, generation=self._write("open", launch, launch.generation))

    def is_closed(self, key: str) -> bool:
        """Tell whether this launch was closed before."""
        name = f"closed/{key}"
        return bool(self.cross(Call("ledger", "ledger.read", name, lambda w: w.bucket.read(name) is not None)))

    def close(self, launch: Launch) -> None:
        """Write `closed/<key>`, then delete `open/<key>`."""
        self.write_closed(launch)
        self.withdraw(launch.key)

    def write_closed(self, launch: Launch) -> None:
        """Write `closed/<key>`, unless it is there."""
        try:
            self._write("closed", launch, 0)
        except Conflict:
            return

    def withdraw(self, key: str, generation: int = 0) -> None:
        """Delete `open/<key>`, of any generation: the worse server heeds none."""
        name = f"open/{key}"
        self.cross(Call("ledger", "ledger.delete", name, lambda w: w.bucket.delete(name), changes=True))

    def now(self) -> datetime:
        """Return the time by the bucket's clock."""
        return self.clock()

    def read_closed(self, key: str) -> Launch | None:
        """Return the closed launch, or None."""
        found = self.cross(Call("ledger", "ledger.read", f"closed/{key}", lambda w: w.bucket.read(f"closed/{key}")))
        return replace(found[1], generation=found[0]) if found else None

    def list_open(self) -> OpenLaunches:
        """List all open launches, page by page."""
        pages = list(self.pages())
        unreadable = {key: "a newer version has written it" for page in pages for key in page.unreadable}
        return OpenLaunches([entry for page in pages for entry in page.entries], unreadable)

    def pages(self) -> Iterator[OpenLaunches]:
        """Yield a listing's pages."""
        after = ""
        while True:
            page, after = self._page(after)
            yield page
            if not after:
                return

    def _page(self, after: str) -> tuple[OpenLaunches, str]:
        def effect(world: World) -> tuple[OpenLaunches, str]:
            launches, on = world.bucket.page("open/", after)
            entries = [launch.entry for launch in launches if isinstance(launch, Launch)]
            hidden = [entry.key for entry in entries[:1] if world.odd]
            return OpenLaunches(entries[len(hidden) :], dict.fromkeys(hidden, "newer")), on

        page: tuple[OpenLaunches, str] = self.cross(Call("ledger", "ledger.list", after, effect))
        return page

    def _write(self, folder: str, launch: Launch, generation: int) -> int:
        name = f"{folder}/{launch.key}"

        def effect(world: World) -> int:
            world.search_for_keys(
                f"the log of a launch, {name}", f"{launch.entry.notice} {launch.reason} {launch.history}"
            )
            return world.bucket.write(name, launch, generation)

        about = f"{name} as {launch.entry.state}"
        return int(self.cross(Call("ledger", "ledger.write", about, effect, changes=True)))


class Agents:
    """Implements AgentBook."""

    NAME = "agents/vertex-launch.json"

    def __init__(self, cross: Cross) -> None:
        self.cross = cross

    def read(self) -> AgentNote | None:
        """Return the note."""
        found = self.cross(Call("ledger", "ledger.read", self.NAME, lambda w: w.bucket.read(self.NAME)))
        return replace(found[1], generation=found[0]) if found else None

    def write(self, note: AgentNote) -> AgentNote:
        """Write the note by compare-and-swap; raises Conflict."""
        about = f"{self.NAME} {'held' if note.lease_until else 'free'}"
        generation = self.cross(
            Call(
                "ledger",
                "ledger.write",
                about,
                lambda w: w.bucket.write(self.NAME, note, note.generation),
                changes=True,
            )
        )
        return replace(note, generation=generation)


class Wandb:
    """Implements RunQueue, RunTracker, JobArtifacts, QueueConfigs and Sweeps."""

    def __init__(self, cross: Cross) -> None:
        self.cross = cross

    def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
        """Lease the next item."""
        call = Call("wandb", "wandb.pop", queue.name, lambda w: w.wandb.pop(queue, w.now), changes=True, once=True)
        item: QueueItem | None = self.cross(call)
        return item

    def ack(self, item_id: str, run_id: str) -> bool:
        """Accept an item."""
        about = f"{item_id} as {run_id}"
        return bool(
            self.cross(
                Call(
                    "wandb", "wandb.ack", about, lambda w: w.wandb.ack(item_id, run_id, w.now), changes=True, once=True
                )
            )
        )

    def item_statuses(self, items: Sequence[tuple[Queue, str]]) -> Answers[str, ItemStatus]:
        """Return those of these items that exist; asks nothing where there are none."""
        ids = [item_id for _, item_id in items]
        if not ids:
            return Answers()

        def effect(world: World) -> Answers[str, ItemStatus]:
            return _answers(ids, world.wandb.item_statuses(ids, world.now), world)

        try:
            answers: Answers[str, ItemStatus] = self.cross(Call("wandb", "wandb.items", " ".join(ids), effect))
        except LaunchError as exc:
            return Answers(failed=dict.fromkeys(ids, exc))
        return answers

    def known_queues(self, entity: str) -> frozenset[str]:
        """Return the names of the queues; all of this world's."""
        self.cross(Call("wandb", "wandb.queues", entity, lambda _: None))
        return frozenset((QUEUE.name, OTHER_QUEUE.name))

    def count_waiting(self, queue: Queue) -> int | None:
        """Count the items that wait."""

        def effect(world: World) -> int:
            items = world.wandb.items.values()
            return len([item for item in items if item.queue == queue and item.state == "PENDING"])

        return int(self.cross(Call("wandb", "wandb.waiting", queue.name, effect)))

    def register(self, entity: str, queues: Sequence[str], config: Mapping[str, Any]) -> str:
        """Register an agent."""
        self.cross(Call("wandb", "wandb.queues", entity, lambda _: None))
        call = Call("wandb", "wandb.register", entity, lambda w: w.wandb.register(), changes=True, once=True)
        return str(self.cross(call))

    def heartbeat(self, agent_id: str, *, running: bool) -> bool | None:
        """Ask for the agent, then show it as active; True where W&B asks it to stop polling."""
        stops: bool | None = self.cross(Call("wandb", "wandb.agent", agent_id, lambda w: w.wandb.agent()))
        if stops is not None:
            self.cross(Call("wandb", "wandb.heartbeat", agent_id, lambda _: None))
        return stops

    def run_statuses(self, runs: Sequence[RunPath]) -> Answers[RunPath, RunStatus]:
        """Return those of these runs that exist; asks nothing where there are none."""
        if not runs:
            return Answers()
        ids = " ".join(run.run_id for run in runs)

        def effect(world: World) -> Answers[RunPath, RunStatus]:
            shown = {run: one for run, one in world.wandb.runs.items() if run not in world.wandb.hidden}
            answers = _answers(runs, shown, world)
            return replace(answers, hidden=frozenset(run for run in runs if run in world.wandb.hidden))

        try:
            answers: Answers[RunPath, RunStatus] = self.cross(Call("wandb", "wandb.runs", ids, effect))
        except LaunchError as exc:
            return Answers(failed=dict.fromkeys(runs, exc))
        return answers

    def fail_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Show the item as FAILED."""

        def effect(world: World) -> None:
            world.search_for_keys(f"the error of {item_id}", message)
            world.wandb.fail(item_id, message)

        self.cross(Call("wandb", "wandb.fail", f"{item_id}: {message}", effect, changes=True))

    def warn_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Show a warning."""

        def effect(world: World) -> None:
            world.search_for_keys(f"the warning of {item_id}", message)
            world.wandb.warn(item_id, message)

        self.cross(Call("wandb", "wandb.warn", f"{item_id}: {message}", effect, changes=True))

    def cancel_sweep(self, sweep: RunPath) -> None:
        """End a sweep."""
        self.cross(
            Call(
                "wandb",
                "wandb.cancel_sweep",
                sweep.run_id,
                lambda w: w.wandb.sweeps.update({sweep.run_id: "CANCELED"}),
                changes=True,
            )
        )

    def check_key(self) -> None:
        """Ask whether the key is taken; only a refusal says anything."""
        try:
            self.cross(Call("wandb", "wandb.key", "", lambda _: None))
        except KeyRefused:
            raise
        except LaunchError:
            return

    def resolve(self, path: str) -> JobSource:
        """Return the version of a job that its alias means now: each time a newer one."""
        version = str(self.cross(Call("wandb", "wandb.job", path, lambda w: w.wandb.version_of(path))))
        name = version.rpartition("/")[2]
        if not name.startswith("code:"):
            return JobSource(version, Kind.IMAGE, image=f"us-docker.pkg.dev/p/r/{name}")
        source = f"team/cats/source:{name[5:]}"
        return JobSource(version, Kind.ARTIFACT, ("python", "train.py"), "", "python:3.12", source, digest=name)

    def config_of(self, queue: Queue) -> QueueConfig | None:
        """Return what a queue gives, to those that do not bring it along."""
        given = {"resource_args": run_spec()["resource_args"]}
        self.cross(Call("wandb", "wandb.config", queue.name, lambda _: None))
        return QueueConfig("q1", "PROJECT", "gcp-vertex", given)

    def state_of(self, entity: str, project: str, sweep: str) -> str:
        """Return a sweep's state."""
        return str(self.cross(Call("wandb", "wandb.sweep", sweep, lambda w: w.wandb.sweeps.get(sweep, ""))))


def _answers(asked: Sequence[K], there: Mapping[K, V], world: World) -> Answers[K, V]:
    """Answer about those that exist; an odd world refuses to answer about the first one."""
    refused = set(asked[:1]) if world.odd else set()
    found = {one: there[one] for one in asked if one in there and one not in refused}
    return Answers(found, failed={one: Retry(f"W&B does not answer about {one}") for one in refused})


class Vertex:
    """Implements Compute and Jobs."""

    def __init__(self, cross: Cross) -> None:
        self.cross = cross

    def create(self, call: CustomJobCall, budget: Budget) -> str:
        """Create the job."""
        budget.require("the create call")
        labels = call.constructor["labels"]
        about = f"{labels['launch_key']} attempt {labels['launch_attempt']}"
        return str(
            self.cross(Call("vertex", "vertex.create", about, lambda w: w.create(call), changes=True, once=True))
        )

    def find(self, parent: str, labels: Mapping[str, str]) -> FoundJob | None:
        """Find a job by its labels."""
        about = f"{labels['launch_key']} attempt {labels.get('launch_attempt', 'any')}"
        found: FoundJob | None = self.cross(
            Call("vertex", "vertex.find", about, lambda w: w.vertex.find(parent, labels, w.now))
        )
        return found

    def list_jobs(self, parent: str, span: Span | None = None) -> Iterator[Job]:
        """Yield jobs page by page; a world has too few for spans."""
        assert span is None
        start = 0
        while True:
            jobs, start = self._page(parent, start)
            yield from jobs
            if not start:
                return

    def _page(self, parent: str, start: int) -> tuple[list[Job], int]:
        page: tuple[list[Job], int] = self.cross(
            Call("vertex", "vertex.list", f"from {start}", lambda w: w.vertex.page(parent, start, w.now))
        )
        return page

    def get_job(self, name: str) -> Job | None:
        """Return one job."""
        job: Job | None = self.cross(Call("vertex", "vertex.get", name, lambda w: w.vertex.get(name)))
        return job

    def cancel_job(self, name: str) -> None:
        """Ask for a job to be cancelled."""
        self.cross(Call("vertex", "vertex.cancel", name, lambda w: w.cancel(name), changes=True))


class CloudBuild:
    """Implements Images and Builds."""

    def __init__(self, cross: Cross) -> None:
        self.cross = cross

    def ensure(self, recipe: Recipe, budget: Budget) -> Ensured:
        """Look for a build of this image, then for the image, and begin a build where there is neither."""
        image = recipe.image
        under_way = str(self.cross(Call("build", "build.list", image, lambda w: w.builder.under_way(image))))
        if under_way:
            return Ensured(build=under_way)
        if self.cross(Call("build", "build.image", image, lambda w: image in w.builder.images)):
            return Ensured(image=image)
        budget.require("the beginning of a build")
        begun = self.cross(Call("build", "build.create", image, lambda w: w.build(image), changes=True))
        return Ensured(build=str(begun))

    def get_build(self, name: str) -> Build:
        """Return what has become of a build."""
        build: Build = self.cross(Call("build", "build.get", name, lambda w: w.builder.builds[name]))
        return build


class Logs:
    """Implements JobLogs: what a job printed, its keys among it; empty where it cannot be read."""

    def __init__(self, cross: Cross) -> None:
        self.cross = cross

    def tail(self, job_name: str, since: datetime) -> str:
        """Return the last lines."""
        try:
            return str(self.cross(Call("logging", "logging.tail", job_name, lambda w: w.printed(job_name))))
        except LaunchError:
            return ""

    def tail_of_build(self, build_name: str, since: datetime) -> str:
        """Return nothing: a build of the simulation prints nothing."""
        return ""


class Topic:
    """Implements Publisher and WakeUps: a message is a call."""

    def __init__(self, cross: Cross) -> None:
        self.cross = cross

    def publish(self, keys: Iterable[str]) -> None:
        """Publish tickets."""
        for key in keys:
            self.publish_one(key)

    def publish_one(self, key: str) -> None:
        """Publish one ticket."""
        self.cross(Call("topic", "topic.publish", key, lambda w: w.publish(key), changes=True))

    def ring(self) -> None:
        """Publish one wake-up."""
        self.cross(Call("topic", "topic.ring", "poll", lambda w: w.ring(), changes=True))


class Events:
    """Implements EventTopic: a batch is a call."""

    def __init__(self, cross: Cross) -> None:
        self.cross = cross

    def announce(self, happened: Sequence[tuple[Launch, Event]]) -> None:
        """Publish events."""
        made = tuple(announcement(launch, event, "/simulation") for launch, event in happened)
        ids = tuple(each.attributes["ce-id"] for each in made)

        def effect(world: World) -> None:
            for each in made:
                world.search_for_keys("an event", each.data.decode())
            for name, (_, event) in zip(ids, happened, strict=True):
                world.announce(name, event)

        self.cross(Call("events", "events.announce", " ".join(ids), effect, changes=True))
