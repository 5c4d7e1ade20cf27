"""What each Vertex AI JobState means for a launch.

Names rather than enum members, so that this module needs no SDK; a test compares the table with the installed one.
Source: google.cloud.aiplatform_v1.types.JobState.
"""

import enum


class Phase(enum.Enum):
    """How far a job has come, as far as a launch cares."""

    WAITING = "waiting"  # accepted, no container has started
    ACTIVE = "active"  # containers run, or are being brought to an end
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Tell whether nothing runs any more, for good."""
        return self in ENDED


ENDED = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})

PHASES = {
    "JOB_STATE_UNSPECIFIED": Phase.ACTIVE,  # how the client shows a state that it does not know
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
    """Return the phase of a JobState's name; a state that did not exist when this was written counts as unfinished."""
    return PHASES.get(state, Phase.ACTIVE)
