"""The outside systems that `why` asks: the ledger, W&B, Google; on `make up` its stand-ins."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import click
from google.api_core import exceptions as google_errors
from google.cloud.scheduler_v1 import CloudSchedulerClient
from google.cloud.scheduler_v1.types import Job as SchedulerJob

from deploy.cloud.deployment import Deployment
from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.explained import explained
from deploy.cloud.doctor.finding import Check
from deploy.cloud.doctor.settings import submit_settings
from deploy.local.record import find
from deploy.operate.dead_letters.dead_letter import DeadLetter
from deploy.operate.dead_letters.queue import DeadLetterQueue
from deploy.operate.fleet.fleet import Fleet
from deploy.operate.fleet.permission import grant
from deploy.operate.fleet.target import Target
from deploy.operate.why.facts import Key, Place, Schedule, Unseen
from deploy.planner import Planned, build_planner
from deploy.wandb_queues import PendingItem, pending_items, viewer
from shared.adapters.build.builds import CloudBuilds
from shared.adapters.vertex.jobs import VertexJobs
from shared.adapters.wandb import Graphql
from shared.config.base_url import CLOUD, base_url
from shared.config.certificates import certificates
from shared.config.launch_config import CONFIG_FILE, LaunchConfig, read_launch_config
from shared.config.settings import KEY_FILE, split_names
from shared.core.building import Build
from shared.core.entry import Entry
from shared.core.errors import Denied, Retry, SettingsError
from shared.core.launch import Launch
from shared.core.ports import AgentNote, Job
from shared.core.states import State

T = TypeVar("T")
LETTERS_WAIT = 3.0  # seconds; Pub/Sub answers an empty subscription late


@dataclass(frozen=True)
class Sources:
    """A deployment's sources. `environ` has the stack's settings if the target is local."""

    target: Target
    scheduler_region: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @cached_property
    def config(self) -> LaunchConfig:
        """Return the launch-config of this folder; an empty one if it is missing or wrong."""
        path = Path(self.environ.get("LAUNCH_CONFIG") or CONFIG_FILE)
        try:
            return read_launch_config(path) if path.exists() else LaunchConfig()
        except SettingsError:  # doctor reports it
            return LaunchConfig()

    @cached_property
    def place(self) -> Place:
        """Return the names of the deployment for commands."""
        target = self.target
        region = target.region or self.config.environment.region
        record = find(self.environ) if target.local else None
        return Place(
            target.project,
            region,
            target.name,
            self.scheduler_region,
            record.folder if record else "",
            self.environ.get(KEY_FILE, "") if record else "",
        )

    @cached_property
    def case(self) -> Case:
        """Return the deployment as doctor sees it."""
        place = self.place
        deployment = Deployment(place.project, place.region, place.name, config=self.config)
        stack = self.environ if self.target.local else {}
        return Case(deployment, environ=self.environ, stack=stack)

    def seen(self, look: Callable[[], T], *needs: str) -> T | Unseen:
        """Return what a look finds; its failure becomes a fact. `needs` are its permissions."""
        try:
            return look()
        except Exception as exc:  # noqa: BLE001 - every error is shown
            finding = explained(self.case, Check("", lambda: (), needs), exc)
            return Unseen(finding.message, finding.fix)

    def fleet(self, *, closed: bool) -> Fleet:
        """List the ledger; a refusal names the permission and the command that grants it."""
        try:
            return Fleet.read(self.target, closed=closed)
        except Denied as exc:
            refusal = grant(exc, self.target.bucket_name, self.target.project)
            raise click.ClickException(refusal) from exc

    def key(self) -> Key:
        """Ask W&B about the functions' key."""
        try:
            return Key(owner=viewer(self._wandb(self.case.secret_key())).username)
        except Denied as exc:
            return Key(problem=str(exc))

    def schedule(self, verb: str) -> Schedule:
        """Return Cloud Scheduler's job of a function."""
        place = self.place
        location = self.scheduler_region or place.region
        if not location:
            raise click.ClickException("the location is unknown: add --region=REGION")
        name = f"projects/{place.project}/locations/{location}/jobs/{place.name}-{verb}"
        try:
            job = CloudSchedulerClient(transport="rest").get_job(name=name)
        except google_errors.NotFound:
            return Schedule()
        error = f"code {job.status.code} {job.status.message}".strip() if job.status.code else ""
        return Schedule(SchedulerJob.State(job.state).name, job.last_attempt_time, error)

    def entity(self, note: AgentNote) -> str:
        """Return the owner of the queues: by poll's note, else by the settings."""
        return note.entity or self.environ.get("LAUNCH_ENTITY", "") or self.config.entity

    def queues(self, note: AgentNote) -> tuple[str, ...]:
        """Return the names of the queues: by poll's note, else by the settings."""
        named = split_names(self.environ.get("LAUNCH_QUEUES", ""))
        return note.queues or tuple(named) or self.config.queues

    def pending(self, note: AgentNote, queue: str) -> list[PendingItem]:
        """Return the items that wait in a queue."""
        return list(pending_items(self._queries(note), self.entity(note), queue))

    def plan(self, note: AgentNote, queue: str, item: str) -> Planned:
        """Return what submit would do with an item."""
        case = self.case
        planner = build_planner(
            submit_settings(case), self._queries(note), self.entity(note), case.macros()
        )
        found = next(planner.plan(queue, item, 1), None)
        if found is None:
            raise Retry(f"item {item} no longer waits in {queue}")
        return found

    def record(self, entry: Entry, *, closed: bool) -> Launch:
        """Return the whole record of a launch."""
        ledger = self.target.ledger
        found = ledger.read_closed(entry.key) if closed else ledger.read(entry.key)
        found = found or ledger.read_closed(entry.key)  # closed since it was listed
        if found is None:
            raise Retry(f"the record of launch {entry.key} has just been deleted")
        return found

    def job(self, entry: Entry) -> Job | None:
        """Return the job of a launch, as Vertex AI shows it."""
        endpoint = self.environ.get("VERTEX_ENDPOINT", "")
        return VertexJobs(self.target.agent_name, endpoint).get_job(entry.job_name)

    def build(self, entry: Entry) -> Build:
        """Return the build for which a launch waits."""
        return CloudBuilds(self.environ.get("BUILD_ENDPOINT", "")).get_build(entry.build)

    def dead_letters(self) -> list[DeadLetter]:
        """Return the dead letters; holds them for a moment, and releases them."""
        with DeadLetterQueue(self.case.deployment, LETTERS_WAIT) as queue:
            return [letter for page in queue.pages() for letter in page]

    def _queries(self, note: AgentNote) -> Graphql:
        """Return a connection for our queries, with the key of this shell if it has one."""
        return self._wandb(self.environ.get("WANDB_API_KEY") or self.case.secret_key(), note)

    def _wandb(self, key: str, note: AgentNote | None = None) -> Graphql:
        address = self.environ.get("WANDB_BASE_URL") or (note or self.target.note).base_url
        try:
            authority = certificates(self.environ.get("WANDB_CA_FILE", ""))
            return Graphql(base_url(address or CLOUD), key, ca_file=authority)
        except ValueError as exc:
            raise SettingsError(f"W&B's address or its certificates: {exc}") from exc


def waits_for_ticket(entry: Entry) -> bool:
    """Tell whether a dead letter could be the reason that a launch waits."""
    return entry.state is State.QUEUED and not entry.build
