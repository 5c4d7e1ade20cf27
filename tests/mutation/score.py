"""What a sample of mutants says about all of them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

NOTICED = ("killed", "timeout")
Z = 1.96  # of 95 %


@dataclass(frozen=True)
class Score:
    """How many mutants of a sample the tests noticed."""

    noticed: int
    tried: int

    @classmethod
    def of(cls, verdicts: Iterable[str]) -> "Score":
        """Count the verdicts of the mutants that were tried."""
        counted = Counter(verdicts)
        del counted["not checked"]
        return cls(sum(counted[one] for one in NOTICED), counted.total())

    @property
    def share(self) -> float:
        """Return the share of the noticed mutants."""
        return self.noticed / self.tried if self.tried else 0.0

    def interval(self) -> tuple[float, float]:
        """Return the bounds between which the share of all mutants lies with 95 % (Wilson's)."""
        if not self.tried:
            return 0.0, 1.0
        n, p = self.tried, self.share
        middle = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z / (1 + Z**2 / n) * sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
        return middle - half, middle + half

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.noticed} of {self.tried} noticed: {self.share:.1%} (95 %: {low:.1%} to {high:.1%})"
