"""What `make mutate` concludes from a sample."""

import pytest

from tests.mutation.score import Score


def test_a_mutant_without_a_test_counts_as_not_noticed() -> None:
    """Only a failed test notices; tests that do not end do, too. A mutant without a verdict does not count."""
    score = Score.of(["killed", "timeout", "survived", "no tests", "suspicious", "not checked"])
    assert (score.noticed, score.tried) == (2, 5)


@pytest.mark.parametrize(
    ("noticed", "tried", "low", "high"),
    [(0, 0, 0, 1), (0, 10, 0, 0.278), (10, 10, 0.722, 1), (45, 60, 0.628, 0.842), (46, 60, 0.646, 0.856)],
)
def test_a_small_sample_says_little(noticed: int, tried: int, low: float, high: float) -> None:
    """Wilson's interval, as tables of statistics have it. `make check` fails if all of it is below the floor."""
    assert Score(noticed, tried).interval() == pytest.approx((low, high), abs=0.001)
