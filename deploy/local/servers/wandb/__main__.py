"""Start the stand-in for W&B: `python -m deploy.local.servers.wandb --port 8800`."""

import asyncio
import socket

import click
import uvicorn

from deploy.local.servers.faults import Faulty, fault_options
from deploy.local.servers.shapes import WANDB
from deploy.local.servers.wandb.app import create_app, under
from deploy.local.servers.wandb.shapes import SHAPES
from deploy.local.servers.wandb.state import State


class Announcing(uvicorn.Server):
    """A server that prints its URL once it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then print the URL."""
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        print(f"W&B stand-in ready: http://{host}:{port}", flush=True)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, help="Port; 0 selects a free one.")
@click.option(
    "--latency-ms",
    default=0.0,
    show_default=True,
    help="Delay of every GraphQL request.",
)
@click.option(
    "--lease-seconds",
    default=60.0,
    show_default=True,
    help="Lease of a popped item until its ack.",
)
@click.option(
    "--crashed-after-seconds",
    default=300.0,
    show_default=True,
    help="Silence after which a run counts as crashed.",
)
@click.option(
    "--api-key",
    "api_keys",
    multiple=True,
    help="A valid API key; without this option every key is valid. Repeatable.",
)
@click.option("--entity", default="local", show_default=True, help="Default entity of every user.")
@click.option(
    "--error-shape",
    type=click.Choice(SHAPES),
    default="usual",
    show_default=True,
    help="Form of a refusal.",
)
@click.option("--path", default="", help="Serve under this path only, such as /wandb.")
@fault_options
def main(
    host: str,
    port: int,
    latency_ms: float,
    lease_seconds: float,
    crashed_after_seconds: float,
    api_keys: tuple[str, ...],
    entity: str,
    error_shape: str,
    path: str,
    fault_rate: float,
    fault_seed: int,
) -> None:
    """Serve W&B's API on this machine, with its state in memory."""
    state = State(
        api_keys=api_keys,
        entity=entity,
        lease_seconds=lease_seconds,
        crashed_after_seconds=crashed_after_seconds,
    )
    state.errors.change({"shape": error_shape})
    app = Faulty(
        create_app(state, latency=latency_ms / 1000), "/graphql", fault_rate, fault_seed, WANDB
    )
    config = uvicorn.Config(
        under(path, app) if path else app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
    )
    asyncio.run(Announcing(config).serve())


if __name__ == "__main__":
    main()
