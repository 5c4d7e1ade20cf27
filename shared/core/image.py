"""The name of a container image, read as Docker reads it.

The grammar and the default registry are those of github.com/distribution/reference.
"""

import re
from dataclasses import dataclass
from typing import Self

FORM = "Write REGISTRY/PATH:TAG or REGISTRY/PATH@sha256:DIGEST, with PATH in lower case."
DOCKER_HUB = "docker.io"

_LONGEST = 255  # characters of a path
_TOO_LONG = 600  # characters of a whole name: no regular expression sees more
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_PART = r"[a-z0-9]+(?:(?:\.|__|_|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_NO_REGISTRY = "names no registry; that of Docker Hub is docker.io"
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")  # of an image of one machine, not of a registry


@dataclass(frozen=True, slots=True)
class Image:
    """The parts of an image's name. `registry` is a host in lower case, perhaps with its port."""

    registry: str
    path: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name; `python:3` is docker.io/library/python:3.

        Raises:
            ValueError: the text is not the name of an image.
        """
        registry, path, tag, digest = _split(text)
        if not registry and _IDENTIFIER.fullmatch(path):
            raise ValueError("is an identifier, not the name of an image")
        if registry in ("", DOCKER_HUB):
            registry, path = DOCKER_HUB, path if "/" in path else f"library/{path}"
        image = cls(registry, path, tag, digest)
        _check(image)
        return image

    @classmethod
    def prefix(cls, text: str) -> Self:
        """Read the beginning of names: a registry, perhaps with a path, a tag or a digest.

        Raises:
            ValueError: the text is not such a beginning, or it names no registry.
        """
        written = text.removesuffix("/")
        if "/" not in written:
            if not (_is_registry(written) and re.match(r"localhost(:|$)|[^:]*\.", written)):
                raise ValueError(_NO_REGISTRY)
            return cls(_registry(written), "")
        prefix = cls(*_split(written))
        if not prefix.registry:
            raise ValueError(_NO_REGISTRY)
        _check(prefix)
        return prefix

    @property
    def host(self) -> str:
        """Return the registry without its port."""
        return re.sub(r":[0-9]+$", "", self.registry)

    def covers(self, image: "Image") -> bool:
        """Tell whether an image begins with this prefix, by whole parts: …/team is not …/team-b.

        A digest decides alone which image is pulled, so a prefix with a tag covers no digest.
        """
        if self.registry != image.registry:
            return False
        if self.tag or self.digest:
            is_same = (self.path, self.digest) == (image.path, image.digest)
            return is_same and self.tag in ("", image.tag)
        return not self.path or f"{image.path}/".startswith(f"{self.path}/")


def _split(text: str) -> tuple[str, str, str, str]:
    """Return the registry, in lower case and empty if there is none, path, tag and digest."""
    if len(text) > _TOO_LONG:
        raise ValueError("is longer than the name of an image can be")
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ValueError("has a digest that is not sha256: and 64 hexadecimal digits")
    before, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise ValueError("has a tag that no image can have")
    path = f"{before}{slash}{last}"
    first, slash, rest = path.partition("/")
    # as Docker does: a first part that cannot belong to a path is the registry
    if slash and (first == "localhost" or re.search("[.:A-Z]", first)):
        if not _is_registry(first):
            raise ValueError("has a registry that is not a host")
        return _registry(first), rest, tag, digest
    return "", path, tag, digest


def _is_registry(text: str) -> bool:
    return len(text) <= _LONGEST and bool(_REGISTRY.fullmatch(text))


def _registry(written: str) -> str:
    host = written.lower()
    return DOCKER_HUB if host == f"index.{DOCKER_HUB}" else host


def _check(image: Image) -> None:
    """Refuse a name without a valid path; a prefix may be a registry alone."""
    if not _PATH.fullmatch(image.path):
        raise ValueError("is not the name of an image")
    if len(image.path) > _LONGEST:
        raise ValueError(f"has more than {_LONGEST} characters in its path")
