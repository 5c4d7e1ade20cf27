"""The items of an upgrade: every state and every kind of waiting, each with its one right ending."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.local.project import ENTITY, QUEUE
from deploy.local.servers.vertex.played import IMAGE
from tests.chaos import items as chaos
from tests.chaos.items import WANDB_PROJECT, Item, Kind

RESUMES = 5  # STATUS's default: six jobs in all
SLOTS = 3  # LAUNCH_MAX_JOBS; a batch has as many sweeps, whose schedulers would fill them all
SHORTAGE = "us-central1:SPOT:stockout"
SETTINGS = {
    "LAUNCH_LADDER": json.dumps({"strategies": ["SPOT", "STANDARD"]}),
    "LAUNCH_MAX_JOBS": str(SLOTS),
    "LAUNCH_MAX_SCHEDULERS": str(3 * SLOTS),
    "LAUNCH_SCHEDULER_IMAGE": f"{IMAGE}:latest",
    "LAUNCH_SCHEDULER_MACHINE": "e2-standard-4",
}
_OF_CHAOS = ("succeeds", "fails", "silent", "refused", "stopped", "preempted", "stockout", "internal")
_SUCCEEDED = frozenset({("CLAIMED", "SUCCEEDED", "finished")})


@dataclass(frozen=True)
class WithArguments(Item):
    """An item that has its own resource_args."""

    run: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run_spec(self) -> dict[str, Any]:
        """Return the run spec."""
        arguments = json.loads(json.dumps(chaos.queue_config(2)))["resource_args"]["gcp-vertex"]
        arguments["run"].update(self.run)
        return {**super().run_spec, "resource_args": {"gcp-vertex": arguments}}


@dataclass(frozen=True)
class OfCode(Item):
    """An item whose image is built from the code of a W&B job."""

    @property
    def job(self) -> str:
        """Return the name of its W&B job."""
        return f"code-{self.name}"

    @property
    def run_spec(self) -> dict[str, Any]:
        """Return the run spec."""
        spec = {name: value for name, value in super().run_spec.items() if name != "docker"}
        return {**spec, "job": f"{ENTITY}/{WANDB_PROJECT}/{self.job}:latest"}


@dataclass(frozen=True)
class Scheduler(Item):
    """What `wandb launch-sweep` enqueues; its name is the sweep's. `tests/e2e/test_sweep.py` has the real one."""

    @property
    def run_spec(self) -> dict[str, Any]:
        """Return the run spec."""
        return {
            "uri": "placeholder-uri-scheduler",
            "resource": "local-process",
            "entity": ENTITY,
            "project": WANDB_PROJECT,
            "name": f"Scheduler.{self.name}",
            "run_id": self.name,
            "docker": {},
            "git": {},
            "overrides": {
                "run_config": dict(self.kind.part),
                "entry_point": ["wandb", "scheduler", self.name],
                "args": ["--queue", QUEUE, "--project", WANDB_PROJECT],
            },
        }


@dataclass(frozen=True)
class OfSweep(Item):
    """The run that a sweep's scheduler enqueues."""

    sweep: str = ""

    @property
    def run_spec(self) -> dict[str, Any]:
        """Return the run spec."""
        return {**super().run_spec, "run_id": self.name, "sweep_id": self.sweep}


UNLUCKY = Kind(
    "unlucky",
    "loses its machine each time",
    frozenset({("CLAIMED", "FAILED", "preempted")}),
    {"unlucky": True},
    jobs=1 + RESUMES,
)
CLIMBS = Kind("climbs", "finds no Spot VMs, and moves to the next place of the ladder", _SUCCEEDED, jobs=2)
BUILD = Kind("build", "has an image that is built first", _SUCCEEDED)
SWEEP = Kind("sweep", "is the scheduler of a sweep, and waits for its run", _SUCCEEDED, {"schedules": True})
OF_SWEEP = Kind("of-sweep", "is the run of a sweep", _SUCCEEDED)
_FINISHED = frozenset({("", "SUCCEEDED", "finished")})
REQUEST = Kind("request", "is another system's request with its own resource_args", _FINISHED, published=True)
OF_QUEUE = Kind("of-queue", "is another system's request with its queue's configuration", _FINISHED, published=True)
KINDS = (
    SWEEP,
    OF_SWEEP,
    *(kind for kind in chaos.KINDS if kind.name in _OF_CHAOS),
    UNLUCKY,
    CLIMBS,
    BUILD,
    REQUEST,
    OF_QUEUE,
)

CROSSING = ("succeeds", "fails", "silent")  # kinds that every version knows


def batch(phase: str, names: Sequence[str] = ()) -> list[Item]:
    """Return the items of a phase: of each kind, or of these kinds; the sweeps come first."""
    items: list[Item] = []
    for kind in (kind for kind in KINDS if not names or kind.name in names):
        name = f"{kind.name}-{phase}"
        if kind is SWEEP:
            items += [Scheduler(f"{name}-{number}", kind) for number in range(SLOTS)]
        elif kind is OF_SWEEP:
            of = [f"{SWEEP.name}-{phase}-{number}" for number in range(SLOTS)]
            items += [OfSweep(f"{name}-{number}", kind, sweep=sweep) for number, sweep in enumerate(of)]
        elif kind in (CLIMBS, REQUEST):
            strategy = {"scheduling_strategy": "SPOT"} if kind is CLIMBS else {}
            items.append(WithArguments(name, kind, run=strategy))
        else:
            items.append((OfCode if kind is BUILD else Item)(name, kind))
    return items
