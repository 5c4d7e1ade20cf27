"""A figure of the benchmarks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the table, with its bound; `key` names it for the page of costs."""

    what: str
    measured: float
    bound: float
    unit: str
    at_least: bool = False
    key: str = ""

    @property
    def kept(self) -> bool:
        """Return whether the bound holds."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound
