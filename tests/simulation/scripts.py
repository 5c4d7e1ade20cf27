"""What the container of a job does, step by step."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Step:
    """After this time the job goes into `state`, its run into `run`; empty: as it was."""

    after: timedelta
    state: str = ""
    run: str = ""
    error: str = ""
    late: bool = False  # the error comes a minute after the state

    def __str__(self) -> str:
        """Say what becomes of the two."""
        return " and its run ".join(filter(None, (self.state.removeprefix("JOB_STATE_"), self.run)))


def _s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


_BEGINS = (Step(_s(20), "JOB_STATE_RUNNING"), Step(_s(25), run="running"))
_TRAINS = (*_BEGINS, Step(_s(80), "JOB_STATE_SUCCEEDED", "finished"))
_PREEMPTED = (*_BEGINS, Step(_s(50), "JOB_STATE_FAILED", "preempted", "exit code 143"))
_TAKEN_AWAY = (*_BEGINS, Step(_s(50), "JOB_STATE_FAILED", "crashed", "STOCKOUT: the machines were taken away"))
_NO_MACHINES = (Step(_s(40), "JOB_STATE_FAILED", error="Resources are insufficient in region: us-central1"),)
_QUEUED = Step(_s(1), "JOB_STATE_QUEUED")
_WAITS = (
    _QUEUED,
    Step(_s(3_000), "JOB_STATE_RUNNING"),
    Step(_s(3_005), run="running"),
    Step(_s(3_060), "JOB_STATE_SUCCEEDED", "finished"),
)
_NO_END = (
    _BEGINS[0],
    Step(_s(75), "JOB_STATE_PARTIALLY_SUCCEEDED"),
    Step(_s(110), run="running"),
    Step(_s(115), run="finished"),
)
_LATE = (_BEGINS[0], Step(_s(75), "JOB_STATE_SUCCEEDED"), Step(_s(110), run="running"), Step(_s(115), run="finished"))
_PREEMPTING = (
    *_BEGINS,
    Step(_s(50), "JOB_STATE_FAILED", "preempting", "exit code 143"),
    Step(_s(200), run="preempted"),
)


def _late(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the same steps, the last of which says its error late."""
    return (*steps[:-1], replace(steps[-1], late=True))


AGAIN = frozenset(one[-1].error for one in (_PREEMPTED, _TAKEN_AWAY, _NO_MACHINES))  # what another job may follow

SCRIPTS: dict[str, Callable[[int], tuple[Step, ...]]] = {  # each by the number of the attempt
    "trains": lambda _: _TRAINS,
    "crashes": lambda _: (*_BEGINS, Step(_s(60), "JOB_STATE_FAILED", "crashed", "exit code 1")),
    "seems to crash": lambda _: (*_BEGINS, Step(_s(40), run="crashed"), *_TRAINS[-1:]),
    "never starts": lambda _: (Step(_s(30), "JOB_STATE_FAILED", error="The image was not found"),),
    "says nothing": lambda _: (Step(_s(20), "JOB_STATE_RUNNING"), Step(_s(40), "JOB_STATE_SUCCEEDED")),
    "preempted once": lambda attempt: _PREEMPTED if attempt == 1 else _TRAINS,
    "always preempted": lambda _: _PREEMPTED,
    "taken away once": lambda attempt: _TAKEN_AWAY if attempt == 1 else _TRAINS,
    "finds machines elsewhere": lambda attempt: _NO_MACHINES if attempt == 1 else _TRAINS,
    "finds machines at last": lambda attempt: _NO_MACHINES if attempt < 3 else _TRAINS,
    "shows its run late": lambda _: _LATE,
    "shows its preemption late": lambda attempt: _PREEMPTING if attempt == 1 else _TRAINS,
    "says late that it was taken away": lambda attempt: _late(_TAKEN_AWAY) if attempt == 1 else _TRAINS,
    "says late that it found no machines": lambda attempt: _late(_NO_MACHINES) if attempt == 1 else _TRAINS,
    "queued for quota": lambda _: _WAITS,
    "ends without an end time": lambda _: _NO_END,
    "stays pending": lambda attempt: () if attempt == 1 else _TRAINS,
    "goes on": lambda _: _BEGINS,  # until it is cancelled: a script that does not heed a stop
    "preempted twice": lambda attempt: _PREEMPTED if attempt < 3 else _BEGINS,
}

ENDLESS = frozenset({"goes on", "preempted twice"})
