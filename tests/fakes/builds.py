"""Cloud Build and Artifact Registry in memory: builds in any status, that are refused, or whose answer is lost."""

from dataclasses import dataclass, field

from shared.core.budget import Budget
from shared.core.building import GONE, Build, Recipe


@dataclass
class FakeBuilds:
    """Implements Images and Builds. The next builds raise `next_errors`, before or (`lost`) after they were begun."""

    images: set[str] = field(default_factory=set)
    builds: dict[str, Build] = field(default_factory=dict)
    begun: list[Recipe] = field(default_factory=list)
    next_errors: list[Exception] = field(default_factory=list)
    lost: bool = False
    unreachable: Exception | None = None
    gets: int = 0

    def ensure(self, recipe: Recipe, budget: Budget) -> str:
        """Find the image or its build, or begin one."""
        if recipe.image in self.images:
            return ""
        for name, build in self.builds.items():
            if not build.over and self.begun[int(name.rpartition("/")[2]) - 1].image == recipe.image:
                return name
        budget.require("the beginning of a build")
        error = self.next_errors.pop(0) if self.next_errors else None
        if error and not self.lost:
            raise error
        self.begun.append(recipe)
        name = f"projects/p/locations/us-central1/builds/{len(self.begun)}"
        self.builds[name] = Build(name, "QUEUED")
        if error:
            raise error
        return name

    def get_build(self, name: str) -> Build:
        """Return what has become of a build."""
        self.gets += 1
        if self.unreachable:
            raise self.unreachable
        return self.builds.get(name, Build(name, GONE))

    def end(self, name: str, status: str = "SUCCESS", detail: str = "") -> None:
        """End a build, with its image where that was made."""
        self.builds[name] = Build(name, status, detail, f"https://console.test/{name}")
        if status == "SUCCESS":
            self.images.add(self.begun[int(name.rpartition("/")[2]) - 1].image)
