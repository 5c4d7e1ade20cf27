"""What trouble there is in a storm: how much of it, and the calls in whose middle functions are killed or frozen."""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.local.servers.faults import Hold

Aim = tuple[str, Hold]  # a stand-in, and that call
_CREATE = r"^POST \S+/customJobs\n"
AIMS: dict[str, tuple[Aim | None, ...]] = {  # of the first kill, the second, …, and again; None: any moment
    "poll": (
        ("wandb", Hold("ackRunQueueItem", worked=True)),
        None,
        ("wandb", Hold("popFromRunQueue", worked=True)),
        ("wandb", Hold("ackRunQueueItem", worked=False)),
    ),
    "submit": (
        ("vertex", Hold(_CREATE, worked=True)),
        None,
        ("vertex", Hold(_CREATE, worked=False)),
        ("wandb", Hold("GetRunQueueMetadata", worked=True)),
    ),
    "status": (
        ("wandb", Hold("failRunQueueItem", worked=False)),
        None,
        ("wandb", Hold("failRunQueueItem", worked=True)),
        ("vertex", Hold(":cancel", worked=False)),
    ),
}


@dataclass(frozen=True)
class Seen:
    """How far it has come."""

    enqueued: int
    launched: int  # a CustomJob exists, or did
    ended: int
    open: int
    kills: int
    freezes: int
    faults: int

    @property
    def line(self) -> str:
        """Return it as one line."""
        return (
            f"enqueued {self.enqueued}, launched {self.launched}, ended {self.ended}; "
            f"kills {self.kills}, freezes {self.freezes}, faults given {self.faults}"
        )


@dataclass(frozen=True)
class Plan:
    """What trouble there is, and how much."""

    kills: int = 60
    freezes: int = 30
    rate: float = 0.1
    shapes: tuple[str, ...] = ()  # names of faults; empty: all


Show = Callable[[Seen], None]
