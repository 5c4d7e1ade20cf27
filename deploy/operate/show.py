"""`vertex-launch show`: everything that happened to one launch."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import click

from deploy.operate.cost.prices import configured_prices
from deploy.operate.cost.usage import described_use, use_of
from deploy.operate.fleet import rows
from deploy.operate.fleet.fleet import find_one, since_of, state_of
from deploy.operate.fleet.target import Target, target_options
from deploy.operate.plain import plain, plain_lines
from deploy.operate.steering.retries import retries_of
from deploy.operate.terminal import Terminal
from shared.core.console import build_link
from shared.core.duration import span
from shared.core.event import EventType
from shared.core.launch import Event, Launch, State

_LABEL = 10  # cells of a field's name


@click.command()
@target_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("launch_id", metavar="ID")
def show(target: Target, launch_id: str, as_json: bool) -> None:
    """Show one launch: each step with the time since the previous one, and the reasons.

    Prints the state, names and machines, the pages in W&B and in Google's console, each step, each
    attempt with Google's answer, and the places of its ladder that it has tried.

    ID is a launch key, a run id, an item id, the address of a run's page in W&B,
    ENTITY/PROJECT/RUN_ID, SOURCE/IDEMPOTENCY_KEY of a request, the number or resource name of one
    of its jobs, the address of that job in Google's console, or the beginning of one of these names
    if no other launch has it.

    --json prints the fields of `ls --json`, then `run_url`, `job_url`, `idempotency_key`,
    `retried_as`, `steps`, `attempts` and `places`.

    Needs roles/storage.objectViewer on the ledger's bucket.

    \b
    Example:
      vertex-launch show https://wandb.ai/team/cats/runs/abc123 --project=my-project

    Exit codes: 1 if no launch has this ID, or its record cannot be read; 2 if several have it; 4 if
    the ledger does not answer.
    """  # noqa: D301 - \b is click's
    entry = find_one(target, launch_id)
    launch = target.launch(entry)
    if launch is None:
        raise click.ClickException(f"the launch {entry.key} was deleted while it was read")
    over = entry.state is State.ENDED
    retries = tuple(each.key for each in retries_of(target, entry.key)) if over else ()
    story = Story(target, launch, target.now(), retries)
    if as_json:
        click.echo(json.dumps(story.document(), indent=2))
    else:
        click.echo("\n".join(story.lines(Terminal.here())))


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a launch, and the seconds since the previous one."""

    event: Event
    seconds: float | None  # None for the first step that is known


