"""The functions' bucket as the simulation has it: objects that are written only by compare-and-swap."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.core.errors import Conflict

T = TypeVar("T")
PAGE = 2  # objects a page of a listing, so that a page is not all


@dataclass
class Bucket(Generic[T]):
    """Objects by name, each with its generation."""

    objects: dict[str, tuple[int, T]] = field(default_factory=dict)
    generation: int = 0

    def fork(self) -> "Bucket[T]":
        """Return a bucket of its own that is in the same state."""
        return Bucket(dict(self.objects), self.generation)

    def read(self, name: str) -> tuple[int, T] | None:
        """Return an object with its generation."""
        return self.objects.get(name)

    def write(self, name: str, content: T, generation: int) -> int:
        """Write where the object still has this generation (0: where there is none); return the new one."""
        if generation != (self.objects[name][0] if name in self.objects else 0):
            raise Conflict(f"{name}: somebody else wrote it")
        self.generation += 1
        self.objects[name] = self.generation, content
        return self.generation

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        self.objects.pop(name, None)

    def page(self, prefix: str, after: str) -> tuple[list[T], str]:
        """Return the next objects below a prefix in the order of their names, and where to go on; empty: the end."""
        names = sorted(name for name in self.objects if name.startswith(prefix) and name > after)
        return [self.objects[name][1] for name in names[:PAGE]], names[PAGE - 1] if len(names) > PAGE else ""
