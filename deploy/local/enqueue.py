"""Put jobs on the stack's queue with W&B's own command line, as their authors do."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.local.environment import clean
from deploy.local.processes import NotStartedError
from deploy.local.project import ENTITY, QUEUE
from deploy.local.stack import Stack


@dataclass(frozen=True)
class Job:
    """One job as its author describes it."""

    name: str
    image: str = "train"  # a folder of images/
    made_of: tuple[str, ...] = ()  # arguments of `wandb job create`; empty: the item names an image
    config: Mapping[str, Any] = field(default_factory=dict)  # the run's
    resource_args: Mapping[str, Any] | None = None


def enqueue(stack: Stack, job: Job, project: str) -> None:
    """Run `wandb launch`, and before it `wandb job create` if the job is made of something.

    Raises:
        NotStartedError: a command failed; its one line names the command and its log.
    """
    config: dict[str, Any] = {"overrides": {"run_config": dict(job.config)}}
    if job.resource_args:
        config["resource_args"] = {"gcp-vertex": job.resource_args}
    path = stack.folder / f"{job.name}.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    target = ["--entity", ENTITY, "--project", project, "--name", job.name]
    source = ["--docker-image", f"local/{job.image}:latest"]
    if job.made_of:
        _wandb(stack, job, "job", "create", *target, *job.made_of)
        source = ["--job", f"{ENTITY}/{project}/{job.name}:latest"]
    options = [*target, *source, "--config", str(path.resolve())]
    _wandb(stack, job, "launch", "--queue", QUEUE, *options)


def _wandb(stack: Stack, job: Job, *command: str) -> None:
    folder = stack.folder.resolve()
    own = {"WANDB_DIR": str(folder), "WANDB_SILENT": "true"}
    environ = clean(folder / "home") | stack.user_settings() | own
    wandb = [sys.executable, "-m", "wandb", *command]
    code = stack.processes.run(job.name, wandb, environ, folder)
    if code:
        subject = f"wandb {command[0]} of {job.name}"
        log = stack.processes.log(job.name)
        raise NotStartedError(f"{subject} ended with exit code {code}: see {log}")
