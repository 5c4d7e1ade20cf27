"""A stack as somebody sees it who is none of its functions: what the stand-ins and the bucket hold, their controls."""

import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import requests

from deploy.local.processes import NotStartedError
from deploy.local.servers.faults import CONTROL, FAULTLESS
from deploy.local.servers.wandb.state import QUEUE_PROJECT
from deploy.local.stack import API_KEY, BUCKET, ENTITY, FUNCTIONS, PROJECT, QUEUE, START_SECONDS, TOPIC, Stack
from shared.core.message import Queue, Request, encode
from tests.chaos.audit import Audit, Waits, audit
from tests.chaos.items import HIDDEN_PROJECT, WANDB_PROJECT, Item

STAND_INS = ("wandb", "vertex", "bucket")
MAKE_RUN = """mutation UpsertBucket($e: String, $p: String, $r: String, $n: String) { upsertBucket(input:
  {entityName: $e, modelName: $p, name: $r, displayName: $n, state: "pending"}) { inserted } }"""
PUSH = """mutation push($e: String!, $p: String!, $q: String!, $s: JSONString!) { pushToRunQueueByName(input:
  {entityName: $e, projectName: $p, queueName: $q, runSpec: $s}) { runQueueItemId } }"""
RUN = "query Run($e: String!, $p: String!, $r: String!) { project(name: $p, entityName: $e) { run(name: $r) { id } } }"
FINISH = 'mutation Finish($id: ID) { upsertSweep(input: {id: $id, state: "FINISHED"}) { sweep { name } } }'
SWEEP = """query Sweep($e: String!, $p: String!, $s: String!) { project(name: $p, entityName: $e) {
  sweep(sweepName: $s) { id } } }"""
STOP = "mutation Stop($id: ID!) { stopRun(input: {id: $id}) { success } }"


class Outside:
    """One connection to everything; not for two threads. Its calls never fail on purpose."""

    def __init__(self, stack: Stack, bucket: str) -> None:
        self._stack = stack
        self._bucket = bucket  # URL of the proxy that stands before the bucket
        self._http = requests.Session()
        self._http.auth = ("api", API_KEY)
        self._http.headers.update(FAULTLESS)

    def again(self) -> "Outside":
        """Return another connection, for another thread."""
        return Outside(self._stack, self._bucket)

    def push(self, item: Item) -> str:
        """Push an item to the queue and return its id; one whose run is stopped early has that run made first."""
        if item.kind.raw:
            asked = {"entity": ENTITY, "queue": QUEUE, "raw": item.kind.raw(item.name, item.kind.project)}
            return str(self._post("wandb", "/standin/items", asked)["id"])
        if item.run_id:
            self._graphql(MAKE_RUN, {"e": ENTITY, "p": WANDB_PROJECT, "r": item.run_id, "n": item.name})
        pushed = {"e": ENTITY, "p": QUEUE_PROJECT, "q": QUEUE, "s": json.dumps(item.run_spec)}
        return str(self._graphql(PUSH, pushed)["pushToRunQueueByName"]["runQueueItemId"])

    def publish(self, item: Item) -> None:
        """Ask for an item as another system does."""
        publisher = self._stack.publisher()
        queue = Queue(entity=ENTITY, name=QUEUE)
        request = Request(source="chaos", idempotency_key=item.name, run_spec=item.run_spec, queue=queue)
        publisher.publish(publisher.topic_path(PROJECT, TOPIC), encode(request)).result(timeout=30)

    def delete_item(self, item_id: str) -> None:
        """Delete an item from its queue."""
        self._http.delete(self._url("wandb", f"/standin/items/{item_id}"), timeout=30).raise_for_status()

    def delete_agents(self) -> int:
        """Delete all records of agents; return how many there were."""
        agents = self._get("wandb", "/standin/agents")
        for agent in agents:
            self._http.delete(self._url("wandb", f"/standin/agents/{agent['id']}"), timeout=30).raise_for_status()
        return len(agents)

    def refuse_in(self, shape: str) -> None:
        """Let W&B refuse the hidden project, and what is gone, in one of its shapes."""
        self._post("wandb", "/standin/errors", {"shape": shape, "projects": [f"{ENTITY}/{HIDDEN_PROJECT}"]})

    def items(self) -> list[dict[str, Any]]:
        """Return the queue items in W&B, oldest first."""
        found: list[dict[str, Any]] = self._get("wandb", "/standin/items")
        return found

    def jobs(self) -> list[dict[str, Any]]:
        """Return the CustomJobs."""
        found: list[dict[str, Any]] = self._get("vertex", "/standin/jobs")
        return found

    def press_stop(self, run_name: str) -> None:
        """Press stop at a run, as the button on W&B's page does."""
        found = self._graphql(RUN, {"e": ENTITY, "p": WANDB_PROJECT, "r": run_name})
        self._graphql(STOP, {"id": found["project"]["run"]["id"]})

    def make_sweep(self, name: str) -> None:
        """Make a sweep that runs, as its scheduler's first worker does."""
        self._post("wandb", "/standin/sweeps", {"entity": ENTITY, "project": WANDB_PROJECT, "name": name})

    def finish_sweep(self, name: str) -> None:
        """End a sweep, as its scheduler does."""
        found = self._graphql(SWEEP, {"e": ENTITY, "p": WANDB_PROJECT, "s": name})
        self._graphql(FINISH, {"id": found["project"]["sweep"]["id"]})

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

    def control(self, server: str, settings: Mapping[str, Any]) -> None:
        """Set which failures a stand-in gives."""
        self._post(server, CONTROL, settings)

    def calm_topic(self) -> None:
        """Let publishes fail no more."""
        os.kill(self._stack.processes.pid("pubsub"), signal.SIGUSR1)

    def duplicates(self) -> int:
        """Count the pushes that were made twice."""
        return self._topic_log.count("comes twice")

    def lost_publishes(self) -> Counter[str]:
        """Count the publishes that met a fault."""
        return Counter(re.findall(r"a publish meets ([\w ]+)$", self._topic_log, re.MULTILINE))

    @property
    def _topic_log(self) -> str:
        return self._stack.processes.log("pubsub").read_text(errors="replace")

    def events(self) -> Counter[str]:
        """Count what the functions logged, by event."""
        counted: Counter[str] = Counter()
        for name in FUNCTIONS:
            for line in self._stack.processes.log(name).read_text(errors="replace").splitlines():
                if line.startswith("{") and line.endswith("}"):  # a killed process may leave half a line
                    counted[json.loads(line)["message"]] += 1
        return counted

    def audit(self, items: list[Item], ids: Mapping[str, str], waits: Waits) -> Audit:
        """Look at every item; `ids` are those of the items in W&B, by name."""
        open_launches = [found["name"] for found in self.launches("open/")]
        seen = (self.items(), self.runs(), self.jobs())
        return audit(items, ids, *seen, open_launches, self._slots_taken(), waits)

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
        return self._post("wandb", "/graphql", {"query": document, "variables": variables})["data"]

    def _url(self, server: str, path: str) -> str:
        return (self._bucket if server == "bucket" else self._stack.ports.url(server)) + path

    def _post(self, server: str, path: str, asked: Mapping[str, Any]) -> Any:
        answer = self._http.post(self._url(server, path), json=asked, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def _get(self, server: str, path: str) -> Any:
        answer = self._http.get(self._url(server, path), timeout=30)
        answer.raise_for_status()
        return answer.json()
