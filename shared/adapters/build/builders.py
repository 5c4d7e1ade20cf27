"""The images of the steps that build an image. `make pins` renews their digests."""

GIT = (
    "gcr.io/cloud-builders/git"
    "@sha256:bfcbd8719280b196bd860e89531c3c9b598daab4a07aef1d17a163c822d569bd"
)
DOCKER = (
    "gcr.io/cloud-builders/docker"
    "@sha256:3d00b6c1a9b862621c30fc74d4f2abfc62bcbdee631ed3febd31e7edbdf6252c"
)
