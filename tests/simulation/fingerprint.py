"""When two worlds are the same: everything that follows from them is, but for the time on the clock."""

from dataclasses import fields
from datetime import datetime
from typing import Any

from shared.core.launch import Entry, Launch
from tests.simulation.world import Delivery, Event, Happening, Tick, WakeUp, World

_NAMES = tuple(field.name for field in fields(Entry))


def fingerprint(world: World) -> str:
    """Return a text that is the same for worlds that are; only for one in which no invocation lives.

    Times count from now. Generations do not matter, because no process remembers one. Names of agents and reasons do
    not matter either.
    """

    def ago(value: Any) -> Any:
        return (value - world.now).total_seconds() if isinstance(value, datetime) else value

    launches = {
        name: [ago(getattr(content.entry, field)) for field in _NAMES]
        if isinstance(content, Launch) and name.startswith("open/")
        else [ago(getattr(content, field, None)) for field in _of_the_note(content)]
        for name, (_, content) in sorted(world.bucket.objects.items())
    }
    items = [(i.id, i.state, ago(i.leased_until), i.acker, i.run_name, bool(i.error)) for i in world.wandb.everything()]
    opened = {launch.key for launch in world.launches("open")}
    jobs = [
        (j.name, j.attempt, j.state, ago(j.created_at), ago(j.ended_at)) if j.key in opened else (j.key, j.state)
        for j in world.vertex.jobs.values()
    ]
    agenda = sorted((ago(due.at), _event(due.event)) for due in world.agenda)
    builds = sorted((build.status, world.builder.image_of[name]) for name, build in world.builder.builds.items())
    rest = (
        builds,
        sorted(map(str, world.wandb.runs.items())),
        world.vertex.deleted,
        world.dead_letters,
        world.wandb.known,
    )
    return repr((launches, items, jobs, agenda, rest))


def _of_the_note(content: Any) -> tuple[str, ...]:
    """Return what decides of an agent's note; without windows, only its lease does."""
    warm = getattr(content, "warm_until", None) is not None
    return ("lease_until", *(("warm_until", "full", "woken", "polled_at", "woken_at", "window_until") if warm else ()))


def _event(event: Event) -> str:
    match event:
        case WakeUp(times):
            return f"wake-up {times}"
        case Tick(verb):
            return verb
        case Delivery():
            return f"{event.message.kind} {event.key} {event.times}"
        case Happening(what):
            return what
