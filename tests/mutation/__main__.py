"""`python -m tests.mutation`: plant mistakes in functions/ and shared/, and count those that the tests notice."""

import secrets
import sys
import time
from collections import defaultdict

import click

from tests.mutation.score import NOTICED, Score


@click.command()
@click.argument("module", default="")
@click.option("--sample", type=int, help="Draw this many mutants.  [default: all]")
@click.option("--again", is_flag=True, help="Also try mutants that have a verdict.")
@click.option("--seconds", default=10**6, help="Start no mutant after this time.")
@click.option("--seed", type=int, help="Order of the mutants.  [default: another one each time]")
@click.option("--floor", default=0.0, help="Fail if the score is certainly below this share.")
@click.option("--depth", default=15.0, show_default=True, help="Seconds of tests for a mutant, nearest first.")
@click.option("--workers", default=2, show_default=True, help="Mutants at a time.")
@click.option("--survivors", is_flag=True, help="Only try the survivors of earlier runs again.")
def main(
    module: str,
    sample: int | None,
    again: bool,
    seconds: int,
    seed: int | None,
    floor: float,
    depth: float,
    workers: int,
    survivors: bool,
) -> None:
    """Try the mutants of MODULE (as functions.poll; all if empty), and print the score and each survivor.

    The verdicts stay in mutants/: the next run goes on where this one ended. `mutmut show NAME` prints a mutant.
    """
    from tests.mutation import mutants

    seed = secrets.randbelow(10**6) if seed is None else seed
    found = mutants.Mutants(workers, click.echo)
    names = found.names(module)
    drawn = mutants.shuffled(names, seed)[:sample]
    wanted = "survived" if survivors else "not checked"
    waiting = drawn if again else [name for name in drawn if found.verdict(name) == wanted]
    click.echo(f"{len(names)} mutants, {len(drawn)} drawn, {len(waiting)} to try, seed {seed}")
    click.echo("Trying them, each with the nearest tests; Ctrl-C ends with the score so far …")
    tried: list[str] = []
    try:
        for name in found.try_all(waiting, time.monotonic() + seconds, depth):
            tried.append(name)
            if found.verdict(name) not in NOTICED:
                click.echo(f"  {found.verdict(name)}: {name}")
            if len(tried) % 20 == 0:
                click.echo(f"  {Score.of(map(found.verdict, tried))}")
    except KeyboardInterrupt:
        click.echo("Stopped. The next run goes on here.")
    shown = tried if again else drawn
    modules = defaultdict[str, list[str]](list)
    for name in shown:
        modules[found.module(name)].append(found.verdict(name))
    for path, verdicts in sorted(modules.items()):
        if (score := Score.of(verdicts)).tried:
            click.echo(f"  {path:<50} {score.noticed:>5} / {score.tried}")
    for name in sorted(tried):
        if found.verdict(name) not in NOTICED:
            click.echo(f"{found.verdict(name)}: {name}")
    total = Score.of(map(found.verdict, shown))
    click.echo(f"{total}")
    sys.exit(total.interval()[1] < floor)


if __name__ == "__main__":
    main()
