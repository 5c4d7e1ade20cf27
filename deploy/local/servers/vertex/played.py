"""Play the jobs of the image `local/played` without a process: a thousand cost little.

A run's config, which W&B Launch sets as WANDB_CONFIG, has the fields of `Part`. The stand-in makes
the calls to W&B that W&B's SDK makes in a container.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from deploy.local.servers.faults import FAULTLESS

IMAGE = "local/played"
TERMINATED = 143  # the exit code of a script that SIGTERM ends
SWEEP_SECONDS = 0.2  # between two looks at a sweep
_SWEEP = """
query Sweep($project: String!, $entity: String!, $name: String!) {
  project(name: $project, entityName: $entity) { sweep(sweepName: $name) { state } }
}
"""
_INIT = """
mutation UpsertBucket($name: String, $project: String, $entity: String, $displayName: String) {
  upsertBucket(
    input: {name: $name, modelName: $project, entityName: $entity, displayName: $displayName}
  ) { inserted }
}
"""


@dataclass(frozen=True)
class Part:
    """The script of one played job."""

    seconds: float = 0.2
    exit_code: int = 0
    init: bool = True  # calls wandb.init
    endless: bool = False  # runs until it is cancelled
    preempted: bool = False  # loses its machine, unless it resumes a run
    unlucky: bool = False  # loses its machine each time
    stockout: bool = False  # the same, but W&B sees only a failed run
    internal: bool = False  # its first attempt fails before its container runs
    schedules: bool = False  # waits for the end of the sweep with its run's id


class MachinesLost(Exception):
    """The machines of a job were taken away."""


def part_of(variables: Mapping[str, str]) -> Part:
    """Read a job's part from its variables; a job without a part succeeds."""
    return Part(**json.loads(variables.get("WANDB_CONFIG") or "{}"))


def play(variables: Mapping[str, str], stop: threading.Event) -> int | None:
    """Play a job with these variables; return its exit code, or None if it was cancelled.

    Raises:
        MachinesLost: its part requests a stockout.
    """
    part = part_of(variables)
    run = _Run(variables) if part.init else None
    resumed = run is not None and not run.begin()
    stopped = stop.wait(None if part.endless else part.seconds)
    while run and part.schedules and not stopped and not run.sweep_is_over():
        stopped = stop.wait(SWEEP_SECONDS)
    if stopped:
        if run:
            run.end(TERMINATED)
        return None
    preempted = part.unlucky or (part.preempted and not resumed)
    lost = part.stockout and not resumed
    code = 1 if preempted or lost else part.exit_code
    if run:
        run.end(code, preempting=preempted)
    if lost:
        raise MachinesLost
    return code


class _Run:
    """The run of a job, reported as W&B's SDK does."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._url = variables["WANDB_BASE_URL"].rstrip("/")
        self._path = {name: variables[f"WANDB_{name.upper()}"] for name in ("entity", "project")}
        self._id = variables["WANDB_RUN_ID"]
        self._shown = variables.get("WANDB_NAME", self._id)
        self._session = requests.Session()
        self._session.auth = ("api", variables["WANDB_API_KEY"])
        self._session.headers.update(FAULTLESS)

    def begin(self) -> bool:
        """Create or resume the run; return whether it is new."""
        variables = {**self._path, "name": self._id, "displayName": self._shown}
        answer = self._post("graphql", {"query": _INIT, "variables": variables})
        return bool(answer["data"]["upsertBucket"]["inserted"])

    def sweep_is_over(self) -> bool:
        """Tell whether the sweep with this run's id has finished."""
        asked = {"query": _SWEEP, "variables": {**self._path, "name": self._id}}
        return bool(self._post("graphql", asked)["data"]["project"]["sweep"]["state"] == "FINISHED")

    def end(self, code: int, *, preempting: bool = False) -> None:
        """End the run with an exit code."""
        stream = f"files/{self._path['entity']}/{self._path['project']}/{self._id}/file_stream"
        self._post(stream, {"preempting": preempting, "complete": True, "exitcode": code})
        self._session.close()

    def _post(
        self, where: str, message: Mapping[str, object]
    ) -> dict[str, dict[str, dict[str, Any]]]:
        response = self._session.post(f"{self._url}/{where}", json=message, timeout=30)
        response.raise_for_status()
        answer: dict[str, dict[str, dict[str, Any]]] = response.json()
        return answer
