"""The board in Chromium."""

from collections.abc import Iterator
from pathlib import Path

import click

from deploy.local.serving import serving
from deploy.operate.board.app import create_app
from tests.bench.figures import Figure
from tests.browser import CHROMIUM, chromium
from tests.unit import boards

LAUNCHES = 1_000
# two frames after the load event: all rows are laid out and painted
DRAWN = """new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() =>
  drawn((performance.now() - performance.getEntriesByType("navigation")[0].responseEnd) / 1000))))"""
BYTES = "performance.getEntriesByType('navigation')[0].decodedBodySize"


def board(folder: Path, rounds: int) -> Iterator[Figure]:
    """The board with 1,000 launches, all of them shown, in Chromium."""
    if not CHROMIUM:
        raise click.ClickException("Debian's package chromium is not installed")
    folder.mkdir()
    seconds = []
    with serving(create_app(boards.target_of(boards.fleet(LAUNCHES)))) as url, chromium(folder) as browser:
        browser.size(1360, 900)
        for _ in range(rounds):
            browser.open(f"{url}/?rows={LAUNCHES}")
            seconds.append(browser.run(DRAWN))
        # other programs of the machine only add to it
        yield Figure("from the last byte to all rows drawn, at best", min(seconds), 1, "s")
        yield Figure("elements of the page, for each launch", browser.nodes() / LAUNCHES, 26, "elements")
        yield Figure("size of the page, for each launch", browser.run(BYTES) / LAUNCHES / 1000, 1.7, "kB")
