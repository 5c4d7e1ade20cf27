"""The behaviour of Vertex AI that is uncertain, or that a test needs: switches, read whenever they matter.

A test changes them on `VertexState.behaviour`; a process takes them as options, and at `/standin/behaviour`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from deploy.local.servers.vertex.errors import invalid_argument


@dataclass
class Behaviour:
    """How this Vertex AI behaves. Durations are in seconds."""

    error_seconds: float = 0.0  # from the end of a job to its error; Google says: about a minute
    list_seconds: float = 0.0  # from a create to the first listing that has the job; not documented
    cancelling_seconds: float = 0.0  # a cancelled job stays CANCELLING for so long
    end_time_always: bool = False  # Google documents it for SUCCEEDED, FAILED and CANCELLED only
    checks_forms: bool = (
        True  # whether values such as a network's name must have the documented form
    )
    expands: bool = True  # `$(NAME)` in env, command and args; `$$` stands for `$`
    flex_ends: str = (
        "JOB_STATE_CANCELLED"  # a FLEX_START job that waited in vain; or JOB_STATE_FAILED
    )
    internal_errors: int = 0  # so many of the next jobs fail before their container runs
    machines: dict[str, int] = field(default_factory=dict)  # quota of replicas, by region
    projects: tuple[str, ...] = ()  # that exist; empty: any
    service_accounts: tuple[str, ...] = ()  # that jobs may act as; empty: any

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set some switches by their names.

        Raises:
            ApiError: (400) naming what is no switch.
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
