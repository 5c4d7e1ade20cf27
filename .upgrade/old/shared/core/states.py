"""The states of a launch, how it can end, and which state may follow which."""

import enum
from collections.abc import Mapping

from shared.core.errors import LaunchError


class State(enum.StrEnum):
    """How far a launch has come."""

    # recorded: nothing was sent to Vertex AI, or the launch waits (for retry_at, or for a build)
    QUEUED = "QUEUED"
    # one submit holds the claim until lease_until, and may have sent a create
    SUBMITTING = "SUBMITTING"
    # the CustomJob exists
    SUBMITTED = "SUBMITTED"
    # the outcome is known; W&B does not know it yet
    ENDED = "ENDED"


class Outcome(enum.StrEnum):
    """How a launch ended."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"  # the request was wrong; no job was ever created


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.SUBMITTING, State.ENDED}),
    # to itself: another submit takes over after the lease
    State.SUBMITTING: frozenset({State.SUBMITTING, State.SUBMITTED, State.QUEUED, State.ENDED}),
    State.SUBMITTED: frozenset({State.ENDED, State.QUEUED}),
    State.ENDED: frozenset(),
}


class IllegalTransition(LaunchError):
    """TRANSITIONS has no such step: a mistake in this program."""
