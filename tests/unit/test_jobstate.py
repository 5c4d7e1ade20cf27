"""The table of job states against the installed SDK's."""

from google.cloud.aiplatform_v1.types import JobState

from shared.core.jobstate import ENDED_STATES, PHASES, Phase, phase_of


def test_the_table_has_every_state_of_the_installed_sdk() -> None:
    """A newer SDK with another state fails here, and somebody says what it means."""
    assert set(PHASES) == {state.name for state in JobState}


def test_an_unknown_state_counts_as_unfinished() -> None:
    """Also where the client shows it as unspecified."""
    assert phase_of("JOB_STATE_99") is Phase.ACTIVE
    assert phase_of("JOB_STATE_UNSPECIFIED") is Phase.ACTIVE


def test_the_ended_states() -> None:
    """These, and no others, are left out of the listing after a while."""
    assert set(ENDED_STATES) == {
        f"JOB_STATE_{end}" for end in ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED")
    }
