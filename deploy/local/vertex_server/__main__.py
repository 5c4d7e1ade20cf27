"""Run the stand-in: `python -m deploy.local.vertex_server --port 7003`."""

import shutil
import tempfile
from pathlib import Path

import click
import uvicorn

from deploy.local.vertex_server.app import create_app
from deploy.local.vertex_server.runner import Runner
from deploy.local.vertex_server.state import VertexState

IMAGES = Path(__file__).parent.parent / "images"


@click.command()
@click.option("--port", type=int, required=True, help="Listen on 127.0.0.1 at this port.")
@click.option("--images", type=click.Path(path_type=Path), default=IMAGES, help="Folder of the local/ images.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Keep the jobs' logs here.")
@click.option("--pending-seconds", type=float, default=0.3, show_default=True, help="How long a job waits.")
@click.option("--kill-grace-seconds", type=float, default=5.0, show_default=True, help="From SIGTERM to SIGKILL.")
def main(port: int, images: Path, state_dir: Path | None, pending_seconds: float, kill_grace_seconds: float) -> None:
    """Stand in for Vertex AI's custom jobs on this machine."""
    folder = state_dir or Path(tempfile.mkdtemp(prefix="vertex-"))
    folder.mkdir(parents=True, exist_ok=True)
    runner = Runner(images.resolve(), folder.resolve(), pending_seconds, kill_grace_seconds)

    def close() -> None:
        runner.close()
        if state_dir is None:
            shutil.rmtree(folder, ignore_errors=True)

    app = create_app(VertexState(runner.start), close)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
