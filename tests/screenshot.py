"""`make screenshot`: run the demo's jobs, then take the README's pictures of the board in Chromium."""

import os
import tempfile
import threading
import time
from pathlib import Path

import click

from deploy.local.commands import DEMO_SETTINGS
from deploy.local.demo import Demo
from deploy.local.serving import serving
from deploy.local.stack import BUCKET, LOCATION, PROJECT, ROOT, Ports, Stack
from deploy.operate.board.app import create_app
from deploy.operate.fleet.target import Target
from tests.bench.stacks import clients_of
from tests.browser import CHROMIUM, chromium

SCREEN = (1280, 1180)
PICTURES = {"light": "board.png", "dark": "board-dark.png"}


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=ROOT / "docs" / "images", show_default=True)
@click.option("--timeout", default=180, show_default=True, help="Stop after this many seconds.")
def screenshot(folder: Path, timeout: int) -> None:
    """Write board.png and board-dark.png: the board as it looks after the demo."""
    if not CHROMIUM:
        raise click.ClickException("Debian's package chromium is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, Stack(Path(made), Ports.free(), DEMO_SETTINGS, every=1.5) as stack:
        _run_jobs(stack, time.monotonic() + timeout)
        settings = stack.function_settings()
        os.environ |= {name: settings[name] for name in ("VERTEX_ENDPOINT", "WANDB_BASE_URL")}
        target = Target(PROJECT, LOCATION, "launch", BUCKET, settings["LAUNCH_AGENT_NAME"], local=True)
        home = Path(made) / "chromium"
        home.mkdir()
        with clients_of(stack), serving(create_app(target)) as url, chromium(home) as browser:
            browser.size(*SCREEN)
            for scheme, name in PICTURES.items():
                browser.media(prefers_color_scheme=scheme)
                browser.open(f"{url}/")
                browser.picture(folder / name)
                click.echo(f"Written to {folder / name}.")


def _run_jobs(stack: Stack, deadline: float) -> None:
    """Run the demo's jobs until each has ended as expected."""
    run = Demo(stack)
    threading.Thread(target=run.enqueue_all, daemon=True).start()
    while not run.settled:
        run.look()
        if time.monotonic() > deadline:
            raise click.ClickException("the demo's jobs have not ended in time")
        time.sleep(0.4)
    if run.errors:
        raise click.ClickException(run.errors[0])


if __name__ == "__main__":
    screenshot()
