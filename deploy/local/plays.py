"""Bad days to practise on: `make up ARGS="--play full"` starts the stack in such a condition.

docs/how-to/practise-bad-days.md walks through them.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deploy.local.enqueue import Job
from deploy.local.project import API_KEY, BUILDING, DEFAULT_CONFIG, LOCATION

KEY_FILE = "key"  # in the stack's folder: the functions' API key, as a secret's version
FINISH = "finish"  # in the stack's folder: the slow build waits until it exists
REVOKED = "revoked" + "0" * 33  # as long as a key
CODE = "slow-code"
_DOCKERFILE = """FROM local/python:3
WORKDIR /app
COPY . .
RUN echo "waiting for {file}"; until [ -e {file} ]; do sleep 0.2; done
"""
_SCRIPT = """import wandb
with wandb.init() as run:
    run.log({"built": 1})
"""
_LONG = {"epochs": 600, "sleep": 1}
_SHORT = {"epochs": 5, "sleep": 0.2}
_NO_MORE = json.dumps({"location": LOCATION, "strategy": "STANDARD"})
_END_SHORTAGE = f"curl -sd '{_NO_MORE}' {{vertex}}/standin/shortage"
_ON_SPOT = {
    **DEFAULT_CONFIG["resource_args"]["gcp-vertex"],
    "run": {"restart_job_on_worker_restart": False, "scheduling_strategy": "SPOT"},
}


@dataclass(frozen=True)
class Play:
    """One bad day: the condition of the stack, its items, and what a person sees and does."""

    about: str
    items: tuple[Job, ...]
    shows: str  # what W&B's page shows
    end: str  # the command that ends the bad day, with {vertex}, {folder} and {NAME OF AN ITEM}
    settings: Mapping[str, str] = field(default_factory=dict)  # of the functions
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of the stand-ins
    later: tuple[Job, ...] = ()  # items for the time after somebody has read a warning

    @property
    def builds(self) -> bool:
        """Return whether it needs a builder."""
        return "LAUNCH_BUILDER" in self.settings

    def settings_in(self, folder: Path) -> dict[str, str]:
        """Return the settings, with paths inside this folder."""
        return {name: _inside(folder, value) for name, value in self.settings.items()}

    def groups_in(self, folder: Path) -> list[list[Job]]:
        """Return the items and the later items, with code inside this folder."""
        return [
            [replace(job, made_of=tuple(_inside(folder, word) for word in job.made_of))
             for job in group]
            for group in (self.items, self.later) if group
        ]  # fmt: skip

    def end_in(self, folder: Path, vertex: str, ids: Mapping[str, str]) -> str:
        """Return the command that ends the bad day; `ids` are those of the items, by name."""
        values = {**ids, "folder": shlex.quote(str(folder.resolve())), "vertex": vertex}
        ends = self.end
        for name, value in values.items():
            ends = ends.replace(f"{{{name}}}", value)
        return ends

    def prepare(self, folder: Path) -> None:
        """Write the files that the condition needs into the stack's folder."""
        if "WANDB_API_KEY_FILE" in self.settings:
            (folder / KEY_FILE).write_text(REVOKED, encoding="utf-8")
        if self.builds:
            code = folder / CODE
            code.mkdir()
            (code / "train.py").write_text(_SCRIPT, encoding="utf-8")
            file = shlex.quote(str((folder / FINISH).resolve()))
            waits = _DOCKERFILE.replace("{file}", file)
            (code / "Dockerfile.wandb").write_text(waits, encoding="utf-8")


def _inside(folder: Path, text: str) -> str:
    return text.replace("{folder}", str(folder.resolve()))


GOOD_DAY = Play("", (), "", "")


def _shortage(kind: str) -> dict[str, tuple[str, ...]]:
    return {"vertex": ("--shortage", f"{LOCATION}:STANDARD:{kind}")}


def _jobs(name: str, number: int, config: Mapping[str, Any]) -> tuple[Job, ...]:
    return tuple(Job(f"{name}-{n}", config=config) for n in range(1, number + 1))


PLAYS = {
    "no-capacity": Play(
        f"{LOCATION} has no machines: Vertex AI accepts each job, then fails it.",
        _jobs("no-capacity", 2, _SHORT),
        "a warning with the reason; a later item stays PENDING",
        _END_SHORTAGE,
        {"FIRST_RETRY_SECONDS": "10"},
        _shortage("stockout"),
        later=(Job("no-capacity-3", config=_SHORT),),
    ),
    "quota-zero": Play(
        f"The project's quota in {LOCATION} is zero: no waiting helps.",
        _jobs("quota-zero", 2, _SHORT),
        "FAILED items with the name of the quota",
        f"{_END_SHORTAGE}; vertex-launch retry {{quota-zero-1}}",
        options=_shortage("zero"),
    ),
    "key-revoked": Play(
        "Somebody revoked the API key of the functions. Yours still works.",
        _jobs("key-revoked", 2, _SHORT),
        "items that stay PENDING, without a reason: no function may write one",
        f"printf %s \"$WANDB_API_KEY\" > {{folder}}/{KEY_FILE}",
        {"WANDB_API_KEY": "", "WANDB_API_KEY_FILE": f"{{folder}}/{KEY_FILE}"},
        {"wandb": ("--api-key", API_KEY)},
    ),
    "full": Play(
        "max_jobs is 1, and one job runs for ten minutes.",
        _jobs("full", 3, _LONG),
        "one item CLAIMED, the others PENDING",
        "vertex-launch cancel {full-1}",
        {"LAUNCH_MAX_JOBS": "1"},
    ),
    "preempted": Play(
        "Spot VMs lose their machines: one job once, the other each time.",
        (
            Job("preempted-once", "played", config={"seconds": 15, "preempted": True},
                resource_args=_ON_SPOT),
            Job("preempted-always", "played", config={"seconds": 3, "unlucky": True},
                resource_args=_ON_SPOT),
        ),
        "warnings that count the launches, until the second run has used all five",
        "vertex-launch cancel {preempted-always}",
    ),
    "slow-build": Play(
        "The build of a code job does not end. Jobs with an image run.",
        (
            Job("slow-build", made_of=("code", f"{{folder}}/{CODE}", "--entry-point",
                                       "python train.py")),
            Job("no-build", config=_SHORT),
        ),
        "that the image of slow-build is being built; no-build finishes",
        f"touch {{folder}}/{FINISH}",
        BUILDING,
    ),
}  # fmt: skip
