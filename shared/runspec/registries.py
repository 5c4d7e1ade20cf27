"""Where Vertex AI can pull an image from: Google's registries, and whatever anybody may read without signing in."""

import re

FIX = "Copy the image to Artifact Registry, and name it there: REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE."
_SIGN_IN = "Vertex AI has no way to sign in there"
_PRIVATE = (
    (
        re.compile(r"\d+\.dkr[.-]ecr(-fips)?\..+"),
        f"is in a private registry of AWS (ECR): {_SIGN_IN}",
    ),
    (re.compile(r".+\.azurecr\.(io|cn|us)"), f"is in a registry of Azure (ACR): {_SIGN_IN}"),
    (
        re.compile(r"localhost|127\..+|\[::1\]|[^.]+|.+\.(local|localhost)"),
        "is in a registry that only its own network can reach: Vertex AI pulls from elsewhere",
    ),
)


def refusal(image_uri: str) -> str:
    """Return why Vertex AI cannot pull this image; empty where nothing speaks against it.

    Only what can be known from the name: a registry of one's own may be open to all, so it is not refused.
    """
    host = registry(image_uri)
    return next((reason for pattern, reason in _PRIVATE if pattern.fullmatch(host)), "")


def registry(image_uri: str) -> str:
    """Return the registry's host without its port, as Docker reads a reference: no host means Docker Hub."""
    first, slash, _ = image_uri.strip().partition("/")
    if not slash or "$" in first or not (re.search("[.:]", first) or first == "localhost"):
        return "docker.io"
    return re.sub(r":\d+$", "", first.lower())
