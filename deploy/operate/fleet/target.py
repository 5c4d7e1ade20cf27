"""The deployment that a command looks at, in the cloud or on this machine, and its options."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, wraps
from typing import Any
from urllib.parse import quote

import click

from deploy.cloud.names import Names
from deploy.exit_codes import CouldNotSee
from deploy.local.record import FOLDER, find
from deploy.operate.fleet.permission import VIEWER, WRITER, grant
from deploy.operate.terminal import show_any_text
from shared.adapters.gcs import Bucket, GcsAgentBook, GcsLedger
from shared.core.console import console_link
from shared.core.entry import Entry, RunPath
from shared.core.errors import Conflict, Denied, LaunchError, Retry, UnreadableRecord
from shared.core.launch import Launch
from shared.core.ports import AgentNote

CLOUD = "https://api.wandb.ai"
PATIENT = 300.0  # seconds: a hundred thousand closed launches are a hundred pages


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
        return Bucket(self.bucket_name, longest=PATIENT)

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

    def launch(self, entry: Entry) -> Launch | None:
        """Read the whole record of a launch, open or closed; None if it is gone meanwhile.

        Raises:
            UnreadableRecord: this version cannot read it.
        """
        return self.ledger.read_closed(entry.key) or self.ledger.read(entry.key)

    def run_url(self, run: RunPath) -> str:
        """Return the address of a run's page in W&B."""
        return run_page(self.wandb_url, run)

    def job_url(self, job_name: str) -> str:
        """Return the address of a job's page: in Google's console, or its log on this machine."""
        if not self.local:
            return console_link(job_name)
        number = job_name.rpartition("/")[2]
        return f"{os.environ.get('VERTEX_ENDPOINT', '')}/standin/jobs/{number}/log"

    @cached_property
    def wandb_url(self) -> str:
        """Return the address of W&B's pages, as W&B's client derives it from that of the API."""
        return wandb_pages(self.note.base_url)


def wandb_pages(base_url: str) -> str:
    """Return the address of W&B's pages from that of its API; empty stands for the default."""
    url = base_url or os.environ.get("WANDB_BASE_URL") or CLOUD
    pages = "://" if "://api.wandb." in url else "://app."
    return url.rstrip("/").replace("://api.", pages)


def run_page(pages: str, run: RunPath) -> str:
    """Return the address of a run's page."""
    path = (run.entity, run.project, "runs", run.run_id)
    return "/".join([pages, *(quote(part, safe="") for part in path)])


def target_options(command: Callable[..., None], role: str = VIEWER) -> Callable[..., None]:
    """Add the options that find a deployment; the command receives a `Target`.

    Without a project, or with the local one, the running stack of `make up` is the target. Errors
    of the ledger end the command with their fix; `role` is what the command needs on the bucket.
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
        logging.getLogger().addHandler(logging.NullHandler())  # the functions' lines are for logs
        show_any_text()
        target = Target(
            project,
            region or stack.get("VERTEX_LOCATION", ""),
            name,
            bucket or stack.get("LEDGER_BUCKET", "") or Names(project, region, name).ledger_bucket,
            agent_name or stack.get("LAUNCH_AGENT_NAME", "") or _agent_name(name, stack),
            local=bool(stack),
        )
        with explained(target, role):
            command(target, **others)

    return with_target


def changing_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `target_options` to a command that writes into the ledger."""
    return target_options(command, WRITER)


@contextmanager
def explained(target: Target, role: str = VIEWER) -> Iterator[None]:
    """Turn errors of the ledger into messages with a fix."""
    try:
        yield
    except UnreadableRecord as exc:  # it stays so
        raise click.ClickException(str(exc)) from exc
    except Denied as exc:
        raise click.ClickException(grant(exc, target.bucket_name, target.project, role)) from exc
    except (Retry, Conflict) as exc:
        raise CouldNotSee(str(exc)) from exc
    except LaunchError as exc:
        raise click.ClickException(str(exc)) from exc


def _agent_name(name: str, stack: dict[str, str]) -> str:
    """Return the name of the agent's record if nothing names it: a stack keeps the default."""
    return "vertex-launch" if stack else name
