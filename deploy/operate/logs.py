"""`vertex-launch logs`: what the jobs and builds of one launch have printed, in time order."""

import heapq
import json
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import click

from deploy.operate.fleet import rows
from deploy.operate.fleet.fleet import find_one, state_of
from deploy.operate.fleet.permission import grant_logs
from deploy.operate.fleet.target import Target, target_options
from deploy.operate.plain import plain, plain_lines
from shared.adapters.logging import CloudLogging, LogLine
from shared.core.entry import Entry
from shared.core.errors import Denied
from shared.core.launch import Launch, State
from shared.core.redaction import hiding, secrets_in

EVERY = 5.0  # seconds: Cloud Logging allows 60 reads a minute
LATE = timedelta(seconds=30)  # how late an entry can arrive behind a newer one
AFTER = 2  # refreshes after the end of a launch, for its last lines
_RESOURCE = re.compile(r"projects/[\w.:-]+/locations/[\w-]+/(?:customJobs|builds)/[\w-]+")
Read = Callable[[str, str, datetime], Iterable[LogLine]]  # project, resource name, since


@click.command()
@target_options
@click.option("-f", "--follow", is_flag=True, help="Print new lines until the launch has ended.")
@click.option("--tail", type=click.IntRange(1), help="Only the last lines, this many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with -f, one object per line.")
@click.argument("launch_id", metavar="ID")
def logs(target: Target, launch_id: str, follow: bool, tail: int | None, as_json: bool) -> None:
    """Print what the jobs and builds of one launch have printed, of all attempts, in time order.

    Each line begins with its time (UTC) and its origin: `build`, or `try N` with the job's worker
    pool if it is not the first. The lines come from Cloud Logging, which keeps them for 30 days
    unless the project configures another time. Secrets of the run spec are removed.

    `show --help` explains ID. --json prints a list of objects: `at`, `origin`, `resource`, `text`.

    Needs roles/storage.objectViewer on the ledger's bucket and roles/logging.viewer on the project.

    \b
    Example:
      vertex-launch logs k7dd2lmn -f --project=my-project

    Exit codes: 1 if no launch has this ID, or a permission is missing; 2 if several have it; 4 if
    the ledger or Cloud Logging does not answer.
    """  # noqa: D301 - \b is click's
    reader = CloudLogging(os.environ.get("LOGGING_ENDPOINT", ""))
    log = Log(target, find_one(target, launch_id), reader.lines)
    try:
        _print(log, follow=follow, tail=tail, as_json=as_json)
    except Denied as exc:
        if "Cloud Logging" not in str(exc):
            raise
        raise click.ClickException(grant_logs(exc, target.project)) from exc
    except KeyboardInterrupt:
        return


@dataclass(frozen=True, slots=True)
class Origin:
    """A job or a build of a launch."""

    name: str  # of the resource
    label: str


@dataclass(frozen=True, slots=True)
class Printed:
    """A line, and its origin."""

    line: LogLine
    origin: Origin

    @property
    def label(self) -> str:
        """Return the origin for people."""
        task = self.line.task
        return self.origin.label + (f" {plain(task)}" if task and task != "workerpool0-0" else "")

    def document(self) -> dict[str, Any]:
        """Return it as JSON, without secrets."""
        return {
            "at": rows.moment(self.line.at),
            "origin": self.label,
            "resource": self.origin.name,
            "text": "\n".join(plain_lines(self.line.text)),
        }

    def text(self) -> str:
        """Return it for people; each line of its text has the time and the origin."""
        head = f"{self.line.at:%m-%d %H:%M:%S} {self.label}"
        return "\n".join(f"{head}  {text}".rstrip() for text in plain_lines(self.line.text) or [""])


