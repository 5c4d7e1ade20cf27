"""The `builder` and the `registry` of a launch-config.yaml: how images of jobs' code are built.

A builder that cannot build stops no function, and no launch that needs no build: `Building` says
why it cannot, and submit refuses only the jobs that need it. An agent's file can name any builder
and any registry.
"""

import difflib
import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from shared.config.section import AnyText, Section
from shared.core.building import GitCredential, repository_of
from shared.core.image import FORM, Image
from shared.core.reserved import BUCKET
from shared.core.shorten import quoted

AGENTS_BUILDERS = ("kaniko", "docker")
BUILDERS = ("cloud-build", *AGENTS_BUILDERS)  # each means Cloud Build
NO_BUILDERS = ("noop", "")
GOOGLES = ("", "gcr", "gcp-artifact-registry")  # types of registries; the last is documented only
_STORE = re.compile(rf"gs://{BUCKET}(/.*)?")
_SECRET = re.compile(
    r"projects/[a-z0-9.:-]+/secrets/[A-Za-z0-9_-]+(/versions/[A-Za-z0-9_-]+)?", re.ASCII
)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?", re.ASCII)


def image_name(written: str) -> str:
    """Return an image's name without `https://` and a final slash."""
    return re.sub("^https?://", "", written.strip(), flags=re.IGNORECASE).rstrip("/")


def _image(written: str) -> str:
    """Refuse a text that is not the name of an image; an empty one names none."""
    if written:
        try:
            Image.parse(written)
        except ValueError as exc:
            raise ValueError(f"is {quoted(written, 200)}, which {exc}. {FORM}") from exc
    return written


ImageName = Annotated[AnyText, AfterValidator(image_name)]  # of images that are built
ImageReference = Annotated[str, AfterValidator(_image)]  # of an image that is pulled


def _listed(written: object) -> object:
    """Return the credentials of a mapping of hosts to secrets."""
    if not isinstance(written, dict):
        return written
    return [GitCredential(str(host), str(secret)) for host, secret in written.items()]


def _full(credential: GitCredential) -> GitCredential:
    """Return a credential with a version; refuse a host or a secret that is none."""
    host, secret = credential.host.lower(), credential.secret
    if not _HOST.fullmatch(host):
        shown = "an address with a login" if "@" in host else quoted(host, 100)
        raise ValueError(f"names the host {shown}: write a name such as github.com")
    if not _SECRET.fullmatch(secret):
        problem = f"names no secret for {host}: write projects/PROJECT/secrets/SECRET"
        raise ValueError(f"{problem}, never its content")
    latest = "" if "/versions/" in secret else "/versions/latest"
    return GitCredential(host, f"{secret}{latest}")


GitCredentials = Annotated[
    tuple[GitCredential, ...],
    BeforeValidator(_listed),
    AfterValidator(lambda listed: tuple(map(_full, listed))),
]


class _Loose(Section):
    """A section that may be anything: a value that is no mapping is that of its main key."""

    main: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _mapped(cls, written: object) -> object:
        is_mapping = isinstance(written, dict) or written is None
        return written if is_mapping else {cls.main: written}


class Builder(_Loose):
    """The `builder` of a launch-config.yaml."""

    main = "type"

    type: AnyText = ""
    destination: ImageName = ""
    build_context_store: Annotated[AnyText, Field(alias="build-context-store")] = ""
    # unknown to the agent
    base_image: AnyText = ""
    git_credentials: GitCredentials = ()

    @model_validator(mode="before")
    @classmethod
    def _spelt(cls, written: object) -> object:
        """Read `uri`, as one of W&B's pages writes it."""
        if isinstance(written, dict) and written.get("destination") is None:
            return {**written, "destination": written.get("uri")}
        return written


class Registry(_Loose):
    """The `registry` of a launch-config.yaml: the name of images without `builder.destination`.

    The agent reads a name, or its parts; older documentation has only two of them.
    """

    main = "uri"

    type: AnyText = ""
    uri: ImageName = ""
    repository: AnyText = ""
    image_name: Annotated[AnyText, Field(alias="image-name")] = ""
    region: AnyText = ""
    project: AnyText = ""

    @model_validator(mode="before")
    @classmethod
    def _spelt(cls, written: object) -> object:
        """Read `image_name`, as some of W&B's pages write it."""
        if isinstance(written, dict) and written.get("image-name") is None:
            return {**written, "image-name": written.get("image_name")}
        return written

    def image(self, region: str, project: str) -> str:
        """Return the name of images; a missing part stays empty, and no part means no name.

        `region` and `project` are those of the deployment, which are the default, as with the
        agent.
        """
        if self.uri or not (self.repository or self.image_name):
            return self.uri
        if self.type not in GOOGLES:  # of AWS or Azure
            return f"{self.type} {self.repository}"
        host, name = f"{self.region or region}-docker.pkg.dev", self.image_name
        return f"{host}/{self.project or project}/{self.repository}/{name}"


@dataclass(frozen=True, slots=True)
class Building:
    """How images of jobs' code are built."""

    destination: str = ""  # the name of the images, without a tag; empty: none are built
    problem: str = ""  # why the builder cannot build; empty if it can, or need not

    @classmethod
    def read(cls, kind: str, destination: str, store: str = "") -> "Building":
        """Read the settings of a builder.

        An agent's builder without a destination builds no image that Vertex AI could pull: like
        noop.
        """
        if kind in NO_BUILDERS or (kind in AGENTS_BUILDERS and not destination):
            return cls()
        problem = _problem(kind, destination, store)
        return cls("" if problem else destination, problem)


def _problem(kind: str, destination: str, store: str) -> str:
    """Return why a builder cannot build; empty if it can."""
    if kind not in BUILDERS:
        near = difflib.get_close_matches(kind.lower().strip()[:80], [*BUILDERS, "noop"], n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        known = ", ".join(BUILDERS)
        return f"builder.type is {quoted(kind, 200)}. {hint}Write one of {known}, or noop"
    if not destination:
        fix = "Write builder.destination: REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE"
        return f"builder.type is {kind!r}, and its images have no destination. {fix}, or type: noop"
    try:
        repository_of(destination)
    except ValueError as exc:
        return f"builder.type is {kind!r}, and the destination of its images {exc}"
    if store and not _STORE.fullmatch(store):
        fix = "Write gs://BUCKET/FOLDER, or leave it out"
        return f"builder.build-context-store is {quoted(store, 200)}. {fix}"
    return ""
