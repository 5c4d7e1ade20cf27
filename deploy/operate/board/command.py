"""`vertex-launch board`: serve the page on loopback, or write it into a file."""

import errno
from contextlib import suppress
from pathlib import Path

import click

from deploy.operate.board.listings import Look
from deploy.operate.board.page import Pages
from deploy.operate.board.server import PORT, serve
from deploy.operate.board.view import MOST_ROWS, Choice
from deploy.operate.fleet.fleet import Fleet
from deploy.operate.fleet.target import Target, target_options


@click.command()
@target_options
@click.option(
    "--port",
    default=PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port on 127.0.0.1; 0 takes a free one.",
)
@click.option(
    "--export",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
    help="Write the page into this file, and end; `-` is standard output.",
)
def board(target: Target, port: int, export: Path | None) -> None:
    """Serve a page with every launch: what waits and why, what runs where, what ended and how.

    The page is read-only, and only this machine can open it. Its numbers come from one listing of
    the ledger, at most every four seconds, for any number of tabs. Ctrl-C ends it.

    Needs roles/storage.objectViewer on the ledger's bucket.

    \b
    Example:
      vertex-launch board --project=my-project
      vertex-launch board --project=my-project --export=board.html

    Exit codes: 1 if the port is taken, or if --export may not read the ledger; 4 if the ledger
    does not answer --export.
    """  # noqa: D301 - \b is click's
    if export:
        _export(target, export)
        return
    try:
        with suppress(KeyboardInterrupt):  # uvicorn raises it again after Ctrl-C
            serve(target, port, lambda url: click.echo(f"The board: {url} (Ctrl-C ends it)"))
    except OSError as exc:
        if exc.errno != errno.EADDRINUSE:
            raise click.ClickException(f"port {port}: {exc.strerror}") from exc
        problem = f"port {port} is taken: --port=0 takes a free one"
        raise click.ClickException(problem) from exc


def _export(target: Target, path: Path) -> None:
    """Write the page as one file, without links to this machine and without a script."""
    look = Look(Fleet.read(target, closed=True), target.note)
    html = Pages(target, alone=True).board(look, Choice(rows=MOST_ROWS), 0)
    if str(path) == "-":
        click.echo(html, nl=False)
        return
    try:
        path.write_text(html, encoding="utf-8")
    except OSError as exc:
        raise click.ClickException(f"{path}: {exc.strerror}") from exc
    click.echo(f"Written to {path}.", err=True)
