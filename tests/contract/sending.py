"""One launch sent three ways to the Vertex AI stand-in: by us, by the plain SDK and by wandb's own Vertex runner."""

import asyncio
import copy
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform
from google.protobuf.json_format import MessageToDict
from wandb.sdk.launch._project_spec import LaunchProject

from deploy.local.servers.vertex.app import create_app
from deploy.local.servers.vertex.state import VertexState
from deploy.local.serving import serving
from shared.adapters.vertex.submit import VertexCompute, argument_names
from shared.runspec.render import ArgumentNames, DeploymentDefaults, render
from tests.fakes.clock import PLENTY
from tests.unit.specs import SITE, draft_of

# the runner's module imports this large package for a check of the agent's environment, which is not ours to make
sys.modules.setdefault("google.cloud.compute_v1", ModuleType("google.cloud.compute_v1"))
from wandb.sdk.launch.runner.vertex_runner import VertexRunner, VertexSubmittedRun  # noqa: E402 - see above

NAMES = ArgumentNames(**argument_names())
CONTAINERS = "job_spec.worker_pool_specs[].container_spec"


@dataclass(frozen=True)
class Sent:
    """A CreateCustomJobRequest as it arrived: its parent, and the job in the SDK's own words."""

    parent: str
    job: dict[str, Any]


class Vertex:
    """The stand-in, and who sends to it. What arrives is read from the wire, not from the client."""

    def __init__(self, url: str, state: VertexState) -> None:
        self._state = state
        state.behaviour.checks_forms = False  # requests are compared here, whatever Vertex AI makes of a value
        self._compute = VertexCompute(SITE.project, SITE.location, url)

    def ours(self, run_spec: dict[str, Any], site: DeploymentDefaults = SITE) -> Sent:
        """Send it as submit does."""
        self._compute.create(render(draft_of(run_spec), site, NAMES), PLENTY)
        return self._arrived()

    def plain(self, spec: Mapping[str, Any], run: Mapping[str, Any]) -> Sent:
        """Send it as somebody would who writes Python: CustomJob(**spec).submit(**run)."""
        aiplatform.CustomJob(**copy.deepcopy(dict(spec))).submit(**run)
        return self._arrived()

    def agents(self, run_spec: dict[str, Any]) -> Sent:
        """Send it as `wandb launch-agent` does: with the runner of the installed wandb."""
        launch = draft_of(run_spec).launch
        api: Any = SimpleNamespace(settings={"base_url": SITE.base_url}, api_key=SITE.api_key)
        project = LaunchProject.from_spec(copy.deepcopy(run_spec), api)
        project.queue_name, project.queue_entity = launch.entry.queue_name, launch.entry.queue_entity
        project.run_queue_item_id = launch.entry.item_id
        environment: Any = _Environment()
        no_registry: Any = None
        runner = VertexRunner(api, {"SYNCHRONOUS": False}, environment, no_registry)
        asyncio.run(runner.run(project, project.docker_image or ""))
        return self._arrived()

    def _arrived(self) -> Sent:
        (job,) = self._state.jobs()
        self._state.forget(job.name)
        return Sent(job.parent, MessageToDict(job.message, preserving_proto_field_name=True))


def agents_state(state: str) -> str:
    """Return the agent's word for a JobState, which it reads as Python 3.10 prints it."""
    run = VertexSubmittedRun(SimpleNamespace(state=f"JobState.JOB_STATE_{state}"))
    return str(asyncio.run(run.get_status()).state)


class _Environment:
    """The agent's environment in Google Cloud: its own project and region."""

    project, region = SITE.project, SITE.location

    async def verify(self) -> None:
        """Have nothing to verify."""

    async def get_credentials(self) -> AnonymousCredentials:
        """Need none on loopback."""
        return AnonymousCredentials()


@contextmanager
def vertex() -> Iterator[Vertex]:
    """Serve a stand-in that runs nothing."""
    state = VertexState()
    contexts = f"projects/{SITE.project}/locations/{SITE.location}/metadataStores/default/contexts"
    state.contexts |= {f"{contexts}/cats": "system.Experiment", f"{contexts}/cats-blue": "system.ExperimentRun"}
    with serving(create_app(state)) as url:
        yield Vertex(url, state)


def leaves(sent: Sent) -> dict[str, list[Any]]:
    """Return what a request says, by path: `[]` stands for any number, and a variable goes by its name.

    The path of a variable that a container has twice ends in `twice`.
    """
    found: dict[str, list[Any]] = {"parent": [sent.parent]}
    for path, value in _walk(sent.job, ""):
        found.setdefault(path, []).append(value)
    return found


def differing(one: Sent, other: Sent) -> set[str]:
    """Return the paths at which two requests say different things."""
    left, right = leaves(one), leaves(other)
    return {path for path in left.keys() | right.keys() if left.get(path) != right.get(path)}


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if path == f"{CONTAINERS}.env":
        counted = Counter(variable["name"] for variable in value)
        for variable in value:
            name = variable["name"]
            yield f"{path}.{name}" + (".twice" if counted[name] > 1 else ""), variable.get("value", "")
    elif path.endswith((".command", ".args")):
        yield path, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _walk(one, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for one in value:
            yield from _walk(one, f"{path}[]")
    else:
        yield path, value
