"""Image builds: the recipe of an image, and the state of a build."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from shared.core.image import Image
from shared.core.shorten import quoted

# Cloud Build's own words
FAILED = frozenset({"FAILURE", "INTERNAL_ERROR", "TIMEOUT", "CANCELLED", "EXPIRED"})
INSTALLER, LEFT_OUT = "install.py", "left-out.txt"  # files of an image from our Dockerfile
CONTEXTS = "launch-builds"  # the folder of a store that holds the contexts of builds
GONE = "GONE"  # ours: Cloud Build does not know this build any more
_OVER = FAILED | {"SUCCESS", GONE}
_HOST = "-docker.pkg.dev"


def repository_of(name: str) -> tuple[str, str]:
    """Return the Artifact Registry repository of an image as a resource name, and the image's path.

    Raises:
        ValueError: the name is not in Artifact Registry, or it has a tag.
    """
    # an address may contain a password
    value = "an address" if "@" in name else quoted(name, 200)
    fix = "write REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE, without a tag"
    try:
        image = Image.parse(name)
        project, repository, path = image.path.split("/", 2)
    except ValueError as exc:
        raise ValueError(f"is {value}: {fix}") from exc
    if image.tag or image.digest or not image.registry.endswith(_HOST):
        raise ValueError(f"is {value}: {fix}")
    location = image.registry.removesuffix(_HOST)
    return f"projects/{project}/locations/{location}/repositories/{repository}", path


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
    context: str = ""  # the folder of the code that is the context of the code's own Dockerfile
    dockerfile: str = ""  # the code's own, within the context
    text: str = ""  # of our Dockerfile, if the code names none; a Dockerfile.wandb in context wins
    installer: str = ""  # the program that our Dockerfile runs
    base_image: str = ""  # of our Dockerfile

    @property
    def tag(self) -> str:
        """Return the hash of the content."""
        return self.image.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class GitCredential:
    """The secret with which builds log in at one git host, by https and nowhere else."""

    host: str  # a name, and a port if it is not 443
    secret: str  # projects/P/secrets/S/versions/V, whose content is USER:PASSWORD or a token

    @property
    def name(self) -> str:
        """Return the host without its port."""
        return self.host.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Ensured:
    """An image that exists, by its digest; or else the build that will push it.

    `warnings` name what the image lacks. `context` is the folder of the code that is the image's
    context, because it contains a Dockerfile.wandb.
    """

    image: str = ""  # REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE@sha256:…
    build: str = ""
    warnings: tuple[str, ...] = ()
    context: str = ""

    def command(self, words: Sequence[str]) -> list[str]:
        """Return a command as the agent does: in that folder, its script has another path."""
        *before, last = words
        script = PurePosixPath(last)
        parent = str(script.parent)
        if parent == "." or not f"/{self.context}".endswith(f"/{parent}"):
            return list(words)
        return [*before, f"./{script.name}"]


@dataclass(frozen=True, slots=True)
class Build:
    """A build of Cloud Build: projects/P/locations/L/builds/ID, its status, details for people.

    `has_image` means that its image exists although it failed: another build has pushed it.
    """

    name: str
    status: str
    detail: str = ""
    log_url: str = ""
    has_image: bool = False

    @property
    def over(self) -> bool:
        """Tell whether the build has ended; an unknown status counts as running."""
        return self.status in _OVER

    @property
    def failed(self) -> bool:
        """Tell whether it ended without an image."""
        return self.status in FAILED and not self.has_image


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """A file of an artifact in W&B, and the address from which it can be fetched now."""

    name: str
    size: int
    address: str = field(repr=False)  # signed: the address is a permission
