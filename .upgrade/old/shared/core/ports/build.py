"""Cloud Build, Artifact Registry, and the files that a build needs."""

from collections.abc import Iterator
from typing import Protocol

from shared.core.budget import Budget
from shared.core.building import ArtifactFile, Build, Recipe


class ArtifactFiles(Protocol):
    """The files of W&B's artifacts. Raises Retry, Denied."""

    def files_of(self, artifact: str) -> Iterator[ArtifactFile]:
        """Yield the files of entity/project/name:version.

        Raises:
            Reject: the artifact does not exist, or our key cannot see it.
        """

    def content(self, file: ArtifactFile) -> Iterator[bytes]:
        """Yield a file piece by piece."""


class Images(Protocol):
    """Cloud Build and Artifact Registry, as submit uses them."""

    def ensure(self, recipe: Recipe, budget: Budget) -> str:
        """Return the running build of this image; empty if the image exists.

        Begins a build if there is none. Checks the budget during the upload, and immediately
        before it begins a build.

        Raises:
            OutOfTime: no build was begun.
            Reject, Capacity, Denied, Retry: no build was begun, or the next call finds it.
        """


class Builds(Protocol):
    """Cloud Build, as status uses it. Raises Retry, Denied."""

    def get_build(self, name: str) -> Build:
        """Return a build."""
