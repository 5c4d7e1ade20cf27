"""`vertex-launch pause` and `resume`: hold back the launches of a queue, and let them go on."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import click

from deploy.operate.fleet.target import Target, changing_options
from deploy.operate.plain import plain
from deploy.operate.steering.agent_note import change_note
from deploy.operate.steering.person import as_option
from shared.core.pause import Pause, pause_of
from shared.core.ports import AgentNote

ALL = "all queues"


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that both commands have."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option(
            "--queue",
            "queues",
            multiple=True,
            metavar="NAME",
            help="Only this queue; repeatable.  [default: all]",
        ),
    ):
        command = option(command)
    return command


@click.command()
@changing_options
@as_option
@_options
def pause(target: Target, by: str, queues: tuple[str, ...], as_json: bool) -> None:
    """Pause queues: poll pops nothing from them, and their waiting launches wait.

    A running job goes on, as does a launch that submit is working on. The items of launches that
    wait say who paused the queue. Requests without a queue are not paused. `vertex-launch resume`
    undoes it; `vertex-launch agent stop` stops poll for all queues, but no launch that waits.

    --json prints one object: `paused`, a list of objects with `queue` (null: all), `by` and `at`.

    Needs roles/storage.objectUser on the ledger's bucket.

    \b
    Examples:
      vertex-launch pause --project=my-project
      vertex-launch pause --queue=vertex --project=my-project

    Exit codes: 1 if there is no such queue or the record cannot be written; 4 if the bucket does
    not answer, or if a poll runs for longer than --wait.
    """  # noqa: D301 - \b is click's
    now = target.now()
    lines: list[str] = []

    def change(note: AgentNote) -> AgentNote:
        _check(queues, note)
        paused = list(note.paused)
        for queue in queues or ("",):
            if known := pause_of(queue, paused):
                lines.append(f"{_name(known.queue)}: paused already, {plain(known)}")
                continue
            paused = [Pause(queue, by, now), *(each for each in paused if queue)]
            lines.append(f"{_name(queue)}: paused. `vertex-launch resume` lets it go on")
        return replace(note, paused=tuple(paused))

    _show(target, change, lines, as_json=as_json)


@click.command()
@changing_options
@_options
def resume(target: Target, queues: tuple[str, ...], as_json: bool) -> None:
    """Let paused queues go on: poll pops again, and status starts what waits within a minute.

    Without --queue, all queues go on, each paused one too. --json prints what is still paused, as
    `vertex-launch pause` does.

    Needs roles/storage.objectUser on the ledger's bucket.

    \b
    Examples:
      vertex-launch resume --project=my-project
      vertex-launch resume --queue=vertex --project=my-project

    Exit codes: 1 if all queues are paused together and you name one, there is no such queue, or
    the record cannot be written; 4 if the bucket does not answer.
    """  # noqa: D301 - \b is click's
    lines: list[str] = []

    def change(note: AgentNote) -> AgentNote:
        paused = [pause for pause in note.paused if queues and pause.queue not in queues]
        if queues and any(not pause.queue for pause in note.paused):
            raise click.ClickException(
                "all queues are paused together: `vertex-launch resume` lets all go on. "
                "Pause single queues afterwards with --queue"
            )
        known = {pause.queue for pause in note.paused}
        _check([queue for queue in queues if queue not in known], note)
        for queue in queues or sorted(known) or ("",):
            state = "goes on" if queue in known else "was not paused"
            lines.append(f"{_name(queue)}: {state}")
        return replace(note, paused=tuple(paused))

    _show(target, change, lines, as_json=as_json)


def _show(
    target: Target,
    change: Callable[[AgentNote], AgentNote],
    lines: list[str],
    *,
    as_json: bool,
) -> None:
    """Change the note, and print what has changed or what is paused."""

    def changed(note: AgentNote) -> AgentNote:
        lines.clear()  # of a try that another process was quicker than
        return change(note)

    paused = change_note(target, changed).paused
    if as_json:
        click.echo(json.dumps({"paused": [_document(pause) for pause in paused]}, indent=2))
    else:
        click.echo("\n".join(lines))


def _check(queues: Sequence[str], note: AgentNote) -> None:
    """Refuse a queue that poll does not serve, as far as its last call shows."""
    strange = [queue for queue in queues if note.queues and queue not in note.queues]
    if strange:
        served = ", ".join(plain(queue) for queue in note.queues)
        raise click.ClickException(
            f"poll serves no queue named {', '.join(plain(queue) for queue in strange)}. "
            f"Its queues: {served}"
        )


def _document(pause: Pause) -> dict[str, Any]:
    return {"queue": pause.queue or None, "by": pause.by, "at": pause.at.isoformat()}


def _name(queue: str) -> str:
    return plain(queue) if queue else ALL
