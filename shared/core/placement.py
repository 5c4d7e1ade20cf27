"""Where a launch looks for machines, place by place, and which it has tried: kept in its record."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Placement:
    """How far a launch is on the operator's ladder; a place is a region and a strategy, in words.

    Without a ladder there is one place, its own.
    """

    own: str = ""  # where its request puts it
    place: str = ""  # of the attempt that is being made, or was made last
    next_place: str = (
        ""  # where it goes from there without waiting; empty after the last: it starts again
    )
    tried: tuple[str, ...] = ()  # in this round: no room there now
    barred: tuple[str, ...] = ()  # for good: a quota of zero, or Vertex AI refuses such a job there
    left_out: str = ""  # which places are none for this launch, and why
    because: str = ""  # why it is not in its own place
    output_dir: str = ""  # of its last job: a run that goes on finds its checkpoints there

    @property
    def elsewhere(self) -> bool:
        """Tell whether this attempt is made in a place that only the ladder names."""
        return self.place != self.own

    @property
    def hopeless(self) -> bool:
        """Tell whether nowhere is left once this place is barred."""
        return not self.next_place and not self.tried

    def leave(self, why: str, *, bar: bool) -> "Placement":
        """Return this one after its place had no room, now or, where it is barred, ever."""
        tried, barred = (
            (self.tried, (*self.barred, self.place))
            if bar
            else ((*self.tried, self.place), self.barred)
        )
        return replace(self, tried=tried if self.next_place else (), barred=barred, because=why)

    def again(self) -> "Placement":
        """Return this one at its beginning: a run that was preempted is launched in its own place first."""
        return replace(self, tried=(), because="")
