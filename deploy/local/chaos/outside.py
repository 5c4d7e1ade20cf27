"""A stack as somebody sees it who is none of its functions: what the stand-ins and the bucket hold, their controls."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import requests

from deploy.local.chaos.audit import Audit, audit
from deploy.local.chaos.items import WANDB_PROJECT, Item
from deploy.local.faults import CONTROL, FAULTLESS
from deploy.local.processes import NotStartedError
from deploy.local.stack import API_KEY, BUCKET, ENTITY, FUNCTIONS, QUEUE, START_SECONDS, Stack
from deploy.local.wandb_server.state import QUEUE_PROJECT

STAND_INS = ("wandb", "vertex")
MAKE_RUN = """mutation UpsertBucket($e: String, $p: String, $r: String, $n: String) { upsertBucket(input:
  {entityName: $e, modelName: $p, name: $r, displayName: $n, state: "pending"}) { inserted } }"""
PUSH = """mutation push($e: String!, $p: String!, $q: String!, $s: JSONString!) { pushToRunQueueByName(input:
  {entityName: $e, projectName: $p, queueName: $q, runSpec: $s}) { runQueueItemId } }"""
RUN = "query Run($e: String!, $p: String!, $r: String!) { project(name: $p, entityName: $e) { run(name: $r) { id } } }"
STOP = "mutation Stop($id: ID!) { stopRun(input: {id: $id}) { success } }"


class Outside:
    """One connection to everything; not for two threads. Its calls never fail on purpose."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._http = requests.Session()
        self._http.auth = ("api", API_KEY)
        self._http.headers.update(FAULTLESS)

    def push(self, item: Item) -> None:
        """Push an item to the queue; one whose run has an id of its own has that run made first."""
        if item.run_id:
            self._graphql(MAKE_RUN, {"e": ENTITY, "p": WANDB_PROJECT, "r": item.run_id, "n": item.name})
        self._graphql(PUSH, {"e": ENTITY, "p": QUEUE_PROJECT, "q": QUEUE, "s": json.dumps(item.run_spec)})

    def press_stop(self, run_name: str) -> None:
        """Press stop at a run, as the button on W&B's page does."""
        found = self._graphql(RUN, {"e": ENTITY, "p": WANDB_PROJECT, "r": run_name})
        self._graphql(STOP, {"id": found["project"]["run"]["id"]})

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs in W&B."""
        found: list[dict[str, Any]] = self._get("wandb", "/standin/runs")
        return found

    def launches(self, prefix: str) -> list[dict[str, Any]]:
        """Return the objects of the ledger that are `open/` or `closed/`."""
        return list(self._pages(prefix))

    def faults(self) -> dict[str, Counter[str]]:
        """Return the failures that each stand-in has given, by their names."""
        return {name: Counter(self._get(name, CONTROL)["given"]) for name in STAND_INS}

    def held(self, server: str) -> bool:
        """Tell whether a stand-in holds a call."""
        return bool(self._get(server, CONTROL)["held"])

    def control(self, server: str, told: Mapping[str, Any]) -> None:
        """Tell a stand-in which failures to give."""
        url = self._stack.ports.url(server) + CONTROL
        self._http.post(url, json=told, timeout=30).raise_for_status()

    def duplicates(self) -> int:
        """Count the pushes that were made twice."""
        return self._stack.processes.log("pubsub").read_text(errors="replace").count("comes twice")

    def events(self) -> Counter[str]:
        """Count what the functions logged, by event."""
        counted: Counter[str] = Counter()
        for name in FUNCTIONS:
            for line in self._stack.processes.log(name).read_text(errors="replace").splitlines():
                if line.startswith("{") and line.endswith("}"):  # a killed process may leave half a line
                    counted[json.loads(line)["message"]] += 1
        return counted

    def audit(self, items: list[Item]) -> Audit:
        """Look at every item."""
        return audit(
            items,
            self._get("wandb", "/standin/items"),
            self.runs(),
            self._get("vertex", "/standin/jobs"),
            [found["name"] for found in self.launches("open/")],
            self._slots_taken(),
        )

    def _slots_taken(self) -> int:
        """Ask poll how many launches it counts; while another call of it is at work it does not count."""
        answer: dict[str, Any] = {}
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            answer = self._http.post(self._stack.ports.url("poll") + "/", timeout=60).json()
            if answer.get("polled"):
                return int(answer["open_launches"])
            time.sleep(0.1)
        raise NotStartedError(f"poll does not poll any more: {answer}")

    def _pages(self, prefix: str) -> Iterator[dict[str, Any]]:
        token, more = "", True
        while more:
            page = self._get("gcs", f"/storage/v1/b/{BUCKET}/o?prefix={prefix}&pageToken={token}")
            yield from page.get("items", [])
            token = page.get("nextPageToken", "")
            more = bool(token)

    def _graphql(self, document: str, variables: Mapping[str, str]) -> Any:
        url = f"{self._stack.ports.url('wandb')}/graphql"
        answer = self._http.post(url, json={"query": document, "variables": variables}, timeout=30)
        answer.raise_for_status()
        return answer.json()["data"]

    def _get(self, server: str, path: str) -> Any:
        return self._http.get(self._stack.ports.url(server) + path, timeout=30).json()
