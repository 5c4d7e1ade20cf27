"""What each Vertex AI JobState means for a launch.

The states are names, not enum members: this module needs no SDK. A test compares the table with
the installed SDK.
Source: google.cloud.aiplatform_v1.types.JobState.
"""

import enum


class Phase(enum.Enum):
    """The part of its life that a job is in, as far as a launch is concerned."""

    WAITING = "waiting"  # accepted; no container has started
    ACTIVE = "active"  # containers run, or are being stopped
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Tell whether this phase is final."""
        return self in ENDED


ENDED = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})

PHASES = {
    "JOB_STATE_UNSPECIFIED": Phase.ACTIVE,  # the client shows a state that it does not know as this
    "JOB_STATE_QUEUED": Phase.WAITING,
    "JOB_STATE_PENDING": Phase.WAITING,
    "JOB_STATE_RUNNING": Phase.ACTIVE,
    "JOB_STATE_SUCCEEDED": Phase.SUCCEEDED,
    "JOB_STATE_FAILED": Phase.FAILED,
    "JOB_STATE_CANCELLING": Phase.ACTIVE,
    "JOB_STATE_CANCELLED": Phase.CANCELLED,
    "JOB_STATE_PAUSED": Phase.ACTIVE,
    "JOB_STATE_EXPIRED": Phase.FAILED,
    "JOB_STATE_UPDATING": Phase.ACTIVE,
    "JOB_STATE_PARTIALLY_SUCCEEDED": Phase.SUCCEEDED,
}

ENDED_STATES = tuple(name for name, phase in PHASES.items() if phase.ended)


def phase_of(state: str) -> Phase:
    """Return the phase of a JobState; an unknown, newer state counts as unfinished."""
    return PHASES.get(state, Phase.ACTIVE)
