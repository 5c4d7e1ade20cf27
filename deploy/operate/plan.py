"""`python -m deploy plan`: shadow mode: what would become of the items that wait, without popping any."""

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import yaml

from deploy.operate.wandb import PendingItem, QueueView, pending_items, queue_names, read_queue
from shared.adapters.wandb import Graphql, WandbJobs, WandbQueueConfigs, WandbSweeps
from shared.config.launch_config import CONFIG_FILE
from shared.config.settings import PollSettings, SubmitSettings, load
from shared.core.errors import LaunchError, Reject
from shared.core.intake import check_intake, from_item
from shared.core.launch import Launch, State
from shared.core.message import Queue
from shared.core.ports import CustomJobCall
from shared.core.redaction import KEYS, REDACTED, is_secret, secrets_in, without
from shared.runspec.key_secret import READ_KEY
from shared.runspec.policy import example_image
from shared.runspec.prepare import Preparation
from shared.runspec.render import ArgumentNames, DeploymentDefaults
from shared.runspec.scheduler import SchedulerDefaults
from shared.runspec.source import FETCH

IMAGE = (
    "REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE:TAG"  # stands for the image of an item to come
)
LAUNCHED, REFUSED, UNSEEN = (
    "would be launched",
    "would be refused",
    "cannot be seen before it is popped",
)
_PROGRAMS = {
    FETCH: "[the program that fetches the code]",
    READ_KEY: "[the program that reads the key]",
}


class PlanSettings(PollSettings, SubmitSettings):
    """What poll and submit are told; the ledger is not opened here, so its bucket may be missing."""

    ledger_bucket: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """What would become of one item; of an item to come, where `item` is empty."""

    queue: str
    item: str
    outcome: str
    call: CustomJobCall | None = None
    ladder: tuple[str, ...] = ()  # where it would go from its own place for want of machines
    left_out: str = ""
    refusal: Reject | None = None
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    def document(self) -> dict[str, Any]:
        """Return what is shown of it, without any key."""
        shown: dict[str, Any] = {"queue": self.queue}
        if self.item:
            shown |= {"item": self.item, "outcome": self.outcome}
        else:
            shown |= {
                "checked": "the queue's configuration, for any image",
                "outcome": self.outcome,
            }
        if self.call:
            arguments = {"CustomJob": dict(self.call.constructor), "submit": dict(self.call.submit)}
            then: dict[str, Any] = (
                {"without machines there, next": list(self.ladder)} if self.ladder else {}
            )
            then |= {"left out of the ladder": self.left_out} if self.left_out else {}
            shown |= {
                "warnings": list(self.call.warnings),
                "parent": self.call.parent,
                **then,
                **arguments,
            }
        if self.refusal:
            shown |= {"field": self.refusal.field, "reason": str(self.refusal)}
        without: dict[str, Any] = _redacted(shown, self.secrets)
        return without


@dataclass(frozen=True, slots=True)
class Planner:
    """Renders what waits in the queues of an entity, as submit would."""

    graphql: Graphql
    entity: str
    preparation: Preparation

    def plan(self, name: str, item: str, limit: int) -> Iterator[Planned]:
        """Yield what would become of a queue's items; its configuration is checked where none can be seen."""
        queue = read_queue(self.graphql, self.entity, name)
        if queue is None:
            yield Planned(name, "", REFUSED, refusal=self._missing(name))
            return
        waiting = (
            one for one in pending_items(self.graphql, self.entity, name) if item in ("", one.id)
        )
        seen = False
        for one in itertools.islice(waiting, limit):
            seen = seen or one.run_spec is not None
            yield self._item(queue, one)
        if not (seen or item):
            yield self._rendered(
                queue, "", queue.example_spec(example_image(self.preparation.policy, IMAGE))
            )

    def _missing(self, name: str) -> Reject:
        there = (
            ", ".join(sorted(queue_names(self.graphql, self.entity)))
            or "none that this key may see"
        )
        return Reject("queues", f"{self.entity} has no queue named {name}", f"Its queues: {there}.")

    def _item(self, queue: QueueView, item: PendingItem) -> Planned:
        if item.run_spec is None:
            return Planned(queue.name, item.id, UNSEEN)
        return self._rendered(queue, item.id, item.run_spec)

    def _rendered(self, queue: QueueView, item: str, run_spec: dict[str, Any]) -> Planned:
        site = self.preparation.defaults
        try:
            check_intake(run_spec)
        except Reject as refusal:
            return Planned(
                queue.name, item, REFUSED, refusal=refusal, secrets=frozenset({site.api_key})
            )
        launch = _claimed(queue, item, run_spec)
        macros = (value for name, value in site.macros.items() if is_secret(name))
        secrets = frozenset({site.api_key, *secrets_in(launch.run_spec), *macros})
        try:
            job = self.preparation.prepare(launch)
        except Reject as refusal:
            return Planned(queue.name, item, REFUSED, refusal=refusal, secrets=secrets)
        return Planned(
            queue.name,
            item,
            LAUNCHED,
            job.call,
            job.next_places,
            job.launch.climb.left_out,
            secrets=secrets,
        )


