"""The demo on a running stack: enqueue its jobs, look at them, draw and judge what is seen."""

import json
import sys
import textwrap
from dataclasses import dataclass, field
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from deploy.local.cases import CASES, Case
from deploy.local.environment import clean
from deploy.local.run_folder import lack_of_room
from deploy.local.stack import DEFAULT_CONFIG, ENTITY, PROJECT, QUEUE, TOPIC, Stack
from shared.core.message import Request, encode

WANDB_PROJECT = "demo"
SPARE = 20_000_000  # bytes that a disk must have left: with less, jobs and logs fail without a word
SOURCE = "nightly-pipeline"  # the other system
PUBLISHED = Request(source=SOURCE, idempotency_key="published", run_spec={}).launch_key


@dataclass
class Row:
    """What is seen of a case now."""

    case: Case
    item: dict[str, Any] = field(default_factory=dict)
    launch: str = ""  # its state in the ledger; once closed, its outcome
    jobs: list[dict[str, Any]] = field(default_factory=list)
    run: dict[str, Any] = field(default_factory=dict)

    @property
    def item_state(self) -> str:
        """Return the queue item's state in W&B."""
        return str(self.item.get("state", ""))

    @property
    def job_state(self) -> str:
        """Return the CustomJob's state, without its prefix."""
        return str(self.jobs[0]["state"]).removeprefix("JOB_STATE_") if self.jobs else ""

    @property
    def run_state(self) -> str:
        """Return the run's state in W&B."""
        return str(self.run.get("state", ""))

    @property
    def why(self) -> str:
        """Return what the author reads where it failed."""
        told = (self.item.get("error") or {}).get("message", "")
        return str(told or (self.jobs[0].get("error", "") if self.jobs else ""))

    @property
    def right(self) -> bool:
        """Tell whether everything is as it has to be, with one CustomJob at the most."""
        if self.item_state != self.case.item or len(self.jobs) > 1:
            return False
        return self._job_right and (self.run_state in self.case.run or not self.case.run)

    @property
    def interrupted(self) -> bool:
        """Tell whether W&B's SDK has ended the job of a stopped run before it was cancelled."""
        wanted = self.case.or_failed_with
        return (
            bool(wanted)
            and self.job_state == "FAILED"
            and wanted in str(self.jobs[0].get("error", ""))
        )

    @property
    def wanted(self) -> str:
        """Return how the case has to end; of two right endings, the one that was seen."""
        job = "FAILED (exit code 130: W&B's SDK ended it)" if self.interrupted else self.case.job
        return " → ".join(part for part in (self.case.item, job, "/".join(self.case.run)) if part)

    @property
    def _job_right(self) -> bool:
        return self.job_state == self.case.job or self.interrupted


