"""Cloud Build and its registry as the simulation has them: builds under way, and the images that came of them."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from shared.core.building import Build

TAKES = timedelta(seconds=70)


@dataclass
class Builder:
    """All builds and all images; `fails` says how builds end from now on."""

    builds: dict[str, Build] = field(default_factory=dict)
    image_of: dict[str, str] = field(default_factory=dict)  # by the build's name
    images: frozenset[str] = frozenset()
    fails: bool = False

    def fork(self) -> "Builder":
        """Return one of its own that is in the same state."""
        return Builder(dict(self.builds), dict(self.image_of), self.images, self.fails)

    def under_way(self, image: str) -> str:
        """Return the build that makes this image; empty where none does."""
        return next(
            (name for name, build in self.builds.items() if self.image_of[name] == image and not build.over), ""
        )

    def begin(self, image: str) -> str:
        """Begin a build."""
        name = f"projects/gcp-project/locations/us-central1/builds/{len(self.builds) + 1}"
        self.builds[name], self.image_of[name] = Build(name, "WORKING"), image
        return name

    def end(self, name: str) -> None:
        """Let a build end."""
        self.builds[name] = replace(self.builds[name], status="FAILURE" if self.fails else "SUCCESS")
        if not self.fails:
            self.images |= {self.image_of[name]}
