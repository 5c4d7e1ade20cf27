"""Put jobs on the stack's queue with W&B's own command line, as their authors do."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.environment import clean
from deploy.local.processes import NotStartedError
from deploy.local.project import ENTITY, QUEUE
from deploy.local.stack import Stack

LOG = "enqueue"
# `wandb` with each list of arguments, in one process: to import wandb takes longer than its work
WANDB = """
import json, sys
from wandb.cli.cli import cli
for arguments in json.loads(sys.argv[1]):
    print("wandb", *arguments)
    cli(arguments, prog_name="wandb", standalone_mode=False)
"""


@dataclass(frozen=True)
class Job:
    """One job as its author describes it."""

    name: str
    image: str = "train"  # a folder of images/
    made_of: tuple[str, ...] = ()  # arguments of `wandb job create`; empty: the item names an image
    config: Mapping[str, Any] = field(default_factory=dict)  # the run's
    resource_args: Mapping[str, Any] | None = None


def enqueue(stack: Stack, jobs: Iterable[Job], project: str) -> None:
    """Run `wandb launch` for each job, and before it `wandb job create` if one is made of code.

    Raises:
        NotStartedError: a command failed; its one line names the log.
    """
    folder = stack.folder.resolve()
    commands = [command for job in jobs for command in _commands(job, project, folder)]
    own = {"WANDB_DIR": str(folder), "WANDB_SILENT": "true"}
    environ = clean(folder / "home") | stack.user_settings() | own
    program = [sys.executable, "-c", WANDB, json.dumps(commands)]
    if code := stack.processes.run(LOG, program, environ, folder):
        log = stack.processes.log(LOG)
        raise NotStartedError(f"a command of wandb ended with exit code {code}: see {log}")


def _commands(job: Job, project: str, folder: Path) -> Iterator[list[str]]:
    """Yield the arguments of each command; the launch's configuration is a file in the folder."""
    config: dict[str, Any] = {"overrides": {"run_config": dict(job.config)}}
    if job.resource_args:
        config["resource_args"] = {"gcp-vertex": job.resource_args}
    path = folder / f"{job.name}.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    target = ["--entity", ENTITY, "--project", project, "--name", job.name]
    source = ["--docker-image", f"local/{job.image}:latest"]
    if job.made_of:
        yield ["job", "create", *target, *job.made_of]
        source = ["--job", f"{ENTITY}/{project}/{job.name}:latest"]
    yield ["launch", "--queue", QUEUE, *target, *source, "--config", str(path)]
