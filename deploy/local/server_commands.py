"""The commands that start the stand-ins."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.ports import HOST, Ports
from deploy.local.servers.pubsub.emulator import emulator_command


def server_commands(
    ports: Ports,
    folder: Path,
    options: Mapping[str, Sequence[str]],
    *,
    emulator: bool,
    builds: bool,
) -> dict[str, list[str]]:
    """Return the command of each stand-in by its name, in the order in which they start.

    `options` are further arguments by stand-in. `emulator` prefers Google's Pub/Sub emulator if it
    is installed. `builds` adds the stand-in for Cloud Build.
    """
    images = str((folder / "images").resolve())
    jobs = ["--state-dir", str((folder / "jobs").resolve()), "--built", images]
    build_logs = ["--build-logs", str((folder / "builds").resolve())]
    commands = {
        "gcs": _command("gcs", ports, options),
        "wandb": _command("wandb", ports, options),
        "vertex": _command("vertex", ports, options, *jobs, *build_logs),
        "pubsub": (emulator_command(HOST, ports.pubsub) if emulator else None)
        or _command("pubsub", ports, options),
    }
    if builds:
        where = ["--built", images, "--state-dir", str(folder / "builds")]
        commands["build"] = _command("build", ports, options, "--gcs", ports.url("gcs"), *where)
    return commands


def _command(
    name: str, ports: Ports, options: Mapping[str, Sequence[str]], *arguments: str
) -> list[str]:
    module = f"deploy.local.servers.{name}"
    port = str(getattr(ports, name))
    return [sys.executable, "-m", module, "--port", port, *arguments, *options.get(name, ())]
