"""Start the stand-in for Vertex AI: `python -m deploy.local.servers.vertex --port 7003`."""

import shutil
import tempfile
from pathlib import Path

import click
import uvicorn

from deploy.local.servers.faults import Faulty, fault_options
from deploy.local.servers.vertex.app import create_app
from deploy.local.servers.vertex.runner import Runner
from deploy.local.servers.vertex.shapes import VERTEX
from deploy.local.servers.vertex.shortages import Lack
from deploy.local.servers.vertex.state import VertexState

IMAGES = Path(__file__).parent.parent.parent / "images"


def _shortages(
    _: click.Context, __: click.Parameter, written: tuple[str, ...]
) -> list[tuple[str, str, Lack]]:
    """Read shortages, written as REGION:STRATEGY:KIND."""
    read = []
    for one in written:
        match one.split(":"):
            case [region, strategy, kind] if kind in tuple(Lack):
                read.append((region, strategy, Lack(kind)))
            case _:
                raise click.BadParameter(
                    f"{one!r} is not REGION:STRATEGY:KIND with a KIND of {', '.join(Lack)}"
                )
    return read


def _quotas(_: click.Context, __: click.Parameter, written: tuple[str, ...]) -> dict[str, int]:
    """Read machine quotas by region, written as REGION:NUMBER."""
    read = {}
    for one in written:
        region, _colon, number = one.partition(":")
        if not region or not number.isdecimal():
            raise click.BadParameter(f"{one!r} is not REGION:NUMBER")
        read[region] = int(number)
    return read


@click.command()
@click.option("--port", type=int, required=True, help="Listen on 127.0.0.1 at this port.")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    default=IMAGES,
    help="Folder of the images local/NAME.",
)
@click.option("--built", type=click.Path(path_type=Path), help="Folder of the images built here.")
@click.option(
    "--build-logs",
    type=click.Path(path_type=Path),
    help="Folder of Cloud Build's build logs.",
)
@click.option("--state-dir", type=click.Path(path_type=Path), help="Folder for the jobs' logs.")
@click.option(
    "--shortage",
    "shortages",
    multiple=True,
    metavar="REGION:STRATEGY:KIND",
    callback=_shortages,
    help=f"Simulate a shortage. KIND is one of {', '.join(Lack)}. Repeatable.",
)
@click.option(
    "--pending-seconds",
    type=float,
    default=0.3,
    show_default=True,
    help="Seconds that a job waits.",
)
@click.option(
    "--error-seconds",
    type=float,
    default=1.0,
    show_default=True,
    help="Seconds from a job's end to its error.",
)
@click.option(
    "--list-seconds",
    type=float,
    default=0.0,
    show_default=True,
    help="Seconds from a create to its listing.",
)
@click.option(
    "--machines",
    multiple=True,
    metavar="REGION:NUMBER",
    callback=_quotas,
    help="Limit a region's running replicas; other jobs stay QUEUED. Repeatable.",
)
@click.option(
    "--kill-grace-seconds",
    type=float,
    default=5.0,
    show_default=True,
    help="Seconds from SIGTERM to SIGKILL.",
)
@fault_options
def main(
    port: int,
    images: Path,
    built: Path | None,
    build_logs: Path | None,
    state_dir: Path | None,
    shortages: list[tuple[str, str, Lack]],
    pending_seconds: float,
    error_seconds: float,
    list_seconds: float,
    machines: dict[str, int],
    kill_grace_seconds: float,
    fault_rate: float,
    fault_seed: int,
) -> None:
    """Serve custom jobs on this machine, as Vertex AI does."""
    folder = state_dir or Path(tempfile.mkdtemp(prefix="vertex-"))
    folder.mkdir(parents=True, exist_ok=True)
    runner = Runner(images.resolve(), folder.resolve(), pending_seconds, kill_grace_seconds, built)

    def close() -> None:
        runner.close()
        if state_dir is None:
            shutil.rmtree(folder, ignore_errors=True)

    state = VertexState(runner.start)
    state.build_logs = build_logs
    changes = {"error_seconds": error_seconds, "list_seconds": list_seconds, "machines": machines}
    state.behaviour.change(changes)
    for shortage in shortages:
        state.shortages.begin(*shortage)
    app = Faulty(create_app(state, close), "/v1/", fault_rate, fault_seed, VERTEX)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