class Demo:
    """The cases on a running stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._enqueued: list[str] = []
        self._stopped: set[str] = set()
        self._closed: int = 0
        self.errors: list[str] = []
        self.rows = [Row(case) for case in CASES]

    @property
    def settled(self) -> bool:
        """Tell whether nothing moves any more, or something went wrong that will not mend itself."""
        return bool(self.errors) or (
            all(row.right for row in self.rows) and self._closed >= len(CASES)
        )

    def enqueue_all(self) -> None:
        """Enqueue all cases with W&B's own command, and publish one as another system would.

        An error is kept for the one who waits, so that the wait ends.
        """
        try:
            self._publish(next(case for case in CASES if case.published))
            for case in CASES:
                if not case.published and not self.errors:
                    self._enqueue(case)
        except Exception as exc:  # noqa: BLE001 - of any kind: this thread has no caller that would see it
            self.errors.append(f"the jobs could not be enqueued: {exc}")

    def look(self) -> list[Row]:
        """Look at W&B and Vertex AI as their clients see them, and press stop where it is time."""
        items = {item["run_spec"].get("name"): item for item in self._get("wandb", "standin/items")}
        runs = {run["display_name"]: run for run in self._get("wandb", "standin/runs")}
        jobs = self._get("vertex", "standin/jobs")
        launches = self._launches()
        for row in self.rows:
            row.item = items.get(row.case.name, {})
            row.run = runs.get(row.case.name, {})
            row.jobs = [job for job in jobs if job["display_name"] == row.case.name]
            row.launch = (
                launches.get(row.item.get("id", ""), "")
                if not row.case.published
                else launches.get(PUBLISHED, "")
            )
            if row.case.stop and row.run_state == "running" and row.case.name not in self._stopped:
                self._stop(row)
        if lack := lack_of_room(self._stack.folder, SPARE):
            self.errors.append(lack)
        self._closed = sum(state.startswith("closed") for state in launches.values())
        return self.rows

    def _enqueue(self, case: Case) -> None:
        config = {"overrides": {"run_config": {"epochs": 6, "sleep": 0.2, **case.config}}}
        if case.resource_args:
            config["resource_args"] = {"gcp-vertex": case.resource_args}
        path = self._stack.folder / f"{case.name}.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        told = ["--entity", ENTITY, "--project", WANDB_PROJECT, "--name", case.name]
        source = ["--docker-image", f"local/{case.image}:latest"]
        if case.made_of:
            self._wandb(case, "job", "create", *told, *case.made_of)
            source = ["--job", f"{ENTITY}/{WANDB_PROJECT}/{case.name}:latest"]
        self._wandb(
            case, "launch", "--queue", QUEUE, *told, *source, "--config", str(path.resolve())
        )

    def _wandb(self, case: Case, *command: str) -> None:
        """Run W&B's own command line."""
        if self.errors:
            return
        folder = self._stack.folder.resolve()
        own = {"WANDB_DIR": str(folder), "WANDB_SILENT": "true"}
        environ = clean(folder / "home") | self._stack.user_settings() | own
        code = self._stack.processes.run(
            case.name, [sys.executable, "-m", "wandb", *command], environ, folder
        )
        if code:
            log = self._stack.processes.log(case.name)
            self.errors.append(
                f"wandb {command[0]} of {case.name} ended with exit code {code}: see {log}"
            )

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
        for _ in range(2):  # twice, as an impatient system would: it is one launch all the same
            client.publish(client.topic_path(PROJECT, TOPIC), encode(request)).result(timeout=20)

    def _stop(self, row: Row) -> None:
        """Press stop, as the button on W&B's page does."""
        self._stopped.add(row.case.name)
        found = self._graphql(
            "query Run($e: String!, $p: String!, $r: String!)"
            "{ project(name: $p, entityName: $e) { run(name: $r) { id } } }",
            {"e": ENTITY, "p": WANDB_PROJECT, "r": row.run["name"]},
        )
        run_id = found["project"]["run"]["id"]
        self._graphql(
            "mutation Stop($id: ID!) { stopRun(input: {id: $id}) { success } }", {"id": run_id}
        )

    def _graphql(self, document: str, variables: dict[str, str]) -> Any:
        url, key = (
            f"{self._stack.ports.url('wandb')}/graphql",
            self._stack.user_settings()["WANDB_API_KEY"],
        )
        answer = requests.post(
            url, json={"query": document, "variables": variables}, auth=("api", key), timeout=10
        )
        answer.raise_for_status()
        return answer.json()["data"]

    def _launches(self) -> dict[str, str]:
        """Return what the ledger says of each launch, by its item's id or, where it has none, its key."""
        bucket = self._stack.function_settings()["LEDGER_BUCKET"]
        states = {}
        for found in self._get("gcs", f"storage/v1/b/{bucket}/o").get("items", []):
            folder, _, key = found["name"].partition("/")
            entry = found.get("metadata", {})
            if folder in ("open", "closed"):
                state = f"closed: {entry['outcome']}" if folder == "closed" else entry["state"]
                states[entry.get("item_id") or key] = state
        return states

    def _get(self, server: str, path: str) -> Any:
        return requests.get(f"{self._stack.ports.url(server)}/{path}", timeout=10).json()


def table(rows: list[Row]) -> Table:
    """Draw what is seen now: item → job → run."""
    drawn = Table(title="queue item → launch → CustomJob → run", title_justify="left", expand=True)
    for column in ("job", "item", "launch", "CustomJob", "run"):
        drawn.add_column(column, no_wrap=True)
    drawn.add_column("what its author reads", overflow="fold", ratio=1)
    for row in rows:
        item = row.item_state or ("other system" if row.case.published else "")
        mark = "[green]✓[/]" if row.right else " "
        states = (item, row.launch.removeprefix("closed: "), row.job_state, row.run_state)
        drawn.add_row(
            f"{mark} {row.case.name}",
            *map(_painted, states),
            textwrap.shorten(row.why, 300, placeholder=" …"),
        )
    return drawn


def summary(run: Demo, console: Console) -> bool:
    """Say of each case whether it ended as it has to; return whether all did."""
    for row in run.rows:
        mark = "[green]right[/]" if row.right else "[red]WRONG[/]"
        line = f"{mark} [bold]{row.case.name}[/] {row.case.about}: {row.wanted}"
        console.print(line, highlight=False, soft_wrap=True)
    return run.settled and all(row.right for row in run.rows)


_COLOURS = {
    "SUCCEEDED": "green", "finished": "green", "CLAIMED": "cyan", "RUNNING": "yellow", "running": "yellow",
    "FAILED": "red", "failed": "red", "crashed": "red", "CANCELLED": "magenta", "killed": "magenta",
}  # fmt: skip


def _painted(state: str) -> str:
    colour = _COLOURS.get(state, "dim")
    return f"[{colour}]{state or '…'}[/]"
