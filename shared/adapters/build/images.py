"""Have an image built, once per content: Artifact Registry has the images, Cloud Build the builds.

No call is repeated blindly: a build whose create had no answer carries its image's tag, and the
next call finds it. If two launches ask at the same moment, the same content is built twice. The
first image that is pushed counts, if the repository's tags are immutable.
"""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from google.cloud.storage.retry import DEFAULT_RETRY

from shared.adapters.build.builders import DOCKER, GIT
from shared.adapters.build.calls import TIMEOUT, build_of, lazy_client, translated
from shared.adapters.build.context import DOCKERFILE, upload
from shared.adapters.build.registry import Registry
from shared.adapters.google import OWNER_TIMEOUT, require_owner, storage_client
from shared.core.budget import Budget
from shared.core.building import LEFT_OUT, Ensured, GitCredential, Recipe
from shared.core.errors import Retry
from shared.core.lazy import Lazy, LazyMap
from shared.core.ports import ArtifactFiles
from shared.core.within import within

BUILD_SECONDS = 3600
HISTORY = 20  # builds of one image that are read, newest first
JUST_NOW = timedelta(hours=1)  # an image pushed since then exists, even if it is not visible yet
# The programs of the steps. Values reach them as arguments only, never as text of a program.
_PROGRAMS = Path(__file__).parent
FETCH = (_PROGRAMS / "fetch_repository.sh").read_text(encoding="utf-8")
CHECK = (_PROGRAMS / "check_code.sh").read_text(encoding="utf-8")
NAME_LEFT_OUT = (_PROGRAMS / "name_left_out.sh").read_text(encoding="utf-8")
_BESIDE = f"{DOCKERFILE} in "
CONTEXT = "context"  # the link that CHECK makes


class CloudBuildImages:
    """Implements Images.

    Builds run in `parent` (projects/P/locations/L) as the service account `account`. An `endpoint`
    (a URL) replaces Google's and needs no credentials. `git_credentials` are the operator's: with
    them, builds fetch repositories. The project `project_number` must own the contexts' bucket.
    """

    def __init__(
        self,
        parent: str,
        account: str,
        agent: str,
        files: ArtifactFiles,
        endpoint: str = "",
        timeout: float = TIMEOUT,
        git_credentials: Sequence[GitCredential] = (),
        project_number: str = "",
    ) -> None:
        self._parent = parent
        self._account = account
        self._agent = agent
        self._files = files
        self._client = lazy_client(endpoint)
        self._registry = Registry(endpoint, timeout)
        self._timeout = timeout
        self._credentials = git_credentials
        self._storage = Lazy(storage_client)
        self._ours = LazyMap(partial(self._require_ours, project_number))

    def ensure(self, recipe: Recipe, budget: Budget) -> Ensured:
        """Return this image by its digest, or its build, which begins now if necessary."""
        # builds first: one that ends between the two calls has pushed its image
        builds = self._builds_of(recipe)
        if under_way := next((build.name for build in builds if not build_of(build).over), ""):
            return Ensured(build=under_way)
        if image := self._registry.by_digest(recipe.image):
            return Ensured(image=image, **_facts(builds))
        since = datetime.now(UTC) - JUST_NOW
        for build in builds:
            succeeded = build_of(build).status == "SUCCESS"
            if succeeded and build.finish_time and build.finish_time > since:
                problem = f"has pushed {recipe.image}, which Artifact Registry does not show"
                raise Retry(f"{build.name} {problem}")
        return Ensured(build=self._begin(recipe, budget))

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

    def _require_ours(self, project_number: str, bucket: str) -> None:
        def owner() -> object:
            storage = self._storage.get()
            found = storage.get_bucket(bucket, timeout=OWNER_TIMEOUT, retry=DEFAULT_RETRY)
            return found.project_number

        require_owner(bucket, project_number, owner)

    def _begin(self, recipe: Recipe, budget: Budget) -> str:
        with translated(self._call(recipe), f"the role Storage Object User on {recipe.store}"):
            storage = self._storage.get()
            self._ours.get(recipe.store.removeprefix("gs://").partition("/")[0])
            source = within(
                max(0.0, budget.left), lambda: upload(recipe, self._files, storage, budget)
            )
        project = self._parent.split("/")[1]
        build = {
            "source": {"storage_source": source},
            **steps(recipe, self._credentials),
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


def _facts(builds: Sequence[Any]) -> dict[str, Any]:
    """Return what the steps of the newest successful build wrote about its image."""
    made = next((build for build in builds if build_of(build).status == "SUCCESS"), None)
    outputs = made.results.build_step_outputs if made and made.results else ()
    texts = [bytes(each).decode("utf-8", "replace").strip() for each in outputs]
    folders = [text[len(_BESIDE) :] for text in texts if text.startswith(_BESIDE)]
    warnings = [text for text in texts if text and not text.startswith(_BESIDE)]
    return {
        "warnings": tuple(warnings),
        "context": "".join(folders[:1]).removeprefix("code").lstrip("/"),
    }


def steps(recipe: Recipe, credentials: Sequence[GitCredential] = ()) -> dict[str, Any]:
    """Return the steps of a build, and the secrets of the step that fetches a repository.

    The steps fetch the code of a repository if there is one, refuse code that leads out of its
    folder, build the image, and name what the image lacks. Only the operator chooses their
    environment.
    """
    folder = f"code/{recipe.context}".rstrip("/")
    if recipe.dockerfile:
        context, dockerfile = folder, f"{folder}/{recipe.dockerfile}"
        checked = [context, dockerfile]
    else:
        context, dockerfile = f"{CONTEXT}/.", f"{CONTEXT}/{DOCKERFILE}"
        checked = ["code", "", folder]
    check = _bash(DOCKER, CHECK, *checked)
    arguments = ["build", "--tag", recipe.image, "--file", dockerfile, context]
    build = {
        "name": DOCKER,
        "args": [_literal(each) for each in arguments],
        "env": ["DOCKER_BUILDKIT=1"],  # for COPY --link and RUN --mount in the code's Dockerfile
    }
    made = [check, build]
    if recipe.installer:
        made.append(_bash(DOCKER, NAME_LEFT_OUT, recipe.image, f"/job/{LEFT_OUT}"))
    if not recipe.remote:
        return {"steps": made}
    hosts = [credential.host for credential in credentials]
    fetch = _bash(GIT, FETCH, recipe.remote, recipe.commit, *hosts)
    if not credentials:
        return {"steps": [fetch, *made]}
    secrets = [
        {"version_name": credential.secret, "env": f"GIT_LOGIN_{number}"}
        for number, credential in enumerate(credentials, 1)
    ]
    fetch["secret_env"] = [secret["env"] for secret in secrets]
    return {"steps": [fetch, *made], "available_secrets": {"secret_manager": secrets}}


def _bash(image: str, program: str, *arguments: str) -> dict[str, Any]:
    return {
        "name": image,
        "entrypoint": "bash",
        "args": [_literal(each) for each in ("-c", program, "bash", *arguments)],
    }


def _literal(text: str) -> str:
    """Escape a text: Cloud Build substitutes variables that begin with $."""
    return text.replace("$", "$$")


def _mark(recipe: Recipe) -> str:
    """Return the tag of all builds of one image."""
    return f"image-{recipe.tag}"
