"""The kinds of items, what their jobs do, and how each has to end."""

import itertools
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.local.servers.vertex.played import IMAGE
from deploy.local.stack import DEFAULT_CONFIG, ENTITY
from tests.chaos.poison import POISON, Raw

WANDB_PROJECT, HIDDEN_PROJECT = "chaos", "chaos-hidden"  # the key cannot read the second
End = tuple[str, str, str]  # the states of the item, of its last CustomJob and of its run; empty where there is none


@dataclass(frozen=True)
class Kind:
    """What an item asks for."""

    name: str
    about: str
    ends: frozenset[End]
    part: Mapping[str, Any] = field(default_factory=dict)  # what its job does: the fields of played.Part
    published: bool = False  # comes as another system's request, and more than once
    refused: bool = False  # asks for an argument that no CustomJob takes
    stop: str = ""  # when stop is pressed in W&B: "queued" or "running"
    raw: Raw | None = None  # writes its run spec, which need not be JSON
    vanishes: str = ""  # when its item is deleted in W&B: "queued" or "launched"
    project: str = WANDB_PROJECT
    jobs: int = 1  # how many CustomJobs it has at the most, each of its own attempt


_SUCCEEDED = ("CLAIMED", "SUCCEEDED", "finished")
_UNKNOWN_PART = ("FAILED", "FAILED", "")  # launched with its config, which the player of its job does not know
_STOPPED = ("CLAIMED", "CANCELLED", "killed")
KINDS = (
    Kind("succeeds", "trains and succeeds", frozenset({_SUCCEEDED})),
    Kind("fails", "fails after wandb.init", frozenset({("CLAIMED", "FAILED", "failed")}), {"exit_code": 1}),
    Kind("silent", "never calls wandb.init", frozenset({("FAILED", "SUCCEEDED", "")}), {"init": False}),
    Kind("refused", "has a bad spec", frozenset({("FAILED", "", "")}), refused=True),
    Kind(
        "published",
        "is another system's request, made thrice",
        frozenset({("", "SUCCEEDED", "finished")}),
        published=True,
    ),
    Kind("stopped", "is stopped in W&B while it runs", frozenset({_STOPPED}), {"endless": True}, stop="running"),
    Kind(
        "stopped-early",
        "is stopped in W&B while it waits",  # its job may have been created by then
        frozenset({_STOPPED, ("FAILED", "", "pending"), ("FAILED", "CANCELLED", "pending")}),
        {"endless": True},
        stop="queued",
    ),
    Kind("preempted", "loses its machine once", frozenset({_SUCCEEDED}), {"preempted": True}, jobs=2),
    Kind("stockout", "loses its machine, and W&B shows a failure", frozenset({_SUCCEEDED}), {"stockout": True}, jobs=2),
    Kind("internal", "breaks before its container runs", frozenset({_SUCCEEDED}), {"internal": True}, jobs=2),
    Kind("hidden", "is in a project that the key cannot read", frozenset({_SUCCEEDED}), project=HIDDEN_PROJECT),
    Kind(
        "gone",
        "is deleted from its queue while its job runs, and is owed a report",
        frozenset({("", "SUCCEEDED", "")}),
        {"init": False, "seconds": 1.0},
        vanishes="launched",
    ),
    Kind(
        "gone-early",
        "is deleted from its queue while it waits",  # it may have been popped by then
        frozenset({("", "", ""), ("", "SUCCEEDED", "finished")}),
        vanishes="queued",
    ),
    *(
        Kind(f"poison-{name}", about, frozenset({("FAILED", "", ""), _SUCCEEDED, _UNKNOWN_PART}), raw=raw)
        for name, (about, raw) in POISON.items()
    ),
)
_SHARES = {"succeeds": 30, "fails": 6, "silent": 4, "refused": 4, "published": 6, "hidden": 3, "gone": 3}  # others: 1


@dataclass(frozen=True)
class Item:
    """One of the items; its name is that of its CustomJob and of its run, too."""

    name: str
    kind: Kind

    @property
    def run_id(self) -> str:
        """Return the id of the run, where the item names one: it is there before the launch, so it can be stopped."""
        return self.name if self.kind.stop == "queued" or self.kind.raw else ""

    @property
    def run_spec(self) -> dict[str, Any]:
        """Return the run spec."""
        spec: dict[str, Any] = {
            "entity": ENTITY,
            "project": self.kind.project,
            "name": self.name,
            "docker": {"docker_image": f"{IMAGE}:latest"},
            "overrides": {"run_config": dict(self.kind.part)},
        }
        if self.run_id:
            spec["run_id"] = self.run_id
        if self.kind.refused:
            spec["resource_args"] = {"gcp-vertex": {"spec": {"worker_pool_spec": []}}}
        return spec


def plan(number: int, rng: random.Random, without: Collection[str] = ()) -> list[Item]:
    """Return so many items in a random order: of each kind its share, and of a few each kind once."""
    kinds = [kind for kind in KINDS if kind.name not in without]
    rest = [kind for kind in kinds for _ in range(_SHARES.get(kind.name, 1) - 1)]
    drawn = list(itertools.islice(itertools.cycle([*kinds, *rest]), number))
    rng.shuffle(drawn)
    return [Item(f"{kind.name}-{count}", kind) for count, kind in enumerate(drawn, start=1)]


def queue_config(create_timeout: int) -> dict[str, Any]:
    """Return the queue's configuration: W&B's own, with a bound on how long a create may take."""
    given = DEFAULT_CONFIG["resource_args"]["gcp-vertex"]
    run = {**given["run"], "create_request_timeout": create_timeout}
    return {"resource_args": {"gcp-vertex": {**given, "run": run}}}
