"""Percentiles, ratios and the section of docs/reference/benchmarks.md."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEADING = "Beside the agent"
NONE = "—"


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of the values do not exceed; NaN without values."""
    if not values:
        return math.nan
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


@dataclass(frozen=True)
class Row:
    """One measure of both systems; NaN: a system has no such figure. `bound` limits our ratio to the agent."""

    what: str
    agent: float
    ours: float
    unit: str = ""
    bound: float | None = None

    @property
    def ratio(self) -> float:
        """Return ours divided by the agent's; NaN without both, or if the agent's is zero."""
        return self.ours / self.agent if self.agent else math.nan

    @property
    def kept(self) -> bool | None:
        """Return whether the bound holds; None without a bound, or without the agent's figure."""
        if self.bound is None or math.isnan(self.agent):
            return None
        return self.ratio <= self.bound

    def shown(self) -> str:
        """Return the row of the table."""
        holds = {None: NONE, True: "yes", False: "**no**"}[self.kept]
        bound = NONE if self.bound is None else f"≤ {self.bound:g} ×"
        cells = (self.what, _number(self.agent, self.unit), _number(self.ours, self.unit))
        return f"| {' | '.join(cells)} | {_number(self.ratio, '×')} | {bound} | {holds} |"


def waits(what: str, agent: Sequence[float], ours: Sequence[float], bounds: Sequence[float] = ()) -> list[Row]:
    """Return the rows of p50 and p95 of seconds; `bounds` has theirs."""
    return [
        Row(
            f"{what}, p{percent}",
            percentile(agent, percent),
            percentile(ours, percent),
            "s",
            bounds[number] if bounds else None,
        )
        for number, percent in enumerate((50, 95))
    ]


def section(rows: Iterable[Row], notes: Iterable[str]) -> str:
    """Return the section of the page, which begins with its heading."""
    lines = [HEADING, "", *notes, "", "| what | the agent | we | ratio | bound | holds |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(row.shown() for row in rows)])


def with_section(page: str, new: str) -> str:
    """Return the page with this section instead of the old one, at its end."""
    parts = page.rstrip().split("\n## ")
    kept = [part for part in parts[1:] if part.partition("\n")[0] != HEADING]
    return "\n## ".join([parts[0].rstrip() + "\n", *(f"{part.rstrip()}\n" for part in (*kept, new))])


def _number(value: float, unit: str) -> str:
    if math.isnan(value):
        return NONE
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}".strip()