@dataclass
class Log:
    """The lines of one launch; `read` reads the log of one job or build."""

    target: Target
    entry: Entry
    read: Read
    launch: Launch | None = None
    origins: list[Origin] = field(default_factory=list)
    _seen: dict[str, set[tuple[datetime, str, str]]] = field(default_factory=dict)
    _until: dict[str, datetime] = field(default_factory=dict)

    def refresh(self) -> None:
        """Read the record again: it names the jobs and builds."""
        self.launch = self.target.launch(self.entry) or self.launch
        if self.launch:
            self.entry = self.launch.entry
            self.origins = list(origins(self.launch))

    def more(self) -> Iterator[Printed]:
        """Yield the lines of all jobs and builds that were not seen before, in time order."""
        begun = [origin for origin in self.origins if self._may_print(origin)]
        yield from heapq.merge(*map(self._new, begun), key=lambda printed: printed.line.at)

    @property
    def over(self) -> bool:
        """Tell whether the launch prints nothing more, apart from lines that arrive late."""
        return self.entry.state is State.ENDED

    def _may_print(self, origin: Origin) -> bool:
        """Tell whether an origin may have new lines: it was never read, or is the last one."""
        return origin.name not in self._seen or origin in self.origins[-2:]

    def _new(self, origin: Origin) -> Iterator[Printed]:
        seen = self._seen.setdefault(origin.name, set())
        since = self._until.get(origin.name, self.entry.opened_at) - LATE
        for line in self.read(self._project, origin.name, since):
            mark = (line.at, line.id, line.text)
            if mark in seen:
                continue
            seen.add(mark)
            self._until[origin.name] = max(line.at, self._until.get(origin.name, line.at))
            yield Printed(line, origin)
        horizon = self._until.get(origin.name)
        if horizon:  # a log of days is not kept in memory
            seen -= {mark for mark in seen if mark[0] < horizon - 2 * LATE}

    @property
    def _project(self) -> str:
        """Return the project of the jobs; Vertex AI may write its number into their names."""
        place = (self.entry.parent or self.entry.build).split("/")
        return place[1] if len(place) > 1 else self.target.project


def origins(launch: Launch) -> Iterator[Origin]:
    """Yield the builds and jobs of a launch, the oldest first."""
    entry = launch.entry
    jobs = {event.job.rpartition("/")[2]: event.attempt for event in launch.events if event.job}
    written = [name for line in launch.history for name in _RESOURCE.findall(line.result)]
    tried = [event.job for event in launch.events if event.job]
    for line in launch.history:
        jobs |= {name.rpartition("/")[2]: line.number for name in _RESOURCE.findall(line.result)}
    yielded: set[str] = set()
    for name in [*written, *tried, entry.build, entry.job_name]:
        number = name.rpartition("/")[2]
        if number and number not in yielded:
            yielded.add(number)
            attempt = jobs.get(number, entry.attempt)
            yield Origin(name, "build" if "/builds/" in name else f"try {attempt}")


def _print(
    log: Log,
    *,
    follow: bool,
    tail: int | None,
    as_json: bool,
    wait: Callable[[float], object] = time.sleep,
) -> None:
    """Print the lines, and with `follow` those that come."""
    left, some = AFTER, False
    while True:
        log.refresh()
        lines: Iterable[Printed] = log.more()
        with hiding(secrets_in(log.launch.run_spec) if log.launch else ()):
            if tail and not some:
                lines = deque(lines, maxlen=tail)
            if as_json and not follow:
                click.echo(json.dumps([printed.document() for printed in lines], indent=2))
                return
            for printed in lines:
                some = True
                click.echo(json.dumps(printed.document()) if as_json else printed.text())
        left -= log.over
        if not follow or left < 0:
            break
        wait(EVERY)
    if not some:
        click.echo(_nothing(log), err=True)


def _nothing(log: Log) -> str:
    state = state_of(log.entry, log.target.now())
    has = (
        "has printed nothing that Cloud Logging shows" if log.origins else "has no job and no build"
    )
    why = rows.reason(log.entry)
    return f"The launch {log.entry.key} {has}. It is {state}{f': {why}' if why else ''}"
