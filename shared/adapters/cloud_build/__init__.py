"""Cloud Build, and Artifact Registry where its images are: what submit has built, and what status sees of it."""

from shared.adapters.cloud_build.builds import CloudBuilds
from shared.adapters.cloud_build.images import CloudBuildImages

__all__ = ["CloudBuildImages", "CloudBuilds"]
