"""Registries from which Vertex AI cannot pull an image."""

import re

FIX = (
    "Copy the image to Artifact Registry, and write REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE."
)
_SIGN_IN = "Vertex AI cannot sign in there"
_PRIVATE = (
    (
        re.compile(r"\d+\.dkr[.-]ecr(-fips)?\..+"),
        f"is in a private registry of AWS (ECR): {_SIGN_IN}",
    ),
    (re.compile(r".+\.azurecr\.(io|cn|us)"), f"is in a registry of Azure (ACR): {_SIGN_IN}"),
    (
        re.compile(r"localhost|127\..+|\[::1\]|[^.]+|.+\.(local|localhost)"),
        "is in a registry of a private network, which Vertex AI cannot reach",
    ),
)


def refusal(image_uri: str) -> str:
    """Return why Vertex AI cannot pull this image; empty if its name gives no reason.

    Other registries may be public, so they are not refused.
    """
    host = registry(image_uri)
    return next((reason for pattern, reason in _PRIVATE if pattern.fullmatch(host)), "")


def registry(image_uri: str) -> str:
    """Return the registry's host without its port; as in Docker, no host means Docker Hub."""
    first, slash, _ = image_uri.strip().partition("/")
    if not slash or "$" in first or not (re.search("[.:]", first) or first == "localhost"):
        return "docker.io"
    return re.sub(r":\d+$", "", first.lower())
