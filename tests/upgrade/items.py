"""The items of an upgrade: every state and every kind of waiting, each with its one right ending."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos import items as chaos
from tests.chaos.items import Item, Kind
from tests.chaos.outside import Outside

RESUMES = 5  # STATUS's default: six jobs in all
SHORTAGE = "us-central1:SPOT:stockout"
LADDER = {"LAUNCH_LADDER": json.dumps({"strategies": ["SPOT", "STANDARD"]})}
_OF_CHAOS = ("succeeds", "fails", "silent", "refused", "published", "stopped", "preempted", "stockout", "internal")


@dataclass(frozen=True)
class OnSpot(Item):
    """An item that asks for Spot VMs, of which there are none."""

    @property
    def run_spec(self) -> dict[str, Any]:
        """Return the run spec."""
        spec = super().run_spec
        arguments = json.loads(json.dumps(chaos.queue_config(2)))["resource_args"]["gcp-vertex"]
        arguments["run"]["scheduling_strategy"] = "SPOT"
        return {**spec, "resource_args": {"gcp-vertex": arguments}}


UNLUCKY = Kind(
    "unlucky",
    "loses its machine each time",
    frozenset({("CLAIMED", "FAILED", "preempted")}),
    {"unlucky": True},
    jobs=1 + RESUMES,
)
CLIMBS = Kind(
    "climbs",
    "finds no Spot VMs, and goes on to the next place of the ladder",
    frozenset({("CLAIMED", "SUCCEEDED", "finished")}),
    jobs=2,
)
KINDS = (*(kind for kind in chaos.KINDS if kind.name in _OF_CHAOS), UNLUCKY, CLIMBS)


def batch(phase: str, names: Sequence[str] = ()) -> list[Item]:
    """Return one item of each kind, or of these kinds."""
    kinds = [kind for kind in KINDS if not names or kind.name in names]
    return [(OnSpot if kind is CLIMBS else Item)(f"{kind.name}-{phase}", kind) for kind in kinds]


def press(outside: Outside, items: Collection[Item], done: Collection[str]) -> set[str]:
    """Press stop at each run that begins and whose kind asks for it; return their names."""
    waiting = {item.name for item in items if item.kind.stop == "running"} - set(done)
    running = {run["display_name"]: run["name"] for run in outside.runs() if run["state"] == "running"}
    for name in waiting & running.keys():
        outside.press_stop(running[name])
    return waiting & running.keys()
