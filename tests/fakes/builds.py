"""Cloud Build and Artifact Registry in memory: builds in any status, with refused or lost creates."""

import hashlib
from dataclasses import dataclass, field

from shared.core.budget import Budget
from shared.core.building import GONE, Build, Ensured, Recipe


def digest_of(image: str) -> str:
    """Return the name of a built image by a digest."""
    return f"{image.rpartition(':')[0]}@sha256:{hashlib.sha256(image.encode()).hexdigest()}"


@dataclass
class FakeBuilds:
    """Implements Images and Builds; the next builds raise `next_errors`, before or (`lost`) after their effect."""

    images: set[str] = field(default_factory=set)
    builds: dict[str, Build] = field(default_factory=dict)
    begun: list[Recipe] = field(default_factory=list)
    next_errors: list[Exception] = field(default_factory=list)
    lost: bool = False
    unreachable: Exception | None = None
    gets: int = 0

    def ensure(self, recipe: Recipe, budget: Budget) -> Ensured:
        """Return an image that exists, or its build; start a build if there is none."""
        if recipe.image in self.images:
            return Ensured(image=digest_of(recipe.image))
        for name, build in self.builds.items():
            if not build.over and self.begun[int(name.rpartition("/")[2]) - 1].image == recipe.image:
                return Ensured(build=name)
        budget.require("the beginning of a build")
        error = self.next_errors.pop(0) if self.next_errors else None
        if error and not self.lost:
            raise error
        self.begun.append(recipe)
        name = f"projects/p/locations/us-central1/builds/{len(self.begun)}"
        self.builds[name] = Build(name, "QUEUED")
        if error:
            raise error
        return Ensured(build=name)

    def get_build(self, name: str) -> Build:
        """Return a build in its current status."""
        self.gets += 1
        if self.unreachable:
            raise self.unreachable
        return self.builds.get(name, Build(name, GONE))

    def end(self, name: str, status: str = "SUCCESS", detail: str = "") -> None:
        """End a build; a success creates its image."""
        self.builds[name] = Build(name, status, detail, f"https://console.test/{name}")
        if status == "SUCCESS":
            self.images.add(self.begun[int(name.rpartition("/")[2]) - 1].image)
