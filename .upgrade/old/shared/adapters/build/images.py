"""Have an image built, once per content: Artifact Registry has the images, Cloud Build the builds.

No call is repeated blindly: a build whose create had no answer carries its image's tag, and the
next call finds it. If two launches ask at the same moment, the same content is built twice, and the
second image replaces the first.
"""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.adapters.build.builds import TIMEOUT, build_of, lazy_client, translated
from shared.adapters.build.context import DOCKERFILE, upload
from shared.adapters.build.registry import Registry
from shared.adapters.google import storage_client
from shared.core.budget import Budget
from shared.core.building import Recipe
from shared.core.errors import Retry
from shared.core.lazy import Lazy
from shared.core.ports import ArtifactFiles
from shared.core.within import within

BUILD_SECONDS = 3600
HISTORY = 20  # builds of one image that are read, newest first
JUST_NOW = timedelta(hours=1)  # an image pushed since then exists, even if it is not visible yet
GIT, DOCKER = "gcr.io/cloud-builders/git", "gcr.io/cloud-builders/docker"


class CloudBuildImages:
    """Implements Images.

    Builds run in `parent` (projects/P/locations/L) as the service account `account`. An `endpoint`
    (a URL) replaces Google's and needs no credentials.
    """

    def __init__(
        self,
        parent: str,
        account: str,
        agent: str,
        files: ArtifactFiles,
        endpoint: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        self._parent = parent
        self._account = account
        self._agent = agent
        self._files = files
        self._client = lazy_client(endpoint)
        self._registry = Registry(endpoint, timeout)
        self._timeout = timeout
        self._storage = Lazy(storage_client)

    def ensure(self, recipe: Recipe, budget: Budget) -> str:
        """Return the build of this image, which begins now if necessary; empty if it exists."""
        # builds first: one that ends between the two calls has pushed its image
        builds = self._builds_of(recipe)
        under_way = next((build.name for build in builds if not build_of(build).over), "")
        if under_way or self._registry.has(recipe.image):
            return under_way
        since = datetime.now(UTC) - JUST_NOW
        for build in builds:
            succeeded = build_of(build).status == "SUCCESS"
            if succeeded and build.finish_time and build.finish_time > since:
                problem = f"has pushed {recipe.image}, which Artifact Registry does not show"
                raise Retry(f"{build.name} {problem}")
        return self._begin(recipe, budget)

    def _builds_of(self, recipe: Recipe) -> list[Any]:
        """Return the newest builds of this image."""
        request = {
            "parent": self._parent,
            "filter": f'tags="{_mark(recipe)}"',
            "page_size": HISTORY,
        }
        with translated(self._call(recipe), "the permission cloudbuild.builds.list"):
            list_builds = self._client.get().list_builds

            def listed() -> list[Any]:
                found = list_builds(request=request, timeout=self._timeout, retry=None)
                return list(itertools.islice(found, HISTORY))

            return within(self._timeout, listed)

    def _begin(self, recipe: Recipe, budget: Budget) -> str:
        with translated(self._call(recipe), f"the role Storage Object User on {recipe.store}"):
            storage = self._storage.get()
            source = within(
                max(0.0, budget.left), lambda: upload(recipe, self._files, storage, budget)
            )
        project = self._parent.split("/")[1]
        build = {
            "source": {"storage_source": source},
            "steps": steps(recipe),
            "images": [recipe.image],
            "tags": ["vertex-launch", self._agent, _mark(recipe)],
            "timeout": {"seconds": BUILD_SECONDS},
            "service_account": f"projects/{project}/serviceAccounts/{self._account}",
            "options": {"logging": "CLOUD_LOGGING_ONLY"},
        }
        request = {"parent": self._parent, "build": build}
        needs = (
            "the permissions cloudbuild.builds.create and "
            f"iam.serviceAccounts.actAs on {self._account}"
        )
        with translated(self._call(recipe), needs):
            client = self._client.get()
            budget.require("the beginning of a build")
            arguments = {"request": request, "timeout": self._timeout, "retry": None}
            operation = within(self._timeout, lambda: client.create_build(**arguments))
            return str(operation.metadata.build.name)

    def _call(self, recipe: Recipe) -> str:
        return f"building {recipe.image} in {self._parent}"


def steps(recipe: Recipe) -> list[dict[str, Any]]:
    """Return Cloud Build's steps: fetch the code of a repository if there is one, then build."""
    fetches = []
    if recipe.remote:
        fetches += [
            _git(recipe, "clone", "--quiet", "--no-checkout", "--", recipe.remote, "code"),
            _git(recipe, "-C", "code", "checkout", "--quiet", recipe.commit),
            _git(recipe, "-C", "code", "submodule", "--quiet", "update", "--init", "--recursive"),
        ]
        if "diff.patch" in recipe.files:
            fetches.append(_git(recipe, "-C", "code", "apply", "../diff.patch"))
    context = f"code/{recipe.context}".rstrip("/") if recipe.dockerfile else "."
    dockerfile = f"{context}/{recipe.dockerfile}" if recipe.dockerfile else DOCKERFILE
    arguments = ["build", "--tag", recipe.image, "--file", dockerfile, context]
    return [*fetches, {"name": DOCKER, "args": [_literal(each) for each in arguments]}]


def _git(recipe: Recipe, *arguments: str) -> dict[str, Any]:
    variables = [_literal(f"{name}={value}") for name, value in sorted(recipe.variables.items())]
    return {"name": GIT, "args": [_literal(each) for each in arguments], "env": variables}


def _literal(text: str) -> str:
    """Escape a text: Cloud Build substitutes variables that begin with $."""
    return text.replace("$", "$$")


def _mark(recipe: Recipe) -> str:
    """Return the tag of all builds of one image."""
    return f"image-{recipe.tag}"
