"""The record of a running stack: how commands in another terminal find and reach it.

`make up` and `make demo` write two files into their folder, `.stack` or `.demo`:

- `stack.json` has the fields of `Record`. It describes a running stack only while the folder's
  lock is held; `running` checks that.
- `env` exports `Record.environment` for a shell: `. .stack/env`.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local.environment import LOOPBACK, ROOT
from deploy.local.ports import HOST
from deploy.local.project import DEAD_LETTERS, WAKE_UP
from deploy.local.run_folder import holder

if TYPE_CHECKING:  # a command that reads a record need not load Google's SDK
    from deploy.local.stack import Stack

RECORD, SCRIPT = "stack.json", "env"
FORMAT = 1
FOLDER = "VERTEX_LAUNCH_FOLDER"  # in `env`: the folder of the stack that this shell uses
_SCRIPT = """# Reach the stack in {folder} from this shell: wandb, vertex-launch, gcloud.
{exports}
export no_proxy="{loopback}${{no_proxy:+,$no_proxy}}"; export NO_PROXY="$no_proxy"
export PATH="$PATH:"{programs}
"""


@dataclass(frozen=True)
class Record:
    """One running stack; every name is the one that the functions use."""

    format: int
    pid: int  # of the command that runs the stack; SIGTERM ends everything
    folder: str  # absolute; each process logs to NAME.log
    started_at: str  # ISO 8601, UTC
    project: str
    region: str
    entity: str
    queues: str  # as in LAUNCH_QUEUES
    agent_name: str  # LAUNCH_AGENT_NAME, which is also the deployment's name
    ledger_bucket: str
    topics: dict[str, str]  # full names: requests, dead_letters, events, wake_up
    addresses: dict[str, str]  # URL of each server and function; of pubsub, HOST:PORT
    # the variables with which `vertex-launch`, wandb, gcloud and Google's clients reach the stack
    environment: dict[str, str]

    @classmethod
    def of(cls, stack: Stack, *, board: bool = False) -> Record:
        """Describe a stack that this process runs, and whether it serves the board."""
        settings = stack.function_settings()
        project = settings["GOOGLE_CLOUD_PROJECT"]
        topics = {
            "requests": settings["LAUNCH_TOPIC"],
            "dead_letters": DEAD_LETTERS,
            "events": settings["LAUNCH_EVENTS_TOPIC"],
            "wake_up": WAKE_UP,
        }
        return cls(
            format=FORMAT,
            pid=os.getpid(),
            folder=str(stack.folder.resolve()),
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            project=project,
            region=settings["VERTEX_LOCATION"],
            entity=settings["LAUNCH_ENTITY"],
            queues=settings["LAUNCH_QUEUES"],
            agent_name=settings["LAUNCH_AGENT_NAME"],
            ledger_bucket=settings["LEDGER_BUCKET"],
            topics={role: f"projects/{project}/topics/{name}" for role, name in topics.items()},
            addresses=_addresses(stack, board=board),
            environment=_environment(stack, settings),
        )

    def write(self) -> None:
        """Write both files; a reader sees a whole record or none."""
        folder = Path(self.folder)
        programs = shlex.quote(str(Path(sys.executable).parent))
        exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in self.exports)
        script = _SCRIPT.format(
            folder=folder, exports=exports, loopback=LOOPBACK, programs=programs
        )
        (folder / SCRIPT).write_text(script, encoding="utf-8")
        written = folder / f"{RECORD}.new"
        written.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        written.replace(folder / RECORD)

    @property
    def exports(self) -> list[tuple[str, str]]:
        """Return the variables of `env`, those for W&B's client first."""
        first = {name: value for name, value in self.environment.items() if "WANDB" in name}
        return list({**first, **self.environment, FOLDER: self.folder}.items())

    @property
    def pages(self) -> dict[str, str]:
        """Return the addresses for people."""
        names = {
            "board": "Board",
            "wandb": "W&B",
            "vertex": "Vertex AI",
            "build": "Cloud Build",
        }
        return {
            name: f"{self.addresses[server]}/"
            for server, name in names.items()
            if server in self.addresses
        }


def running(folder: Path) -> Record | None:
    """Return the record of the stack that runs in a folder; None if none runs, or none is up."""
    if not holder(folder):
        return None
    try:
        kept = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        known = {field.name for field in fields(Record)}
        return Record(**{name: value for name, value in kept.items() if name in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def already_up(record: Record, another: str) -> str:
    """Return the message for somebody who starts a second stack: the first one, and what to do.

    `another` is the command that starts one beside it.
    """
    folder = shlex.quote(record.folder)
    lines = [
        f"a stack is up already in {record.folder} (process {record.pid}, since "
        f"{record.started_at}). Nothing was changed.",
        *(f"  {name}: {address}" for name, address in record.pages.items()),
        f"Use it:        . {folder}/{SCRIPT}",
        f"End it:        kill {record.pid}",
        f"Start another: {another}",
    ]
    return "\n".join(lines)


def find(environ: Mapping[str, str] = os.environ) -> Record | None:
    """Return the running stack of this shell: of its `env`, else of `make up`, else of the demo."""
    chosen = environ.get(FOLDER)
    folders = [Path(chosen)] if chosen else [Path(".stack"), ROOT / ".stack", ROOT / ".demo"]
    return next((record for folder in folders if (record := running(folder))), None)


def _addresses(stack: Stack, *, board: bool) -> dict[str, str]:
    names = stack.ports.by_name(build=stack.builds)
    addresses = {name: stack.ports.url(name) for name in names if board or name != "board"}
    return addresses | {"wandb": stack.wandb_url, "pubsub": f"{HOST}:{stack.ports.pubsub}"}


def _environment(stack: Stack, settings: Mapping[str, str]) -> dict[str, str]:
    gcloud = {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": f"{stack.ports.url('vertex')}/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
    }
    return {**settings, **stack.user_settings(), **gcloud}
