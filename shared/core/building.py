"""Building an image: what it is built of, what has become of the build, and what that needs of the outside."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from shared.core.budget import Budget

FAILED = frozenset(
    {"FAILURE", "INTERNAL_ERROR", "TIMEOUT", "CANCELLED", "EXPIRED"}
)  # Cloud Build's own words
GONE = "GONE"  # ours: nobody knows of this build any more
_OVER = FAILED | {"SUCCESS", GONE}
_NAME = re.compile(r"([a-z0-9-]+)-docker\.pkg\.dev/([^/:@\s]+)/([^/:@\s]+)/([^:@\s]+)")


def repository_of(name: str) -> tuple[str, str]:
    """Return the repository of an image in Artifact Registry, as a resource name, and what the image is called there.

    Raises:
        ValueError: it is none, or it has a tag.
    """
    found = _NAME.fullmatch(name)
    if not found:
        shown = "an address" if "@" in name else repr(name[:200])  # which may have a password in it
        raise ValueError(
            f"is {shown}: write REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE, without a tag"
        )
    location, project, repository, image = found.groups()
    return f"projects/{project}/locations/{location}/repositories/{repository}", image


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one image is built of. Its tag is a hash of the rest, so that the same code is built once."""

    image: str  # REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE:TAG
    store: str  # gs://BUCKET/FOLDER: where the build finds what it is made of
    job: str  # entity/project/name:v3, whose artifact has the requirements and the patch
    files: tuple[str, ...] = ()  # of the job's artifact, those that the build needs
    code: str = ""  # entity/project/name:v3 of the code's artifact
    remote: str = ""  # of a git repository
    commit: str = ""
    context: str = ""  # the folder of the code that is the build's context, where the code has its own Dockerfile
    dockerfile: str = ""  # the code's own, within the context
    text: str = ""  # of the Dockerfile, where it is ours
    base_image: str = ""  # likewise: what it begins with
    variables: Mapping[str, str] = field(
        default_factory=dict, repr=False
    )  # that tell git how to log in

    @property
    def tag(self) -> str:
        """Return the hash of the content."""
        return self.image.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Build:
    """A build of Cloud Build: projects/P/locations/L/builds/ID, its status, and what its author should know."""

    name: str
    status: str
    detail: str = ""
    log_url: str = ""

    @property
    def over(self) -> bool:
        """Tell whether nothing is being built any more; a status that is new to us is one of a build under way."""
        return self.status in _OVER

    @property
    def failed(self) -> bool:
        """Tell whether it ended without an image."""
        return self.status in FAILED


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """A file of an artifact in W&B, and where it can be fetched now."""

    name: str
    size: int
    address: str = field(repr=False)  # a permission


class ArtifactFiles(Protocol):
    """The files of W&B's artifacts. Raises Retry, Denied."""

    def files_of(self, artifact: str) -> Iterator[ArtifactFile]:
        """Yield the files of entity/project/name:version. Reject: the key may not see it, or it is gone."""

    def content(self, file: ArtifactFile) -> Iterator[bytes]:
        """Yield a file piece by piece."""


class Images(Protocol):
    """Cloud Build and Artifact Registry, as submit sees them."""

    def ensure(self, recipe: Recipe, budget: Budget) -> str:
        """Return the build that makes this image, begun now if need be; empty where the image is there.

        It asks the budget while it uploads the code, and immediately before it begins a build.

        Raises:
            OutOfTime: no build was begun.
            Reject, Capacity, Denied, Retry: no build was begun, or one that the next call finds.
        """


class Builds(Protocol):
    """Cloud Build, as status sees it. Raises Retry, Denied."""

    def get_build(self, name: str) -> Build:
        """Return what has become of a build."""
