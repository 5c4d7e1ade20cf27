"""The three functions as they are deployed into the simulation: the real verbs, on ports that a test can spoil."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from functions.poll import drain
from functions.status.decisions import StatusTimings
from functions.status.reconcile import Status
from functions.status.watch import Watch
from functions.submit import submit as launch
from shared.config.ladder import Ladder, Region
from shared.config.requests import RequestLimits
from shared.core.budget import Budget
from shared.core.cadence import Cadence, Intervals, Mode
from shared.core.message import Queue
from shared.core.ports import Clock
from shared.runspec.prepare import Preparation
from shared.runspec.render import DeploymentDefaults, job_labels
from shared.runspec.scheduler import SchedulerDefaults
from tests.fakes import InMemoryPaceBook
from tests.simulation.ports import Agents, CloudBuild, Events, Ledger, Logs, Topic, Vertex, Wandb
from tests.simulation.processes import Call, Cross, nothing
from tests.simulation.world import API_KEY, QUEUE, Delivery
from tests.unit.specs import NAMES

BUILT = "us-docker.pkg.dev/p/r/built"
SITE = DeploymentDefaults("https://api.wandb.ai", API_KEY, "gcp-project", "us-central1", destination=BUILT)
LADDER = Ladder(
    regions=tuple(Region(region=name, staging_bucket="gs://other") for name in ("us-central1", "europe-west4")),
    strategies=("SPOT", "STANDARD"),
)
PARENT = "projects/gcp-project/locations/us-central1"
TIMEOUTS = {  # of the functions, as cloudbuild.yaml deploys them
    "poll": timedelta(seconds=120),
    "submit": timedelta(seconds=540),
    "status": timedelta(seconds=120),
}


BUDGETS = {"poll": 55.0, "submit": 450.0, "status": 75.0}  # seconds, as in the settings


class StepBudget(Budget):
    """A budget by the world's clock.

    An invocation can freeze before each check, not between the check and the call that follows it.
    """

    def __init__(self, cross: Cross, clock: Clock, seconds: float) -> None:
        super().__init__(seconds, lambda: clock().timestamp())
        self._cross, self.seconds, self.begun = cross, seconds, False

    def require(self, action: str, seconds: float = 0.0) -> None:
        """Check it."""
        self._cross(Call("platform", "budget", action, nothing))
        super().require(action, seconds)


@dataclass(frozen=True)
class Parts:
    """What one verb sees of the outside; a planted bug is a subclass in one of these places."""

    ledger: type[Ledger] = Ledger
    agents: type[Agents] = Agents
    wandb: type[Wandb] = Wandb
    vertex: type[Vertex] = Vertex
    topic: type[Topic] = Topic
    events: type[Events] = Events
    build: type[CloudBuild] = CloudBuild
    logs: type[Logs] = Logs


@dataclass(frozen=True)
class Deployment:
    """How the functions are set up."""

    max_jobs: int = 1
    ladder: Ladder = field(default_factory=Ladder)
    cadence: Cadence = field(default_factory=lambda: Cadence(mode=Mode.NEVER))
    poll: type[drain.Poll] = drain.Poll
    queues: tuple[Queue, ...] = (QUEUE,)
    poll_lease: timedelta = timedelta(seconds=150)
    submit_timings: launch.SubmitTimings = field(default_factory=launch.SubmitTimings)
    status_timings: StatusTimings = field(default_factory=StatusTimings)
    submit: type[launch.Submit] = launch.Submit
    budget: type[StepBudget] = StepBudget
    clocks: Mapping[str, timedelta] = field(default_factory=dict)  # per verb, how far its own clock is wrong
    own_clocks: bool = False  # they go by these, not by the bucket's
    parts: Mapping[str, Parts] = field(default_factory=dict)  # per verb, where they are not the right ones

    def work(
        self, verb: str, cross: Cross, clock: Clock, name: str, delivery: Delivery | None, woken: bool = False
    ) -> Callable[[], Any]:
        """Return what one invocation of a verb does. One connection: so one of its threads works at a time."""
        parts = self.parts.get(verb, Parts())
        budget, own = self.budget(cross, clock, BUDGETS[verb]), self.clocks.get(verb, timedelta(0))
        ledger = parts.ledger(cross, clock)
        clock = (lambda: ledger.now() + own) if self.own_clocks else ledger.now
        wandb, vertex, topic = parts.wandb(cross), parts.vertex(cross), parts.topic(cross)
        if verb == "poll":
            limits = drain.PollLimits(self.queues, max_jobs=self.max_jobs, connections=1, lease=self.poll_lease)
            agents, cadence = parts.agents(cross), self.cadence
            poll = self.poll(wandb, ledger, agents, topic, clock, limits, _wait(cross), cadence, Intervals(cadence))
            return lambda: poll.run(name, budget, woken=woken)
        if verb == "status":
            status = Status(
                ledger=ledger,
                custom_jobs=vertex,
                tracker=wandb,
                publisher=topic,
                clock=clock,
                builds=parts.build(cross),
                parents=(PARENT,),
                logs=parts.logs(cross),
                timings=self.status_timings,
                connections=1,
                agents=parts.agents(cross),
                events=parts.events(cross),
            )
            cadence = self.cadence
            watch = Watch(status, parts.agents(cross), topic, clock, _wait(cross), cadence, Intervals(cadence))
            return lambda: watch.run(budget)
        scheduler = SchedulerDefaults("us-docker.pkg.dev/p/r/wandb:1", "e2-standard-4")
        preparation = Preparation(
            wandb,
            wandb,
            wandb,
            SITE,
            NAMES,
            requests=RequestLimits().within(QUEUE.entity, [QUEUE.name]),
            ladder=self.ladder,
            scheduler=scheduler,
            check_key=wandb.check_key,
        )
        submit = self.submit(
            ledger=ledger,
            paces=InMemoryPaceBook(),
            compute=vertex,
            prepare=preparation.prepare,
            labels=lambda launch: job_labels(launch, SITE.agent),
            clock=clock,
            images=parts.build(cross),
            pause=_wait(cross),
            timings=self.submit_timings,
        )
        if delivery is None:
            raise ValueError("submit is called by Pub/Sub only")
        return lambda: submit.launch(delivery.message, budget)


def _wait(cross: Cross) -> Callable[[float], object]:
    """Return what poll waits by, between two rounds of its window."""

    def wait(seconds: float) -> None:
        cross(Call("platform", "wait", f"{seconds:.0f} s", lambda _: None, takes=timedelta(seconds=seconds)))

    return wait
