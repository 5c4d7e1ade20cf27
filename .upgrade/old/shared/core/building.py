"""Image builds: the recipe of an image, and the state of a build."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.core.shorten import quoted

# Cloud Build's own words
FAILED = frozenset({"FAILURE", "INTERNAL_ERROR", "TIMEOUT", "CANCELLED", "EXPIRED"})
GONE = "GONE"  # ours: Cloud Build does not know this build any more
_OVER = FAILED | {"SUCCESS", GONE}
_NAME = re.compile(r"([a-z0-9-]+)-docker\.pkg\.dev/([^/:@\s]+)/([^/:@\s]+)/([^:@\s]+)")


def repository_of(name: str) -> tuple[str, str]:
    """Return the Artifact Registry repository of an image as a resource name, and the image's path.

    Raises:
        ValueError: the name is not in Artifact Registry, or it has a tag.
    """
    match = _NAME.fullmatch(name)
    if not match:
        # an address may contain a password
        value = "an address" if "@" in name else quoted(name, 200)
        raise ValueError(
            f"is {value}: write REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE, without a tag"
        )
    location, project, repository, image = match.groups()
    return f"projects/{project}/locations/{location}/repositories/{repository}", image


@dataclass(frozen=True, slots=True)
class Recipe:
    """The content of one image. Its tag is a hash of the rest: the same code is built once."""

    image: str  # REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE:TAG
    store: str  # gs://BUCKET/FOLDER, from which the build reads its context
    job: str  # entity/project/name:v3, whose artifact contains the requirements and the patch
    files: tuple[str, ...] = ()  # of the job's artifact, the files that the build needs
    code: str = ""  # entity/project/name:v3 of the code's artifact
    remote: str = ""  # of a git repository
    commit: str = ""
    context: str = ""  # with the code's own Dockerfile: the folder that is the build's context
    dockerfile: str = ""  # the code's own, within the context
    text: str = ""  # of our Dockerfile, if the code has none
    base_image: str = ""  # of our Dockerfile
    # tell git how to log in
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def tag(self) -> str:
        """Return the hash of the content."""
        return self.image.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Build:
    """A build of Cloud Build: projects/P/locations/L/builds/ID, its status, details for people."""

    name: str
    status: str
    detail: str = ""
    log_url: str = ""

    @property
    def over(self) -> bool:
        """Tell whether the build has ended; an unknown status counts as running."""
        return self.status in _OVER

    @property
    def failed(self) -> bool:
        """Tell whether it ended without an image."""
        return self.status in FAILED


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """A file of an artifact in W&B, and the address from which it can be fetched now."""

    name: str
    size: int
    address: str = field(repr=False)  # signed: the address is a permission
