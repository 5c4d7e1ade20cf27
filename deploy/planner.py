"""Plan items as submit would launch them: the CustomJob, or the refusal."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from deploy.wandb_queues import PendingItem, QueueView, pending_items, queue_names, read_queue
from shared.adapters.wandb import Graphql, WandbJobs, WandbQueueConfigs, WandbSweeps
from shared.config.settings import SubmitSettings
from shared.core.errors import Reject
from shared.core.intake import check_item, from_item, from_request
from shared.core.launch import Launch, State
from shared.core.message import Queue, Request
from shared.core.ports import CustomJobCall
from shared.core.redaction import is_secret, redacted, secrets_in
from shared.runspec.policy import example_image, example_run
from shared.runspec.prepare import Preparation
from shared.runspec.programs import FETCH, NOTEBOOK, READ_KEY
from shared.runspec.render import ArgumentNames, DeploymentDefaults
from shared.runspec.scheduler import SchedulerDefaults

IMAGE = "region-docker.pkg.dev/project/repository/image:tag"  # the image of a future item
FUTURE = "ITEM"  # its id
LAUNCHED = "would be launched"
REFUSED = "would be refused"
UNSEEN = "cannot be seen before it is popped"
MISSING = "does not exist"  # the queue
_PROGRAMS = {
    FETCH: "[the program that fetches the code]",
    NOTEBOOK: "[the program that runs a notebook]",
    READ_KEY: "[the program that reads the key]",
}


@dataclass(frozen=True, slots=True)
class Planned:
    """The outcome of one item; without `item`, of the queue's future items."""

    queue: str
    item: str
    outcome: str
    call: CustomJobCall | None = None
    ladder: tuple[str, ...] = ()  # the next places, for a launch without capacity
    left_out: str = ""
    refusal: Reject | None = None
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    def document(self) -> dict[str, Any]:
        """Return the printable form, without any key."""
        shown: dict[str, Any] = {"queue": self.queue} if self.queue else {}
        if self.item:
            shown["item"] = self.item
        elif self.outcome != MISSING:
            shown["checked"] = "the queue's configuration, for any image"
        shown["outcome"] = self.outcome
        if self.call:
            shown["warnings"] = list(self.call.warnings)
            shown["parent"] = self.call.parent
            if self.ladder:
                shown["next places if there is no capacity"] = list(self.ladder)
            if self.left_out:
                shown["left out of the ladder"] = self.left_out
            shown["CustomJob"] = dict(self.call.constructor)
            shown["submit"] = dict(self.call.submit)
        if self.refusal:
            shown["field"] = self.refusal.field
            shown["reason"] = str(self.refusal)
        document: dict[str, Any] = redacted(_with_names(shown), self.secrets)
        return document


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans the items of an entity's queues, as submit would launch them."""

    graphql: Graphql
    entity: str
    preparation: Preparation

    def plan(self, name: str, item: str, limit: int) -> Iterator[Planned]:
        """Yield the plans of a queue's items; of its configuration if no item can be seen."""
        queue = read_queue(self.graphql, self.entity, name)
        if queue is None:
            yield Planned(name, "", MISSING, refusal=self._missing(name))
            return
        pending = pending_items(self.graphql, self.entity, name)
        selected = (each for each in pending if item in ("", each.id))
        seen = False
        for each in itertools.islice(selected, limit):
            seen = seen or each.run_spec is not None
            yield self._item(queue, each)
        if not (seen or item):
            image = example_image(self.preparation.policy, IMAGE)
            run = example_run(self.preparation.policy, queue.entity)
            yield self._prepared(queue, "", {**queue.example_spec(image), **run})

    def _missing(self, name: str) -> Reject:
        names = ", ".join(sorted(queue_names(self.graphql, self.entity)))
        fix = f"Its queues: {names or 'none visible to this key'}."
        return Reject("queues", f"{self.entity} has no queue named {name}", fix)

    def _item(self, queue: QueueView, item: PendingItem) -> Planned:
        if item.run_spec is None:
            return Planned(queue.name, item.id, UNSEEN)
        return self._prepared(queue, item.id, item.run_spec)

    def request(self, request: Request) -> Planned:
        """Return the plan of another system's request; a dry run stores nothing."""
        queue = request.queue.name if request.queue else ""
        named = f"{request.source}/{request.idempotency_key}"
        return self._planned(queue, named, lambda: _first(from_request(request, datetime.now(UTC))))

    def _prepared(self, queue: QueueView, item: str, run_spec: dict[str, Any]) -> Planned:
        its_queue = Queue(entity=queue.entity, name=queue.name)

        def claim() -> Launch:
            check_item(run_spec, its_queue)
            return _first(from_item(item or FUTURE, its_queue, run_spec, datetime.now(UTC)))

        return self._planned(queue.name, item, claim)

    def _planned(self, queue: str, item: str, claim: Callable[[], Launch]) -> Planned:
        """Return the plan of a launch at its first attempt, as submit prepares it."""
        defaults = self.preparation.defaults
        secrets = frozenset({defaults.api_key})
        try:
            launch = claim()
            macros = (value for name, value in defaults.macros.items() if is_secret(name))
            secrets = frozenset({*secrets, *secrets_in(launch.run_spec), *macros})
            job = self.preparation.prepare(launch)
        except Reject as refusal:
            return Planned(queue, item, REFUSED, refusal=refusal, secrets=secrets)
        return Planned(
            queue,
            item,
            LAUNCHED,
            job.call,
            job.next_places,
            job.launch.climb.left_out,
            secrets=secrets,
        )


def build_planner(
    settings: SubmitSettings, graphql: Graphql, entity: str, macros: Mapping[str, str]
) -> Planner:
    """Build the planner of an entity's queues, with submit's preparation from submit's settings.

    Only submit's check of the API key is left out.
    """
    # Google's SDK takes seconds to import: no other command waits for it.
    from shared.adapters.vertex.submit import argument_names

    defaults = DeploymentDefaults(
        base_url=settings.wandb_base_url,
        api_key=settings.api_key,
        project=settings.google_cloud_project,
        location=settings.vertex_location,
        agent=settings.launch_agent_name,
        macros=macros,
        secure_mode=settings.secure_mode,
        key_secret=settings.key_secret,
        base_image=settings.base_image,
        destination=settings.building.destination,
        builder_problem=settings.building.problem,
        context_store=settings.context_store,
        git_credentials=settings.git_credentials,
        reserved=settings.reserved,
    )
    preparation = Preparation(
        queues=WandbQueueConfigs(graphql),
        job_artifacts=WandbJobs(graphql),
        sweeps=WandbSweeps(graphql),
        defaults=defaults,
        names=ArgumentNames(**argument_names()),
        policy=settings.policy,
        requests=settings.request_limits,
        ladder=settings.ladder,
        scheduler=SchedulerDefaults(settings.scheduler_image, settings.scheduler_machine),
    )
    return Planner(graphql, entity, preparation)


def _first(queued: Launch) -> Launch:
    """Return a launch at its first attempt."""
    return queued.move(State.SUBMITTING, attempt=1)


def _with_names(value: Any) -> Any:
    """Return a value with the names of our programs in place of their texts."""
    if isinstance(value, Mapping):
        return {key: _with_names(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_names(one) for one in value]
    return _PROGRAMS.get(value, value) if isinstance(value, str) else value
