"""Run the stand-in: `python -m deploy.local.build_server --port 7005 --gcs http://127.0.0.1:7004 --built FOLDER`."""

from pathlib import Path

import click
import uvicorn

from deploy.local.build_server.app import create_app
from deploy.local.build_server.state import BuildState
from deploy.local.image_store import ImageStore
from deploy.local.vertex_server.__main__ import IMAGES


@click.command()
@click.option("--port", type=int, required=True, help="Listen on 127.0.0.1 at this port.")
@click.option("--gcs", required=True, help="URL of the server that has the builds' sources.")
@click.option("--built", type=click.Path(path_type=Path), required=True, help="Keep the images here.")
@click.option("--state-dir", type=click.Path(path_type=Path), required=True, help="Keep the builds' logs here.")
def main(port: int, gcs: str, built: Path, state_dir: Path) -> None:
    """Stand in for Cloud Build on this machine."""
    store = ImageStore(IMAGES.resolve(), built.resolve())
    state = BuildState(state_dir.resolve(), store, gcs, f"http://127.0.0.1:{port}")
    uvicorn.run(create_app(state), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
