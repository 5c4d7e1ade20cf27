"""The measures: each runs on one system at a time, in a fresh world."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click

from tests.bench.agent.systems import Running, System
from tests.bench.agent.world import FOR_EVER, World

SHORT_JOB, TURNED_JOB = 2.0, 4.0  # seconds
CREATE_SECONDS = 1.0  # of a create in the burst
PATIENCE = 300.0
SETTLING = 5.0  # after the last create, until all jobs run


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    items: int  # of which each waits for its CustomJob
    distance: float  # mean seconds from a create to the next item
    turns: int  # reuses of a slot
    burst: int  # items at once
    jobs: Sequence[int]  # running jobs while calls are counted
    counted: float  # seconds in which calls are counted, at most


FULL = Size(items=20, distance=2.0, turns=8, burst=200, jobs=(0, 20, 50, 200), counted=60.0)
QUICK = Size(items=4, distance=2.0, turns=1, burst=10, jobs=(0, 3), counted=10.0)


@dataclass(frozen=True)
class Traffic:
    """The calls of a minute, with the CPU time and the memory of the processes."""

    wandb: float
    vertex: float
    cpu: float
    megabytes: float
    operations: dict[str, float] = field(default_factory=dict)  # of Cloud Storage, by class


@dataclass(frozen=True)
class Bench:
    """The world, a folder, and how much is measured."""

    world: World
    folder: Path
    size: Size
    dice: random.Random = field(default_factory=lambda: random.Random(19))  # noqa: S311 - the same distances each time

    def waits(self, system: System, what: str, stretch: float = 0.0) -> list[float]:
        """Return the seconds from the enqueue to the create, of items that a person launches one after the other.

        Each item comes at a random distance from the create before it. With a `stretch`, which multiplies the
        distances, it comes whether or not the item before it has its job.
        """
        world, names = self.world, [f"{what}-{number}" for number in range(self.size.items)]
        with self._started(system, what, max_jobs=-1) as (queue, _):
            world.job_seconds = SHORT_JOB
            self._warmed(queue)
            pushed = {}
            for name in names:
                time.sleep(self.dice.uniform(0, 2 * self.size.distance * (stretch or 1.0)))
                pushed[name] = world.push(queue, name)
                if not stretch:
                    self._await(partial(self._is_created, name), "the item has a CustomJob")
            self._await(lambda: world.created.keys() >= pushed.keys(), "every item has a CustomJob")
            return [world.created[name] - pushed[name] for name in names]

    def turns(self, system: System) -> list[float]:
        """Return the seconds from the end of a job to the next create, with one slot."""
        world, size = self.world, self.size
        with self._started(system, "turns", max_jobs=1) as (queue, _):
            world.job_seconds = TURNED_JOB
            self._warmed(queue)
            for number in range(size.turns + 1):
                world.push(queue, f"turn-{number}")
            # a system that never sees an end has one create
            self._await(lambda: len(world.created) > size.turns + 1, "the slot is reused", fail=False)
            ends, creates = sorted(world.ended.values()), sorted(world.created.values())
            pairs = zip(ends[1:], creates[2:], strict=False)  # without the warm-up
            return [create - end for end, create in pairs]

    def burst(self, system: System) -> float:
        """Return the seconds from the enqueue of many items to the last create."""
        world, size = self.world, self.size
        with self._started(system, "burst", max_jobs=-1) as (queue, _):
            world.job_seconds = FOR_EVER
            self._warmed(queue)
            world.vertex_calls.delays = {"POST": CREATE_SECONDS}
            try:
                began = time.monotonic()
                for number in range(size.burst):
                    world.push(queue, f"burst-{number}")
                self._await(lambda: len(world.created) > size.burst, "every item has a CustomJob")
            finally:
                world.vertex_calls.delays = {}
            return max(world.created.values()) - began

    def traffic(self, system: System, what: str, jobs: Sequence[int]) -> Iterator[tuple[int, Traffic]]:
        """Yield the traffic of a minute by the number of running jobs, in ascending order."""
        world = self.world
        with self._started(system, what, max_jobs=-1) as (queue, running):
            world.job_seconds = FOR_EVER
            time.sleep(SETTLING)
            for number in jobs:
                for more in range(number - len(world.created)):
                    world.push(queue, f"{number}-{more}")
                self._await(partial(self._has, number), "the jobs run")
                time.sleep(SETTLING if number else 0)
                yield number, self._minute(running, min(system.cycle, self.size.counted))

    def _is_created(self, name: str) -> bool:
        return name in self.world.created

    def _has(self, number: int) -> bool:
        return len(self.world.created) >= number

    def _minute(self, running: Running, seconds: float) -> Traffic:
        """Count for some seconds; return the figures of a minute."""
        world = self.world
        calls = (world.wandb_calls.calls, world.vertex_calls.calls)
        before, cpu, operations = [each.total() for each in calls], running.cpu_seconds(), running.operations()
        began, highest = time.monotonic(), running.megabytes()
        time.sleep(seconds)
        share = 60.0 / (time.monotonic() - began)
        wandb, vertex = ((each.total() - old) * share for each, old in zip(calls, before, strict=True))
        done = {name: (count - operations[name]) * share for name, count in running.operations().items()}
        highest = max(highest, running.megabytes())
        return Traffic(wandb, vertex, (running.cpu_seconds() - cpu) * share, highest, done)

    @contextmanager
    def _started(self, system: System, what: str, max_jobs: int) -> Iterator[tuple[str, Running]]:
        """Start a system on a queue of its own."""
        queue = self.world.queue(f"{what}-{system.name}")
        with system.on(self.world, self.folder / queue, queue, max_jobs) as running:
            yield queue, running

    def _warmed(self, queue: str) -> None:
        """Launch one item: the first create imports the SDK, in both systems."""
        self.world.push(queue, "warm-up")
        self._await(lambda: "warm-up" in self.world.created, "the first item has a CustomJob")

    def _await(self, holds: Callable[[], bool], what: str, *, fail: bool = True) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                if fail:
                    raise click.ClickException(f"within {PATIENCE:.0f} s it did not come about that {what}")
                return
            time.sleep(0.1)
