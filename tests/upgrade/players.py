"""What people and W&B's own programs do during an upgrade: press stop, make jobs, schedule sweeps."""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.environment import clean
from deploy.local.project import ENTITY
from deploy.local.stack import Stack
from tests.chaos.items import WANDB_PROJECT, Item
from tests.chaos.outside import Outside
from tests.upgrade.items import OfCode, OfSweep, Scheduler

# It calls W&B as its SDK does, whose import would take seconds of each build's job.
CODE = '''"""Report a run that finishes: {name}."""

import base64
import json
import os
import urllib.request

ENV = os.environ
RUN = {{"entityName": ENV["WANDB_ENTITY"], "modelName": ENV["WANDB_PROJECT"], "name": ENV["WANDB_RUN_ID"]}}
INIT = "mutation Init($input: UpsertBucketInput!) {{ upsertBucket(input: $input) {{ inserted }} }}"


def post(path, message):
    request = urllib.request.Request(f"{{ENV['WANDB_BASE_URL']}}/{{path}}", json.dumps(message).encode())
    login = base64.b64encode(f"api:{{ENV['WANDB_API_KEY']}}".encode()).decode()
    request.add_header("Authorization", f"Basic {{login}}")
    request.add_header("Content-Type", "application/json")
    urllib.request.urlopen(request, timeout=30).read()


post("graphql", {{"query": INIT, "variables": {{"input": {{**RUN, "displayName": ENV["WANDB_NAME"]}}}}}})
post("files/{{entityName}}/{{modelName}}/{{name}}/file_stream".format(**RUN), {{"complete": True, "exitcode": 0}})
'''


@dataclass
class Players:
    """Everybody who is none of the functions."""

    stack: Stack
    outside: Outside
    ids: dict[str, str] = field(default_factory=dict)  # of the items in W&B, by name
    _pressed: set[str] = field(default_factory=set)
    _scheduled: set[str] = field(default_factory=set)

    def enqueue(self, items: Iterable[Item]) -> None:
        """Enqueue or publish these items; the scheduler of a sweep enqueues its run itself."""
        for item in items:
            if item.kind.published:
                self.outside.publish(item)
            elif not isinstance(item, OfSweep):
                if isinstance(item, Scheduler):
                    self.outside.make_sweep(item.name)
                self.ids[item.name] = self.outside.push(item)

    def play(self, items: Sequence[Item]) -> None:
        """Do what is due: press stop at a run that begins, enqueue a sweep's run, finish a sweep whose run is over."""
        runs = {run["display_name"]: run for run in self.outside.runs()}
        states = {run["name"]: run["state"] for run in runs.values()}
        for item in items:
            running = runs.get(item.name, {}).get("state") == "running"
            if item.kind.stop == "running" and running and item.name not in self._pressed:
                self._pressed.add(item.name)
                self.outside.press_stop(runs[item.name]["name"])
            if not isinstance(item, OfSweep):
                continue
            if states.get(item.sweep) == "running" and item.name not in self._scheduled:
                self._scheduled.add(item.name)
                self.ids[item.name] = self.outside.push(item)
            if states.get(item.sweep) == "running" and states.get(item.name) == "finished":
                self.outside.finish_sweep(item.sweep)

    def make_jobs(self, items: Iterable[Item]) -> None:
        """Make the W&B jobs of these items by the real `wandb job create`, all at once."""
        wandb = str(Path(sys.executable).parent / "wandb")
        home = self.stack.folder / "home"
        where = ["--entity", ENTITY, "--project", WANDB_PROJECT, "--entry-point", "python train.py"]
        started = []
        for item in (item for item in items if isinstance(item, OfCode)):
            folder = home / item.job
            folder.mkdir()
            (folder / "train.py").write_text(CODE.format(name=item.name))
            (folder / "requirements.txt").write_text("")
            command = [wandb, "job", "create", "code", item.job, "--name", item.job, *where]
            env = clean(home) | self.stack.user_settings()
            started.append(
                subprocess.Popen(command, cwd=home, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            )
        for process in started:
            _, errors = process.communicate(timeout=120)
            if process.returncode:
                raise RuntimeError(f"wandb job create has failed: {errors.decode(errors='replace')}")
