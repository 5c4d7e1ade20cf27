"""The places where a launch looks for machines, and those that it has tried."""

from dataclasses import dataclass, replace

from shared.core.record import Record


@dataclass(frozen=True, slots=True)
class Placement(Record):
    """The position of a launch on the operator's ladder, kept in its record.

    A place is a text: a region and a strategy. Without a ladder a launch has only its own place.
    """

    own: str = ""  # the place that its request names
    place: str = ""  # of the current or last attempt
    next_place: str = ""  # tried next, without a wait; empty after the last place
    tried: tuple[str, ...] = ()  # in this round: no capacity there now
    barred: tuple[str, ...] = ()  # for ever: a quota of zero, or Vertex AI refuses the job there
    left_out: str = ""  # the places that this launch cannot use, with reasons
    because: str = ""  # why it left its own place
    output_dir: str = ""  # of its last job: a resumed run finds its checkpoints there

    @property
    def elsewhere(self) -> bool:
        """Tell whether this attempt is in a place that only the ladder names."""
        return self.place != self.own

    @property
    def hopeless(self) -> bool:
        """Tell whether no other place is left once this place is barred."""
        return not self.next_place and not self.tried

    def leave(self, why: str, *, bar: bool) -> "Placement":
        """Return the placement after this place had no capacity; `bar` rules it out for ever."""
        tried, barred = self.tried, self.barred
        if bar:
            barred = (*barred, self.place)
        else:
            tried = (*tried, self.place)
        if not self.next_place:  # the round is over: the next attempt starts at the first place
            tried = ()
        return replace(self, tried=tried, barred=barred, because=why)

    def again(self) -> "Placement":
        """Return the placement of a preempted run, which starts again in its own place."""
        return replace(self, tried=(), because="")
