"""What `why` knows: each fact is a value, or says why it could not be seen."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from deploy.cloud import gcloud
from deploy.operate.dead_letters.dead_letter import DeadLetter
from deploy.planner import Planned
from deploy.wandb_queues import PendingItem
from shared.core.building import Build
from shared.core.duration import span
from shared.core.entry import Entry
from shared.core.launch import Launch
from shared.core.ports import AgentNote, Job


@dataclass(frozen=True, slots=True)
class Unseen:
    """A fact that could not be seen: why, and the command that may help."""

    why: str
    fix: str = ""


NOT_ASKED = Unseen("not asked")


@dataclass(frozen=True, slots=True)
class Key:
    """W&B's answer to the functions' API key; `problem` is empty if W&B accepts it."""

    owner: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A Cloud Scheduler job; `state` is empty if there is none."""

    state: str = ""
    last: datetime | None = None
    error: str = ""  # of the last call


@dataclass(frozen=True, slots=True)
class Place:
    """The deployment, as commands name it. `folder`: of the stack, if it runs on this machine."""

    project: str
    region: str = ""
    name: str = "launch"
    scheduler_region: str = ""
    folder: str = ""
    key_file: str = ""  # of that stack: the file from which its functions read W&B's API key

    @property
    def local(self) -> bool:
        """Tell whether it is the stack of `make up`."""
        return bool(self.folder)

    def ours(self, *words: str) -> str:
        """Return one of our commands for this deployment."""
        options = [] if self.local else [f"--project={self.project}"]
        if self.region and not self.local:
            options.append(f"--region={self.region}")
        if self.name != "launch" and not self.local:
            options.append(f"--name={self.name}")
        return shlex.join(["vertex-launch", *words, *options])

    def schedule(self, action: str, verb: str) -> str:
        """Return the command that resumes or runs a Cloud Scheduler job."""
        where = f"--location={self.scheduler_region or self.region or 'REGION'}"
        job = ("scheduler", "jobs", action, f"{self.name}-{verb}")
        return gcloud.shown((*job, where, f"--project={self.project}"))

    def log(self, verb: str) -> str:
        """Return the command that shows a function's last log lines."""
        if self.local:
            return f"tail -n 20 {self.folder}/{verb}.log"
        lines = f'resource.labels.service_name="{self.name}-{verb}"'
        what = ("logging", "read", lines, f"--project={self.project}")
        return gcloud.shown((*what, "--limit=20", "--freshness=10m"))

    def new_key(self) -> str:
        """Return the command that replaces the functions' API key."""
        if self.key_file:
            return f'printf %s "$WANDB_API_KEY" > {self.key_file}'
        if self.local:
            return self.ours("up")
        add = ("secrets", "versions", "add", f"{self.name}-wandb-api-key", "--data-file=-")
        return f'printf %s "$WANDB_API_KEY" | {gcloud.shown((*add, f"--project={self.project}"))}'


@dataclass(frozen=True, slots=True)
class Item:
    """An item that waits in a W&B queue and has no launch."""

    id: str
    queue: str
    scheduler: bool = False  # of a sweep


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts. `entry`, `item` or `letter` is in question; without them, the deployment.

    `job` and `build` are None if Google has none of that name. `letter` is the message of a launch
    that only the dead letters know.
    """

    now: datetime
    place: Place
    note: AgentNote | Unseen = NOT_ASKED
    key: Key | Unseen = NOT_ASKED
    schedules: Mapping[str, Schedule | Unseen] = field(default_factory=dict)  # by function
    open: Sequence[Entry] | Unseen = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    pending: Mapping[str, Sequence[PendingItem] | Unseen] = field(default_factory=dict)
    dead_letters: Sequence[DeadLetter] | Unseen = ()
    entry: Entry | None = None
    record: Launch | Unseen | None = None
    job: Job | Unseen | None = None
    build: Build | Unseen | None = None
    item: Item | None = None
    letter: DeadLetter | None = None
    job_url: str = ""  # the page of its job
    not_found: str = ""  # what an ID names, if a place that may have it could not be searched
    plan: Planned | Unseen | None = None

    def ago(self, then: datetime) -> str:
        """Return how long ago something was: 2m46s ago."""
        return f"{span(self.now - then)} ago"

    def since(self, then: datetime) -> str:
        """Return a time, and how long ago it was."""
        return f"since {self.at(then)} ({span(self.now - then)})"

    def at(self, then: datetime) -> str:
        """Return a time; with its date unless it is today."""
        then = then.astimezone(UTC)
        day = "" if then.date() == self.now.astimezone(UTC).date() else f"{then:%Y-%m-%d} "
        return f"{day}{then:%H:%M:%S} UTC"


def label(entry: Entry) -> str:
    """Return the names of a launch for people."""
    return f"{entry.key} ({entry.name})" if entry.name else entry.key