@dataclass(frozen=True)
class Story:
    """What happened to one launch."""

    target: Target
    launch: Launch
    now: datetime
    retries: tuple[str, ...] = ()  # the keys of the launches that repeat it

    @property
    def steps(self) -> Iterator[Step]:
        """Yield the steps: the last 50, those that the ledger keeps."""
        before: datetime | None = None
        for event in self.launch.events:
            yield Step(event, (event.at - before).total_seconds() if before else None)
            before = event.at

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        launch, climb = self.launch, self.launch.climb
        return {
            **rows.document(launch.entry, self.now),
            "run_url": self._run_url,
            "job_url": self.target.job_url(launch.entry.job_name)
            if launch.entry.job_name
            else None,
            "idempotency_key": launch.idempotency_key or None,
            "retried_as": list(self.retries),
            "reason": launch.reason or launch.entry.reason or None,
            "steps": [
                {
                    "number": step.event.number,
                    "at": rows.moment(step.event.at),
                    "step": str(step.event.type),
                    "why": step.event.why or None,
                    "seconds_since_previous": step.seconds,
                    "attempt": step.event.attempt,
                    "job": step.event.job or None,
                    "reason": step.event.reason or None,
                }
                for step in self.steps
            ],
            "attempts": [
                {"attempt": line.number, "at": rows.moment(line.at), "result": line.result}
                for line in launch.history
            ],
            "places": {
                "current": climb.place or None,
                "next": climb.next_place or None,
                "tried": list(climb.tried),
                "barred": list(climb.barred),
                "left_out": climb.left_out or None,
            },
        }

    def lines(self, terminal: Terminal) -> list[str]:
        """Return all of it for people, folded to the width of a terminal."""
        lines = []
        for name, value in self._fields():
            if value:
                lines += terminal.field(f"{name:<{_LABEL}}", value, "dim")
        lines += ["", terminal.paint("STEPS (UTC)", "dim"), *self._steps(terminal)]
        if self.launch.history:
            lines += ["", terminal.paint("ATTEMPTS (UTC)", "dim"), *self._attempts(terminal)]
        return lines

    def _fields(self) -> Iterator[tuple[str, str]]:
        """Yield the names and values that the launch has."""
        launch, entry, climb = self.launch, self.launch.entry, self.launch.climb
        state = state_of(entry, self.now)
        progress = rows.progress(entry, self.now)
        ago = " ago" if state in rows.ENDED else ""
        yield "launch", entry.key
        yield (
            "state",
            f"{state}, {span(self.now - since_of(entry))}{ago}"
            + (f"; {progress}" if progress else ""),
        )
        for line in plain_lines(launch.reason or entry.reason):
            yield "reason", line
        if entry.notice and not (launch.reason and launch.reason in entry.notice):
            yield "notice", plain(entry.notice)
        yield "name", plain(entry.name)
        yield "author", plain(entry.author)
        queue = f"{entry.queue_entity}/{entry.queue_name}" if entry.queue_name else ""
        yield "queue", plain(queue)
        yield "item", plain(entry.item_id)
        yield "source", plain(entry.source or launch.source)
        yield "request", plain(launch.idempotency_key)
        yield "retries", plain(entry.retries)
        yield "retry", ", ".join(self.retries)
        yield "machine", plain(entry.machine)
        prices = configured_prices()
        use = use_of(entry, launch, self.now, table=prices)
        yield "used", plain(described_use(use, prices))
        yield "place", plain(climb.place or rows.region(entry))
        yield "next", plain(climb.next_place)
        yield "tried", plain(", ".join(climb.tried))
        yield "barred", plain(", ".join(climb.barred))
        yield "left out", plain(climb.left_out)
        yield "run", plain(self._run_url)
        if entry.job_name:
            yield "job", plain(self.target.job_url(entry.job_name))
            yield "", plain(entry.job_name)
        if entry.build:
            yield "build", plain(build_link(entry.build))

    @property
    def _run_url(self) -> str:
        return self.target.run_url(self.launch.entry.run)

    def _steps(self, terminal: Terminal) -> Iterator[str]:
        if not self.launch.events:
            yield "none: an older revision wrote this record"
        for step in self.steps:
            event, since = step.event, ""
            if step.seconds is not None:
                since = f"+{span(timedelta(seconds=step.seconds))}"
            head = f"{rows.clock(event.at)}  {since:>8}  "
            yield from terminal.field(head, plain(_text(event)))

    def _attempts(self, terminal: Terminal) -> Iterator[str]:
        for line in self.launch.history:
            head = f"{rows.clock(line.at)}  {line.number:>8}  "
            yield from terminal.field(head, plain(line.result))


def _text(event: Event) -> str:
    """Return a step in a few words, with its reason."""
    why = f" ({event.why})" if event.why and event.type is not EventType.ENDED else ""
    outcome = f" {event.why}" if event.type is EventType.ENDED else ""
    attempt = f", attempt {event.attempt}" if event.attempt > 1 else ""
    submitted = event.type is EventType.SUBMITTED and event.job
    job = f", job {event.job.rpartition('/')[2]}" if submitted else ""
    reason = f": {event.reason}" if event.reason else ""
    return f"{event.type}{outcome}{why}{attempt}{job}{reason}"