@click.command()
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"The agent's configuration file.  [default: LAUNCH_CONFIG, or {CONFIG_FILE} where it exists]",
)
@click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="NAME",
    help="Only this queue; repeatable.  [default: all]",
)
@click.option("--item", default="", metavar="ID", help="Only this item.")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1), help="Items of each queue."
)
def plan(config: Path | None, queues: tuple[str, ...], item: str, limit: int) -> None:
    """Show what would become of the items that wait in W&B's queues. Nothing is popped, acked or changed.

    Prints one YAML document for each item: the arguments of the CustomJob that submit would create, with its warnings,
    or the field for which it would be refused. Of an empty queue, or where W&B does not show an item before it is
    popped, the queue's own configuration is checked. API keys are not shown.

    Settings are those of the functions: the environment, and the launch-config.yaml beneath it. Needed are
    WANDB_API_KEY, LAUNCH_ENTITY (entity), LAUNCH_QUEUES (queues), GOOGLE_CLOUD_PROJECT (environment.project) and
    VERTEX_LOCATION (environment.region).

    Exit code 1 if anything would be refused.
    """
    if config:
        os.environ["LAUNCH_CONFIG"] = str(config)  # as the functions are told of it
    if queues:
        os.environ["LAUNCH_QUEUES"] = ",".join(queues)
    outcomes: Counter[str] = Counter()
    try:
        told = load(PlanSettings)
        planner = _planner(told)
        for planned in itertools.chain.from_iterable(
            planner.plan(name, item, limit) for name in told.queues
        ):
            outcomes[planned.outcome] += 1
            click.echo("---\n" + _written(planned.document()), nl=False)
    except LaunchError as exc:
        raise click.ClickException(str(exc)) from exc
    if not outcomes:
        raise click.ClickException(
            f"no item {item} waits in {', '.join(told.queues)} of {told.entity}"
        )
    click.echo(
        "; ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
        + ". Nothing was popped.",
        err=True,
    )
    if outcomes[REFUSED]:
        raise SystemExit(1)


def _planner(told: PlanSettings) -> Planner:
    """Wire as submit does."""
    from shared.adapters.vertex.submit import (
        argument_names,
    )  # Google's SDK takes seconds: no other command waits

    if unset := sorted(name for name in told.launch_macros if name not in os.environ):
        click.echo(f"Not set here, so left as they are: the macros {', '.join(unset)}.", err=True)
    site = DeploymentDefaults(
        base_url=told.wandb_base_url,
        api_key=told.api_key,
        project=told.google_cloud_project,
        location=told.vertex_location,
        agent=told.launch_agent_name,
        macros={name: os.environ[name] for name in told.launch_macros if name in os.environ},
        secure_mode=told.secure_mode,
        key_secret=told.key_secret,
        base_image=told.base_image,
        destination=told.destination,
        context_store=told.build_context_store,
    )
    graphql = Graphql(told.wandb_base_url, told.api_key, ca_file=told.wandb_ca_file)
    scheduler = SchedulerDefaults(told.scheduler_image, told.scheduler_machine)
    names = ArgumentNames(**argument_names())
    preparation = preparing(
        graphql, site, names, policy=told.policy, ladder=told.ladder, scheduler=scheduler
    )
    return Planner(graphql, told.entity, preparation)


def preparing(
    graphql: Graphql, site: DeploymentDefaults, names: ArgumentNames, **limits: Any
) -> Preparation:
    """Return what submit prepares jobs with, except its look at the key; `limits` are policy, ladder, scheduler."""
    wandb = (WandbQueueConfigs(graphql), WandbJobs(graphql), WandbSweeps(graphql))
    return Preparation(*wandb, site, names, **limits)


def _claimed(queue: QueueView, item: str, run_spec: dict[str, Any]) -> Launch:
    """Return the launch of an item as it is when submit renders it: at its first attempt."""
    opened = from_item(
        item, Queue(entity=queue.entity, name=queue.name), run_spec, datetime.now(UTC)
    )
    return opened.move(State.SUBMITTING, attempt=1)


def _written(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def _redacted(value: Any, secrets: frozenset[str]) -> Any:
    """Return a value with no secret in it, by the name of an entry or a variable, or found inside a text."""
    if isinstance(value, Mapping):
        hidden = KEYS | ({"value"} if is_secret(value.get("name")) else frozenset())
        return {
            key: REDACTED if key in hidden and one else _redacted(one, secrets)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_redacted(one, secrets) for one in value]
    if isinstance(value, str):
        return without(_PROGRAMS.get(value, value), secrets)
    return value
