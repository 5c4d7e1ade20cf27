"""Switches for behaviour of Vertex AI that is uncertain, or that a test needs.

A test changes `VertexState.behaviour`; a process takes options and `/standin/behaviour`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from deploy.local.servers.vertex.errors import invalid_argument


@dataclass
class Behaviour:
    """The switches, with durations in seconds."""

    error_seconds: float = 0.0  # from a job's end to its error; about a minute at Google
    list_seconds: float = 0.0  # from a create to the first listing with the job; undocumented
    cancelling_seconds: float = 0.0  # duration of CANCELLING
    end_time_always: bool = False  # documented for SUCCEEDED, FAILED and CANCELLED only
    checks_forms: bool = True  # refuse values without the documented form
    expands: bool = True  # `$(NAME)` in env, command and args; `$$` stands for `$`
    # the end of a FLEX_START job that found no machines; or JOB_STATE_FAILED
    flex_ends: str = "JOB_STATE_CANCELLED"
    internal_errors: int = 0  # number of next jobs that fail before their container runs
    creates_a_minute: int = 0  # quota of creates by project and region; 0: no quota
    machines: dict[str, int] = field(default_factory=dict)  # quota of replicas, by region
    projects: tuple[str, ...] = ()  # the existing projects; empty: any
    service_accounts: tuple[str, ...] = ()  # accounts that jobs may act as; empty: any

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set switches by name.

        Raises:
            ApiError: (400) a name is no switch.
        """
        known = {each.name for each in fields(self)}
        if unknown := sorted(changes.keys() - known):
            raise invalid_argument(
                f"no such switch: {', '.join(unknown)}; known: {', '.join(sorted(known))}"
            )
        for name, value in changes.items():
            setattr(self, name, tuple(value) if isinstance(getattr(self, name), tuple) else value)

    def shown(self) -> dict[str, Any]:
        """Return all switches as plain data."""
        return asdict(self)
