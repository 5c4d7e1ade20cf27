"""A long history, choice by choice. Each choice is a word, so a history is a text that can be kept and done again."""

from dataclasses import replace
from datetime import timedelta

from shared.core.cadence import Cadence
from tests.simulation.deployment import LADDER, Deployment
from tests.simulation.faults import Fault, possible
from tests.simulation.invariants import Violation
from tests.simulation.processes import Process
from tests.simulation.scripts import ENDLESS
from tests.simulation.simulation import Outage, Simulation
from tests.simulation.wandb import key_of
from tests.simulation.world import OF_CODE, OF_JOB, OTHER_QUEUE, QUEUE, Happening, World

MAX_ITEMS, MAX_JOBS = 8, 3
QUEUES = (QUEUE, OTHER_QUEUE)
OUTSIDE = {
    *("item", "other", "job", "code", "swept", "scheduler", "request", "request-on-queue"),
    *("stop", "remove", "compete", "delete", "sweep-ends", "stop-polling", "bad-builds", "outage"),
}
SOON = 80  # steps
SWEEP = "sweep"
CADENCE = Cadence(window=11)


class History:
    """A simulation that follows a history, word by word."""

    def __init__(self, deployment: Deployment, logged: list[Violation]) -> None:
        self.simulation = Simulation(
            replace(deployment, max_jobs=MAX_JOBS, ladder=LADDER, queues=QUEUES, cadence=CADENCE), logged=logged
        )
        self.simulation.world.wandb.sweeps[SWEEP] = "RUNNING"
        self.simulation.begin()
        self.words: list[str] = []
        self.requests = 0

    @property
    def items(self) -> list[str]:
        """Return the names of all items so far."""
        return [item.id for item in self.simulation.world.wandb.everything()]

    def do(self, word: str) -> None:
        """Do what a word says; raises Violation. What cannot be done now is left out."""
        self.words.append(word)
        match word.split(":"):
            case ["calm", steps]:
                for _ in range(int(steps)):
                    self.simulation.step()
            case ["time"]:
                self.simulation.let_time_pass()
            case ["go", number, *fault]:
                self._go(int(number), Fault(fault[0]) if fault else None)
            case ["until", name]:
                self._until(name)
            case ["call", verb]:
                self.simulation.call(verb)
            case ["rest"]:
                self._rest()
            case [what, *arguments] if what in OUTSIDE:
                self._outside(what, arguments)
            case _:
                raise ValueError(f"{word!r} is not a scenario's name or a word of a history")

    def _outside(self, what: str, arguments: list[str]) -> None:
        """Do what people and other systems do."""
        world, items = self.simulation.world, sorted(self.items)
        match what, arguments:
            case "item" | "other" | "job" | "code" | "swept" | "scheduler", [script] if len(items) < MAX_ITEMS:
                self._enqueue(what, f"item-{len(items) + 1}", script)
            case "request" | "request-on-queue", [script]:
                self.requests += 1
                world.request(str(self.requests), script, QUEUE if what == "request-on-queue" else None)
            case "stop" | "remove" | "compete" | "delete", [number] if items:
                item = items[int(number) % len(items)]
                people = {
                    "stop": world.stop,
                    "remove": world.remove,
                    "compete": world.compete,
                    "delete": world.delete_job,
                }
                people[what](item)
            case "sweep-ends", []:
                world.wandb.sweeps[SWEEP] = "FINISHED"
            case "stop-polling", []:
                world.wandb.stop_polling = not world.wandb.stop_polling
            case "bad-builds", []:
                world.builder.fails = not world.builder.fails
            case "outage", [system, minutes]:
                until = world.now + timedelta(minutes=int(minutes))
                self.simulation.outages += (Outage(system, world.now, until),)
        self.simulation.note(f"[{self.words[-1]}]")

    def _enqueue(self, what: str, name: str, script: str) -> None:
        """Put an item on the queue: by itself, of a sweep, which has made its run already, or a sweep's scheduler."""
        world = self.simulation.world
        if what == "scheduler":
            world.enqueue_scheduler(name, script)
        elif what in ("job", "code"):
            world.enqueue(name, script, OF_JOB if what == "job" else OF_CODE)
        elif what == "swept":
            world.enqueue(name, script, {"sweep_id": SWEEP, "run_id": f"run-of-{name}"})
            world.prepare_run(name)
        else:
            world.enqueue(name, script, queue=OTHER_QUEUE if what == "other" else QUEUE)

    def _until(self, name: str) -> None:
        """Let nothing go wrong until somebody who may go on stands before this call, if that comes soon."""
        for _ in range(SOON):
            ready = next((process for process in self.simulation.live if process.ready), None)
            if ready and ready.call and ready.call.name == name:
                return
            self.simulation.step()

    def ready(self, number: int) -> Process | None:
        """Return one of those that may go on."""
        ready = [process for process in self.simulation.live if process.ready]
        return ready[number % len(ready)] if ready else None

    def faults(self, number: int) -> list[Fault]:
        """Return what can go wrong with the next call of one of those that may go on."""
        process = self.ready(number)
        return (
            [*possible(process.call, process.checked), *([] if process.checked else [Fault.HOURS])]
            if process and process.call
            else []
        )

    def _go(self, number: int, fault: Fault | None) -> None:
        """Let one of those that may go on do so, and its call meet a fault, if it can."""
        process = self.ready(number)
        if process:
            self.simulation.go(process, fault if fault in self.faults(number) else None)

    def _rest(self) -> None:
        """Let nothing more go wrong; what would go on for ever is stopped."""
        world = self.simulation.world
        world.wandb.stop_polling = False
        for item in world.wandb.everything():
            if item.script in ENDLESS:
                _stop_some_time(world, item.id)
        self.simulation.rest()


def _stop_some_time(world: World, item: str) -> None:
    """Press stop as soon as there is a run to press it on; not where the launch is over."""
    world.stop(item)
    key = key_of(item)
    found = next(one for one in world.wandb.everything() if one.id == item)
    over = key in world.stopped_at or any(launch.key == key for launch in world.launches("closed"))
    gone = item in world.wandb.removed and found.acker != "us"
    if found.acker != "them" and found.state != "FAILED" and not over and not gone:
        again = Happening(f"somebody will stop {item}", lambda w: _stop_some_time(w, item))
        world.plan(timedelta(seconds=30), again)
