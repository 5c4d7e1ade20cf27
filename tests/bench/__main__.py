"""`make bench`: speed, memory and sizes as ratios, counts and CPU time, written to docs/reference/benchmarks.md.

Milliseconds differ between machines; ratios to an empty function, or to one connection, hardly do.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
import yaml
from rich.console import Console

from deploy.local.stack import PROJECT, ROOT
from deploy.reference.costs import MEASURED
from deploy.reference.pages import pages, update
from tests.bench.board import board
from tests.bench.cadence import calls, launches
from tests.bench.cold import cold_starts
from tests.bench.demo import demo
from tests.bench.figures import Figure
from tests.bench.pacing import pacing
from tests.bench.scale import ends, scale
from tests.bench.seeing import listing
from tests.bench.sizes import sizes
from tests.bench.ticks import drain, memory, tick

Part = Callable[[Path, int], Iterator[Figure]]
PARTS: dict[str, Part] = {
    part.__name__: part
    for part in (
        cold_starts,
        drain,
        tick,
        memory,
        scale,
        ends,
        calls,
        launches,
        pacing,
        listing,
        board,
        demo,
        sizes,
    )
}
INTRO = """# Benchmarks

`make bench` writes this page; everything runs on loopback. A cold start is the median of several rounds, each
compared with an empty function of the same round. A container's memory is the PSS of its processes plus the full size
of the files that they map. Ratios, counts and memory are comparable between machines, CPU seconds roughly, wall-clock
seconds not.
"""
console = Console()


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Cold starts of each function.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=ROOT / "docs" / "reference" / "benchmarks.md",
    show_default=True,
)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(list(PARTS)),
    help="Measure only this part; other figures stay. Repeatable.",
)
def main(rounds: int, output: Path, only: tuple[str, ...]) -> None:
    """Measure everything once; the exit code is 1 if a bound does not hold."""
    os.environ["GOOGLE_CLOUD_PROJECT"] = PROJECT
    measured: dict[str, list[Figure]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in only or PARTS:
            console.print(f"[bold]{PARTS[name].__doc__}[/]")
            measured[name] = []
            for figure in PARTS[name](Path(folder) / name, rounds):
                console.print(f"  {figure.what}: {figure.measured:.2f} {figure.unit} (bound {figure.bound:g})")
                measured[name].append(figure)
    output.write_text(_page(measured, rounds, _sections(output)), encoding="utf-8")
    console.print(f"Written to {output}.")
    _store([figure for figures in measured.values() for figure in figures if figure.key])
    if broken := [figure.what for figures in measured.values() for figure in figures if not figure.kept]:
        raise click.ClickException("out of bounds: " + "; ".join(broken))


def _store(figures: list[Figure]) -> None:
    """Store the figures from which the page of costs is made, and write that page."""
    if not figures:
        return
    stored = yaml.safe_load(MEASURED.read_text(encoding="utf-8"))
    stored |= {"date": datetime.now(UTC).date(), **{figure.key: round(figure.measured, 3) for figure in figures}}
    text = "# Measured by `make bench`; docs/reference/costs.md is made from it.\n"
    MEASURED.write_text(text + yaml.safe_dump(stored, sort_keys=False), encoding="utf-8")
    for line in update(pages(), check=False):
        console.print(line)


def _sections(output: Path) -> dict[str, str]:
    """Return the sections of the file, by heading."""
    text = output.read_text(encoding="utf-8") if output.exists() else ""
    return {section.partition("\n")[0]: section for section in text.split("\n## ")[1:]}


def _page(measured: Mapping[str, list[Figure]], rounds: int, before: Mapping[str, str]) -> str:
    """Return the whole page; a part without a new measurement keeps its section."""
    page = INTRO
    for name, part in PARTS.items():
        heading = str(part.__doc__).removesuffix(".")
        section = _section(heading, measured[name], rounds) if name in measured else before.get(heading)
        if section is not None:
            page += f"\n## {section.rstrip()}\n"
    headings = {str(part.__doc__).removesuffix(".") for part in PARTS.values()}
    others = [section for heading, section in before.items() if heading not in headings]
    return page + "".join(f"\n## {section.rstrip()}\n" for section in others)


def _section(heading: str, figures: list[Figure], rounds: int) -> str:
    lines = [
        heading,
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, Python {sys.version.split()[0]}, "
        f"{rounds} rounds.",
        "",
        "| what | measured | bound | holds |",
        "|---|---|---|---|",
    ]
    for figure in figures:
        sign = "≥" if figure.at_least else "≤"
        shown = f"{figure.measured:.0f}" if figure.unit in ("calls", "MB") else f"{figure.measured:.2f}"
        holds = "yes" if figure.kept else "**no**"
        lines.append(f"| {figure.what} | {shown} {figure.unit} | {sign} {figure.bound:g} | {holds} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
