"""The demo on a running stack: enqueue its jobs, then observe them until nothing moves."""

from typing import Any

import requests

from deploy.local.cases import CASES, Case
from deploy.local.enqueue import Job, enqueue
from deploy.local.processes import NotStartedError
from deploy.local.project import DEFAULT_CONFIG, ENTITY, PROJECT, TOPIC
from deploy.local.rows import Row as Row
from deploy.local.run_folder import lack_of_room
from deploy.local.stack import Stack
from shared.core.message import Request, encode

WANDB_PROJECT = "demo"
SPARE = 20_000_000  # bytes of free disk; with less, jobs and logs fail silently
SOURCE = "nightly-pipeline"  # the other system
PUBLISHED = Request(source=SOURCE, idempotency_key="published", run_spec={}).launch_key
STOP_RUN = "mutation Stop($id: ID!) { stopRun(input: {id: $id}) { success } }"
FIND_RUN = """
query Run($e: String!, $p: String!, $r: String!) {
  project(name: $p, entityName: $e) { run(name: $r) { id } }
}
"""


class Demo:
    """The cases on a running stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stopped: set[str] = set()
        self._closed = 0
        self.errors: list[str] = []
        self.rows = [Row(case) for case in CASES]

    @property
    def settled(self) -> bool:
        """Return whether every case ended as expected, or an error ended the demo."""
        ended = all(row.right for row in self.rows) and self._closed >= len(CASES)
        return ended or bool(self.errors)

    @property
    def problem(self) -> str:
        """Return what did not happen; empty if every job ended as expected and is closed."""
        if wrong := sum(not row.right for row in self.rows):
            return f"{wrong} of {len(CASES)} jobs did not end as expected"
        return "" if self.settled else "status has not closed every launch"

    def enqueue_all(self) -> None:
        """Enqueue all cases with W&B's own command, and publish one as another system would.

        `errors` keeps an error for the thread that waits.
        """
        try:
            self._publish(next(case for case in CASES if case.published))
            jobs = [_job(case) for case in CASES if not case.published]
            enqueue(self._stack, jobs, WANDB_PROJECT)
        except NotStartedError as exc:
            self.errors.append(str(exc))
        except Exception as exc:  # noqa: BLE001 - nothing above this thread would report it
            self.errors.append(f"the jobs could not be enqueued: {exc}")

    def look(self) -> list[Row]:
        """Observe W&B and Vertex AI as their clients see them; stop the run that is due."""
        items = {item["run_spec"].get("name"): item for item in self._get("wandb", "standin/items")}
        runs = {run["display_name"]: run for run in self._get("wandb", "standin/runs")}
        jobs = self._get("vertex", "standin/jobs")
        launches = self._launches()
        for row in self.rows:
            name = row.case.name
            row.item = items.get(name, {})
            row.run = runs.get(name, {})
            row.jobs = [job for job in jobs if job["display_name"] == name]
            identity = PUBLISHED if row.case.published else row.item.get("id", "")
            row.launch = launches.get(identity, "")
            if row.case.stop and row.run_state == "running" and name not in self._stopped:
                self._stop(row)
        if lack := lack_of_room(self._stack.folder, SPARE):
            self.errors.append(lack)
        self._closed = sum(state.startswith("closed") for state in launches.values())
        return self.rows

    def _publish(self, case: Case) -> None:
        spec = {
            "entity": ENTITY,
            "project": WANDB_PROJECT,
            "name": case.name,
            "docker": {"docker_image": "local/train:latest"},
            "resource": "gcp-vertex",
            "overrides": {"run_config": {"epochs": 6, "sleep": 0.2}},
            **DEFAULT_CONFIG,
        }
        request = Request(source=SOURCE, idempotency_key=case.name, run_spec=spec)
        client = self._stack.publisher()
        for _ in range(2):  # twice, as an impatient system would; both are the same launch
            client.publish(client.topic_path(PROJECT, TOPIC), encode(request)).result(timeout=20)

    def _stop(self, row: Row) -> None:
        """Stop a run, as the button on W&B's page does."""
        self._stopped.add(row.case.name)
        path = {"e": ENTITY, "p": WANDB_PROJECT, "r": row.run["name"]}
        found = self._graphql(FIND_RUN, path)
        self._graphql(STOP_RUN, {"id": found["project"]["run"]["id"]})

    def _graphql(self, document: str, variables: dict[str, str]) -> Any:
        url = f"{self._stack.ports.url('wandb')}/graphql"
        login = ("api", self._stack.user_settings()["WANDB_API_KEY"])
        body = {"query": document, "variables": variables}
        answer = requests.post(url, json=body, auth=login, timeout=10)
        answer.raise_for_status()
        return answer.json()["data"]

    def _launches(self) -> dict[str, str]:
        """Return each launch's state in the ledger, by item id or, without an item, launch key."""
        bucket = self._stack.function_settings()["LEDGER_BUCKET"]
        states = {}
        for found in self._get("gcs", f"storage/v1/b/{bucket}/o").get("items", []):
            folder, _, key = found["name"].partition("/")
            index = found.get("metadata", {})
            if folder in ("open", "closed"):
                state = f"closed: {index['outcome']}" if folder == "closed" else index["state"]
                states[index.get("item_id") or key] = state
        return states

    def _get(self, server: str, path: str) -> Any:
        return requests.get(f"{self._stack.ports.url(server)}/{path}", timeout=10).json()


def _job(case: Case) -> Job:
    config = {"epochs": 6, "sleep": 0.2, **case.config}
    return Job(case.name, case.image, case.made_of, config, case.resource_args)
