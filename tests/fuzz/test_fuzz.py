"""The three entrances under Hypothesis: each accepts or refuses every input; all runs use the same examples.

`make fuzz` continues from here, guided by coverage.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import inputs, targets

QUICK = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@settings(QUICK, max_examples=300)
@given(inputs.MESSAGES)
def test_any_message_is_read_or_refused(content: bytes) -> None:
    """A ticket, a request that survives its record, or NotAMessage."""
    targets.decoder(content)


@settings(QUICK, max_examples=200)
@given(inputs.SPECS)
def test_any_run_spec_is_rendered_or_refused(run_spec: dict[str, Any]) -> None:
    """The arguments of a CustomJob, or Reject; the run spec stays unchanged."""
    targets.renderer(run_spec)


@settings(QUICK, max_examples=200)
@given(inputs.CONFIGS)
def test_any_launch_config_is_read_or_refused(content: bytes) -> None:
    """A LaunchConfig, or SettingsError."""
    targets.launch_config(content)


@pytest.mark.parametrize(
    ("target", "strategy"),
    [
        (targets.decoder, inputs.MESSAGES),
        (targets.renderer, inputs.SPECS),
        (targets.launch_config, inputs.CONFIGS),
    ],
)
def test_some_inputs_are_accepted_and_some_refused(
    target: Callable[[Any], bool], strategy: st.SearchStrategy[Any]
) -> None:
    """Enough inputs pass, so that the code behind an entrance is reached; and enough do not."""
    taken: list[bool] = []

    @settings(QUICK, max_examples=60)
    @given(strategy)
    def count(value: Any) -> None:
        taken.append(target(value))

    count()
    assert 5 <= taken.count(True) <= len(taken) - 5
