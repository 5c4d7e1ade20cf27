"""The deployment that a command looks at, in the cloud or on this machine, and its options."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, wraps
from typing import Any

import click

from deploy.cloud.names import Names
from deploy.local.record import FOLDER, find
from shared.adapters.gcs import Bucket, GcsAgentBook, GcsLedger
from shared.core.ports import AgentNote


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

    Without a project, or with the local one, the running stack of `make up` is the target.
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
        record = find()
        stack = record.environment if record and project in ("", record.project) else {}
        if (folder := os.environ.get(FOLDER)) and not stack:
            why = f"is not {project}" if record else "has ended"
            raise click.UsageError(
                f"this shell has the variables of the stack in {folder}, which {why}: "
                "use another shell"
            )
        os.environ.update(stack)
        project = project or stack.get("GOOGLE_CLOUD_PROJECT", "")
        if not project:
            raise click.UsageError(
                "--project is missing, and no stack of `make up` runs here: "
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
