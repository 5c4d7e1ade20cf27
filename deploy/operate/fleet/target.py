"""The deployment that a command looks at, in the cloud or on this machine, and its options."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, wraps
from pathlib import Path
from typing import Any

import click

from deploy.cloud.names import Names
from shared.adapters.gcs import Bucket, GcsAgentBook, GcsLedger
from shared.core.ports import AgentNote

STACK = Path(".stack/stack.json")  # written by `make up`: {"pid": 1, "environment": {…}}


@dataclass(frozen=True)
class Target:
    """One deployment. `local` tells whether it is the stack of `make up`.

    All methods raise Retry or Denied of the ledger.
    """

    project: str
    region: str  # empty if no option, variable or stack names it
    name: str
    bucket_name: str
    agent_name: str
    local: bool = False

    @cached_property
    def bucket(self) -> Bucket:
        """Return the ledger's bucket."""
        return Bucket(self.bucket_name)

    @cached_property
    def ledger(self) -> GcsLedger:
        """Return the ledger."""
        return GcsLedger(self.bucket)

    @cached_property
    def book(self) -> GcsAgentBook:
        """Return the record of poll's agent."""
        return GcsAgentBook(self.bucket, self.agent_name)

    @cached_property
    def note(self) -> AgentNote:
        """Return the note of poll's agent: it names W&B, the entity and the queues."""
        return self.book.read() or AgentNote("")

    def now(self) -> datetime:
        """Return the time of the ledger's clock."""
        return self.ledger.now()


def target_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that find a deployment; the command receives a `Target`.

    Without a project, the running stack of `make up` in this folder is the target.
    """

    @click.option(
        "--project",
        envvar=["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"],
        default="",
        help="Id of the Google Cloud project.  [default: the stack of `make up`]",
    )
    @click.option("--region", envvar="VERTEX_LOCATION", default="", help="Region of its jobs.")
    @click.option("--name", default="launch", show_default=True, help="Name of the deployment.")
    @click.option(
        "--bucket",
        envvar="LEDGER_BUCKET",
        default="",
        help="The ledger's bucket.  [default: PROJECT-NAME-ledger]",
    )
    @click.option(
        "--agent-name",
        envvar="LAUNCH_AGENT_NAME",
        default="",
        help="Name of the agent's record.  [default: NAME]",
    )
    @wraps(command)
    def with_target(
        project: str, region: str, name: str, bucket: str, agent_name: str, **others: Any
    ) -> None:
        stack = {} if project else running_stack()
        os.environ.update(stack)
        project = project or stack.get("GOOGLE_CLOUD_PROJECT", "")
        if not project:
            raise click.UsageError(
                "--project is missing, and no stack of `make up` runs in this folder: "
                "add --project=PROJECT, or run `make up`"
            )
        os.environ.setdefault("GOOGLE_CLOUD_PROJECT", project)  # for Google's clients
        target = Target(
            project,
            region or stack.get("VERTEX_LOCATION", ""),
            name,
            bucket or stack.get("LEDGER_BUCKET", "") or Names(project, region, name).ledger_bucket,
            agent_name or stack.get("LAUNCH_AGENT_NAME", "") or name,
            local=bool(stack),
        )
        command(target, **others)

    return with_target


def running_stack(record: Path = STACK) -> dict[str, str]:
    """Return the environment of the stack that runs in this folder; empty if none runs."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        os.kill(found["pid"], 0)  # raises if no such process runs
    except (OSError, ValueError):
        return {}
    return dict(found["environment"])
