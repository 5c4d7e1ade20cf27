"""Have an image built, once for the same content: Artifact Registry knows what is there, Cloud Build what is under way.

Nothing is repeated blindly: a build whose create had no answer carries its image's tag, and the next call finds it.
Where two launches ask at the very same time, the image is built twice, of the same content; the second replaces the
first.
"""

import itertools
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud import storage

from shared.adapters.build.builds import TIMEOUT, Connection, build_of, error
from shared.adapters.build.context import DOCKERFILE, upload
from shared.adapters.build.registry import Registry
from shared.core.budget import Budget
from shared.core.building import Recipe
from shared.core.errors import Retry
from shared.core.ports import ArtifactFiles

BUILD_SECONDS = 3600
HISTORY = 20  # builds of one image that are looked at
JUST_NOW = timedelta(hours=1)  # an image that was pushed since is not gone, but cannot be seen
GIT, DOCKER = "gcr.io/cloud-builders/git", "gcr.io/cloud-builders/docker"


class CloudBuildImages:
    """Implements Images. `parent` is where builds run, `account` the service account that they run as."""

    def __init__(
        self, parent: str, account: str, agent: str, files: ArtifactFiles, endpoint: str = ""
    ) -> None:
        self._parent = parent
        self._account = account
        self._agent = agent
        self._files = files
        self._connection = Connection(endpoint)
        self._registry = Registry(endpoint)
        self._storage: storage.Client | None = None
        self._lock = threading.Lock()

    def ensure(self, recipe: Recipe, budget: Budget) -> str:
        """Return the build that makes this image, begun now if need be; empty where the image is there."""
        try:
            known = list(
                self._builds_of(recipe)
            )  # first: a build that ends now has pushed its image
            under_way = next((one.name for one in known if not build_of(one).over), "")
            if under_way or self._registry.has(recipe.image):
                return under_way
            now = datetime.now(UTC)
            for one in known:
                if (
                    build_of(one).status == "SUCCESS"
                    and one.finish_time
                    and one.finish_time > now - JUST_NOW
                ):
                    raise Retry(
                        f"{one.name} has pushed {recipe.image}, which Artifact Registry does not show"
                    )
            return self._begin(recipe, budget)
        except Exception as exc:
            raise error(exc, f"building {recipe.image} in {self._parent}") from exc

    def _builds_of(self, recipe: Recipe) -> Iterator[Any]:
        wanted = {"parent": self._parent, "filter": f'tags="{_mark(recipe)}"', "page_size": HISTORY}
        # newest first: the others are history
        found = self._connection.client().list_builds(request=wanted, timeout=TIMEOUT, retry=None)
        yield from itertools.islice(found, HISTORY)

    def _begin(self, recipe: Recipe, budget: Budget) -> str:
        build = {
            "source": {"storage_source": upload(recipe, self._files, self._buckets(), budget)},
            "steps": steps(recipe),
            "images": [recipe.image],
            "tags": ["vertex-launch", self._agent, _mark(recipe)],
            "timeout": {"seconds": BUILD_SECONDS},
            "service_account": f"projects/{self._parent.split('/')[1]}/serviceAccounts/{self._account}",
            "options": {"logging": "CLOUD_LOGGING_ONLY"},
        }
        request = {"parent": self._parent, "build": build}
        client = self._connection.client()
        budget.require("the beginning of a build")
        return str(
            client.create_build(request=request, timeout=TIMEOUT, retry=None).metadata.build.name
        )

    def _buckets(self) -> storage.Client:
        with self._lock:
            if self._storage is None:
                os.environ.setdefault(
                    "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true"
                )  # as the ledger has it
                self._storage = storage.Client()
            return self._storage


def steps(recipe: Recipe) -> list[dict[str, Any]]:
    """Return what Cloud Build does: fetch a repository's code, where there is one, then build."""
    told = []
    if recipe.remote:
        told += [
            _git(recipe, "clone", "--quiet", "--no-checkout", "--", recipe.remote, "code"),
            _git(recipe, "-C", "code", "checkout", "--quiet", recipe.commit),
            _git(recipe, "-C", "code", "submodule", "--quiet", "update", "--init", "--recursive"),
        ]
        if "diff.patch" in recipe.files:
            told.append(_git(recipe, "-C", "code", "apply", "../diff.patch"))
    context = f"code/{recipe.context}".rstrip("/") if recipe.dockerfile else "."
    dockerfile = f"{context}/{recipe.dockerfile}" if recipe.dockerfile else DOCKERFILE
    arguments = ["build", "--tag", recipe.image, "--file", dockerfile, context]
    return [*told, {"name": DOCKER, "args": [_literal(one) for one in arguments]}]


def _git(recipe: Recipe, *arguments: str) -> dict[str, Any]:
    variables = [_literal(f"{name}={value}") for name, value in sorted(recipe.variables.items())]
    return {"name": GIT, "args": [_literal(one) for one in arguments], "env": variables}


def _literal(text: str) -> str:
    """Return a text in which Cloud Build finds nothing to fill in."""
    return text.replace("$", "$$")


def _mark(recipe: Recipe) -> str:
    """Return the tag by which the builds of an image are found."""
    return f"image-{recipe.tag}"
