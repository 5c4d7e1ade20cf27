"""How many launches were in each phase over the last hours, as the bands of a stacked chart."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from deploy.operate.board.spans import Span

BINS = 120
WIDTH, HEIGHT = 960, 160  # of the chart's viewBox
ROWS = 12  # of the table with the same numbers
BANDS = ("running", "pending", "queued")  # from the bottom
WINDOWS = {  # by the name in the page's address
    "2m": timedelta(minutes=2),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
DEFAULT = "6h"


@dataclass(frozen=True, slots=True)
class Band:
    """One phase of the chart. `values` are mean numbers of launches, one for each bin."""

    phase: str
    path: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class History:
    """The chart, and the same numbers as rows: a time, then one number for each band."""

    window: str
    start: datetime
    end: datetime
    top: int  # the number of launches at the upper edge
    bands: Sequence[Band]
    rows: Sequence[tuple[datetime, Sequence[float]]]

    @property
    def empty(self) -> bool:
        """Tell whether no launch was in any phase."""
        return not any(value for band in self.bands for value in band.values)

    def at(self, share: float) -> datetime:
        """Return the time at a share of the width."""
        return self.start + (self.end - self.start) * share


def window_for(oldest: datetime | None, now: datetime, asked: str = "") -> str:
    """Return the window that was asked for, or the smallest that shows all, at most six hours."""
    if asked in WINDOWS:
        return asked
    if oldest is None:
        return DEFAULT
    fits = [name for name, length in WINDOWS.items() if now - oldest <= length]
    return fits[0] if fits and WINDOWS[fits[0]] < WINDOWS[DEFAULT] else DEFAULT


def history(spans: Iterable[Span], now: datetime, window: str) -> History:
    """Count the launches in each phase; a launch that is in a phase for half a bin counts half."""
    length = WINDOWS[window]
    start = now - length
    each = length.total_seconds() / BINS
    counts = {phase: [0.0] * BINS for phase in BANDS}
    for span in spans:
        begin = (span.start - start).total_seconds() / each
        end = (span.end - start).total_seconds() / each
        if end > 0 and begin < BINS:
            _add(counts[span.phase], max(begin, 0.0), min(end, float(BINS)))
    highest = max(map(sum, zip(*counts.values(), strict=True)), default=0.0)
    top = _round_up(highest)
    below = [0.0] * BINS
    bands = []
    for phase in BANDS:
        above = [low + one for low, one in zip(below, counts[phase], strict=True)]
        bands.append(Band(phase, _path(below, above, top), counts[phase]))
        below = above
    step = BINS // ROWS
    rows = [
        (
            start + timedelta(seconds=each * number),
            [sum(band.values[number : number + step]) / step for band in bands],
        )
        for number in range(0, BINS, step)
    ]
    return History(window, start, now, top, bands, rows)


def _add(band: list[float], begin: float, end: float) -> None:
    for number in range(int(begin), min(math.ceil(end), BINS)):
        band[number] += min(end, number + 1) - max(begin, number)


def _round_up(highest: float) -> int:
    """Return the next of 1, 2, 3, 4, 5, 6, 8, 10, 20, … that is not smaller; 1 for no launch."""
    power = 1
    while True:
        for factor in (1, 2, 3, 4, 5, 6, 8):
            if factor * power >= highest - 1e-9:
                return factor * power
        power *= 10


def _path(below: Sequence[float], above: Sequence[float], top: int) -> str:
    """Return the outline of a band, in steps; empty if the band is."""
    if all(high - low < 1e-9 for low, high in zip(below, above, strict=True)):
        return ""
    wide = WIDTH / BINS

    def y(value: float) -> str:
        return f"{HEIGHT - value / top * HEIGHT:.1f}".removesuffix(".0")

    there = (
        f"H{number * wide:g}V{y(above[number])}"
        for number in range(1, BINS)
        if above[number] != above[number - 1]
    )
    back = (
        f"H{number * wide:g}V{y(below[number - 1])}"
        for number in range(BINS - 1, 0, -1)
        if below[number] != below[number - 1]
    )
    return "".join([f"M0 {y(above[0])}", *there, f"H{WIDTH}V{y(below[-1])}", *back, "H0Z"])
