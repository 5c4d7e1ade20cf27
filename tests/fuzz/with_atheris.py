"""`python -m tests.fuzz.with_atheris TARGET`: fuzz for --seconds, guided by code coverage.

libFuzzer prints the number of inputs, or the input that broke the promise; then the exit code is 77
and the input is in a file.
"""

import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import yaml
from hypothesis import given, settings

TARGETS = ("decoder", "renderer", "launch-config")


@click.command()
@click.argument("target", type=click.Choice(TARGETS))
@click.option("--seconds", default=60, show_default=True, help="Duration.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path(".fuzz"), show_default=True, help="Folder for findings."
)
def main(target: str, seconds: int, folder: Path) -> None:
    """Fuzz one target: decoder, renderer or launch-config."""
    if importlib.util.find_spec("atheris") is None:
        raise click.ClickException(
            "skipped: atheris is not installed. requirements-fuzz.txt installs it, if it has a wheel for this Python"
        )
    import atheris

    with atheris.instrument_imports(include=["shared", "yaml"]):
        from tests.fuzz import inputs, targets
    made: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
        "decoder": (targets.decoder, [json.dumps(one).encode() for one in (inputs.TICKET, inputs.REQUEST)]),
        "renderer": (_through_hypothesis(targets.renderer, inputs.SPECS), []),
        "launch-config": (targets.launch_config, [yaml.safe_dump(inputs.CONFIG).encode()]),
    }
    if target == "renderer":
        targets.names()  # takes seconds, which would count as the first input's
    run, seeds = made[target]
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-max_len=4000", "-timeout=60", "-rss_limit_mb=2048"]
        atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/{target}-", corpus], run)
        atheris.Fuzz()


def _through_hypothesis(target: Callable[[Any], object], strategy: Any) -> Callable[[bytes], object]:
    """Return a target whose bytes are the choices from which Hypothesis builds its input."""

    @settings(deadline=None, database=None)
    @given(strategy)
    def run(value: Any) -> None:
        target(value)

    through: Callable[[bytes], object] = run.hypothesis.fuzz_one_input
    return through


if __name__ == "__main__":
    main()
