"""Registries that Vertex AI can pull from."""

import pytest

from shared.core.image import Image
from shared.runspec.registries import refusal

PULLED = [
    "us-central1-docker.pkg.dev/p/r/train:1",
    "europe-docker.pkg.dev/p/r/train@sha256:" + "0" * 64,
    "gcr.io/p/train",
    "eu.gcr.io/p/train:2",
    "python:3.12",
    "python",
    "pytorch/pytorch:latest",
    "docker.io/library/python",
    "ghcr.io/team/train",
    "quay.io/team/train",
    "public.ecr.aws/team/train",
    "mcr.microsoft.com/azureml/base",
    "nvcr.io/nvidia/pytorch:24.01-py3",
    "registry.gitlab.com/team/train",
    "registry.example.com:5000/train",  # it may be open to all
]
PRIVATE = {
    "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1": "AWS",
    "123456789012.DKR.ECR.us-east-1.amazonaws.com/train": "AWS",
    "123456789012.dkr.ecr-fips.us-gov-east-1.amazonaws.com/train": "AWS",
    "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/train": "AWS",
    "123456789012.dkr-ecr.us-east-1.on.aws/train": "AWS",
    "team.azurecr.io/train:1": "Azure",
    "localhost/train": "network",
    "localhost:5000/train": "network",
    "127.0.0.1:5000/train": "network",
    "registry:5000/train": "network",
    "nas.local/train": "network",
    "10.0.0.2/train": "network",
    "169.254.169.254/train": "network",
    "[::1]:5000/train": "network",
    "[fd00::2]/train": "network",
    "registry.p.internal/train": "network",
}


@pytest.mark.parametrize("image", PULLED)
def test_google_and_the_public_are_fine(image: str) -> None:
    """Google's own, public ones, and what cannot be known from the name."""
    assert refusal(Image.parse(image)) == ""


@pytest.mark.parametrize(("image", "whose"), PRIVATE.items())
def test_a_registry_that_needs_a_sign_in_is_refused(image: str, whose: str) -> None:
    """The reason says whose registry it is."""
    assert whose in refusal(Image.parse(image))
