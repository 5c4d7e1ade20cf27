"""Start the stand-in for Cloud Build: `python -m deploy.local.servers.build --port 7005 …`."""

from pathlib import Path

import click
import uvicorn

from deploy.local.image_store import ImageStore
from deploy.local.servers.build.app import create_app
from deploy.local.servers.build.state import BuildState
from deploy.local.servers.faults import Faulty, fault_options
from deploy.local.servers.shapes import BUILD
from deploy.local.servers.vertex.__main__ import IMAGES


@click.command()
@click.option("--port", type=int, required=True, help="Listen on 127.0.0.1 at this port.")
@click.option("--gcs", required=True, help="URL of the server with the builds' sources.")
@click.option(
    "--built", type=click.Path(path_type=Path), required=True, help="Folder for the images."
)
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the builds' logs.",
)
@click.option(
    "--at-once",
    type=click.IntRange(0),
    help="Number of concurrent builds; others stay QUEUED.",
)
@fault_options
def main(
    port: int,
    gcs: str,
    built: Path,
    state_dir: Path,
    at_once: int | None,
    fault_rate: float,
    fault_seed: int,
) -> None:
    """Serve builds on this machine, as Cloud Build does."""
    store = ImageStore(IMAGES.resolve(), built.resolve())
    state = BuildState(state_dir.resolve(), store, gcs, f"http://127.0.0.1:{port}")
    state.at_once = at_once
    app = Faulty(create_app(state), "/v1/", fault_rate, fault_seed, BUILD)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
