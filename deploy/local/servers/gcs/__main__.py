"""Start the stand-in for Cloud Storage: `python -m deploy.local.servers.gcs --port 7004`."""

import socket
import subprocess
import time
from contextlib import closing

import click
import uvicorn

from deploy.local.processes import HOST, free_port
from deploy.local.servers.gcs.limits import WRITE_SECONDS, Limits
from deploy.local.servers.gcs.proxy import create_app
from deploy.local.servers.gcs.server import gcs_command


@click.command()
@click.option("--port", type=int, required=True, help="Listen on 127.0.0.1 at this port.")
@click.option(
    "--clock-shift",
    type=float,
    default=0.0,
    show_default=True,
    help="Lead of its clock in seconds.",
)
@click.option(
    "--write-seconds",
    type=float,
    default=WRITE_SECONDS,
    show_default=True,
    help="Least seconds between two writes of one object.",
)
def main(port: int, clock_shift: float, write_seconds: float) -> None:
    """Serve buckets on this machine, with the limits of Cloud Storage."""
    inner = free_port()
    # in this process group, so that a signal to the group ends both
    server = subprocess.Popen(gcs_command(HOST, inner, url=f"http://{HOST}:{port}"))
    try:
        _await(server, inner)
        app = create_app(Limits(f"http://{HOST}:{inner}", clock_shift, write_seconds))
        uvicorn.run(
            app,
            host=HOST,
            port=port,
            log_level="warning",
            date_header=False,
            timeout_graceful_shutdown=1,
        )
    finally:
        server.kill()
        server.wait()


def _await(server: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the server listens; raise ClickException if it ends first."""
    while server.poll() is None:
        with closing(socket.socket()) as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.02)
    raise click.ClickException(f"fake-gcs-server ended with exit code {server.returncode}")


if __name__ == "__main__":
    main()
