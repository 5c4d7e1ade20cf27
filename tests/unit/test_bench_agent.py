"""The pure parts of `make bench-agent`: percentiles, ratios, and its section of the page."""

import math

import pytest

from tests.bench.__main__ import _page
from tests.bench.agent.figures import HEADING, Row, percentile, section, waits, with_section


@pytest.mark.parametrize(
    ("values", "percent", "wanted"),
    [
        ([3.0], 50, 3.0),
        ([3.0], 95, 3.0),
        ([2.0, 1.0], 50, 1.0),
        ([1.0, 2.0, 3.0], 50, 2.0),
        ([float(n) for n in range(1, 21)], 95, 19.0),
        ([float(n) for n in range(1, 25)], 95, 23.0),
        ([5.0, 1.0], 0, 1.0),
        ([5.0, 1.0], 100, 5.0),
    ],
)
def test_a_percentile_is_a_measured_value(values: list[float], percent: float, wanted: float) -> None:
    """The nearest rank, so that no wait is shown that nothing had."""
    assert percentile(values, percent) == wanted


def test_without_values_there_is_no_percentile() -> None:
    """An agent that never sees a job's end never reuses a slot."""
    assert math.isnan(percentile([], 50))


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (Row("a", 8.0, 4.0, "s", 0.5), "| a | 8.00 s | 4.00 s | 0.50 × | ≤ 0.5 × | yes |"),
        (Row("a", 8.0, 4.1, "s", 0.5), "| a | 8.00 s | 4.10 s | 0.51 × | ≤ 0.5 × | **no** |"),
        (Row("a", math.nan, 4.0, "s", 0.5), "| a | — | 4.00 s | — | ≤ 0.5 × | — |"),
        (Row("a", 8.0, math.nan, "s", 0.5), "| a | 8.00 s | — | — | ≤ 0.5 × | **no** |"),
        (Row("a", 0.0, 1.0), "| a | 0.00 | 1.00 | — | — | — |"),
        (Row("a", 2400.0, 12.34, "MB"), "| a | 2400 MB | 12.3 MB | 0.01 × | — | — |"),
    ],
)
def test_a_row_shows_both_systems_and_whether_the_bound_holds(row: Row, shown: str) -> None:
    """Our own missing figure breaks a bound; the agent's leaves nothing to compare with."""
    assert row.shown() == shown


def test_waits_are_shown_by_two_percentiles() -> None:
    """With a bound for each."""
    rows = waits("wait", [1.0, 9.0], [2.0, 3.0], (0.5, 0.8))
    assert [(row.what, row.agent, row.ours, row.bound) for row in rows] == [
        ("wait, p50", 1.0, 2.0, 0.5),
        ("wait, p95", 9.0, 3.0, 0.8),
    ]


def test_only_its_own_section_of_the_page_is_replaced() -> None:
    """`make bench` writes the others."""
    page = f"# Benchmarks\n\nintro\n\n## {HEADING}\n\nold\n\n## Cold starts\n\ncold\n"
    new = section([Row("a", 2.0, 1.0)], ["note"])
    once = with_section(page, new)
    assert once == f"# Benchmarks\n\nintro\n\n## Cold starts\n\ncold\n\n## {new}\n"
    assert with_section(once, new) == once
    assert with_section("# Benchmarks\n", new) == f"# Benchmarks\n\n## {new}\n"


def test_make_bench_keeps_the_section() -> None:
    """And a section of its own that it has not measured this time."""
    new = section([Row("a", 2.0, 1.0)], ["note"])
    page = _page({}, 5, {HEADING: new, "The board": "of another name", "Pacing": "of another name too"})
    assert page.endswith(f"\n## {new}\n\n## of another name\n\n## of another name too\n")
