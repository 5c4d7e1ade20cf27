"""Custom jobs, as CustomJob messages and as the service describes them."""

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from google.rpc import code_pb2

from deploy.local.servers.vertex.behaviour import Behaviour
from deploy.local.servers.vertex.messages import JOB_STATES
from deploy.local.servers.vertex.refusals import INTERNAL
from deploy.local.servers.vertex.shortages import stockout

ENDED = frozenset(
    f"JOB_STATE_{end}"
    for end in ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED")
)


@dataclass
class Job:
    """One custom job: its message at creation, and the service's own fields."""

    name: str
    message: Any  # a CustomJob message
    create_time: datetime
    behaviour: Behaviour = field(repr=False)
    state: str = "JOB_STATE_QUEUED"
    update_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    error: str = ""
    log: str = ""  # the path of its containers' output
    stop: threading.Event = field(default_factory=threading.Event)  # set by cancel
    runs: bool = False  # whether a runner executes it, and ends it on cancel
    made: float = field(default_factory=time.monotonic)  # time of creation
    moved: float = 0.0  # time of the last change of state

    @property
    def display_name(self) -> str:
        """Return its display name."""
        return str(self.message.display_name)

    @property
    def labels(self) -> dict[str, str]:
        """Return its labels."""
        return dict(self.message.labels)

    @property
    def parent(self) -> str:
        """Return its parent, projects/P/locations/L."""
        return self.name.rpartition("/customJobs/")[0]

    @property
    def listed(self) -> bool:
        """Return whether listings contain it yet."""
        return time.monotonic() - self.made >= self.behaviour.list_seconds

    @property
    def shown_error(self) -> str:
        """Return its error; empty until Vertex AI has written it."""
        return self.error if time.monotonic() - self.moved >= self.behaviour.error_seconds else ""

    def described(self) -> Any:
        """Return the complete message, as the service returns it."""
        message = type(self.message)()
        message.CopyFrom(self.message)
        message.name = self.name
        message.state = (
            JOB_STATES[self.state] if self.state in JOB_STATES else _future_state(self.state)
        )
        for moment in ("create_time", "update_time", "start_time", "end_time"):
            if value := getattr(self, moment):
                getattr(message, moment).FromDatetime(value)
        if error := self.shown_error:
            message.error.code = _error_code(self)
            message.error.message = error
            written = (self.update_time or self.create_time) + timedelta(
                seconds=self.behaviour.error_seconds
            )
            message.update_time.FromDatetime(written)
        return message


def _error_code(job: Job) -> int:
    """Return the code of its error; a job whose replica exited with an error has 3."""
    if job.state.endswith("CANCELLED"):
        return int(code_pb2.CANCELLED)
    if job.error == INTERNAL:
        return int(code_pb2.INTERNAL)
    return int(
        code_pb2.RESOURCE_EXHAUSTED
        if job.error == stockout(location(job))
        else code_pb2.INVALID_ARGUMENT
    )


def location(job: Job) -> str:
    """Return the region of a job."""
    return job.parent.rpartition("/")[2]


def _future_state(name: str) -> int:
    """Return the number of an unknown state: the digits in its name, or 99."""
    digits = "".join(char for char in name if char.isdigit())
    return int(digits or 99)
