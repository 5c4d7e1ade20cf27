"""Registries from which Vertex AI cannot pull an image."""

import re
from ipaddress import ip_address

from shared.core.image import Image

FIX = (
    "Copy the image to Artifact Registry, and write REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE."
)
_SIGN_IN = "Vertex AI cannot sign in there"
_UNREACHABLE = "is in a registry of a private network, which Vertex AI cannot reach"
_PRIVATE = (
    (
        re.compile(r"\d+\.dkr[.-]ecr(-fips)?\..+"),
        f"is in a private registry of AWS (ECR): {_SIGN_IN}",
    ),
    (re.compile(r".+\.azurecr\.(io|cn|us)"), f"is in a registry of Azure (ACR): {_SIGN_IN}"),
    (
        re.compile(r"[^.:]+|.+\.(local|localhost|internal)"),
        _UNREACHABLE,
    ),
)


def refusal(image: Image) -> str:
    """Return why Vertex AI cannot pull this image; empty if its name gives no reason.

    Other registries may be public, so they are not refused.
    """
    if _is_private(image.host):
        return _UNREACHABLE
    return next((reason for pattern, reason in _PRIVATE if pattern.fullmatch(image.host)), "")


def _is_private(host: str) -> bool:
    try:
        return not ip_address(host.strip("[]")).is_global
    except ValueError:
        return False
