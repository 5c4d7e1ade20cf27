"""A deployment that is well: made by bootstrap and provision in the loopback cloud, with W&B's stand-in beside it."""

import hashlib
import itertools
import json
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import requests
import yaml
from click.testing import CliRunner

from deploy.cloud.deployment import FUNCTIONS, SCHEDULED, Deployment
from deploy.cloud.doctor.command import doctor
from deploy.cloud.iam import bindings
from deploy.cloud.provision.parts import LABEL
from deploy.local.processes import Processes, free_port
from shared.adapters.wandb import Graphql, WandbRunQueue
from tests.cloud.functions import CloudFunctions
from tests.cloud.state import StoredObject, now
from tests.cloud.warm import warm_gcloud
from tests.cloud.world import Cloud
from tests.deployment.build import console_script, python_environ
from tests.unit.specs import PAGE_DEFAULT, put

ROOT = Path(__file__).parent.parent.parent
OWNER = "owner@example.com"
KEY = "0123456789" * 4
TRAINER = "trainer@p1.iam.gserviceaccount.com"
DEPLOYMENT = Deployment("p1", "us-central1", number="123456789012")
VERTEX = put(
    put(PAGE_DEFAULT, ("spec", "staging_bucket"), "gs://p1-launch-staging/jobs"), ("run", "service_account"), TRAINER
)
KEPT = ("resources", "policies", "objects", "messages", "secrets", "audited")


@dataclass
class Line:
    """A line of doctor's, with what stands below it."""

    sign: str
    name: str
    message: str
    fixes: list[str] = field(default_factory=list)
    also: list[str] = field(default_factory=list)  # the other checks of the same cause

    @property
    def names(self) -> list[str]:
        """Return all checks that the line stands for."""
        return [self.name, *self.also]


@dataclass
class Deployed:
    """The deployment, with ways to put things wrong, and to `heal` all of it."""

    cloud: Cloud
    wandb: str
    folder: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    saved: dict[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> list[str]:
        """Return what tells our commands which deployment it is."""
        return ["--project=p1", "--region=us-central1", f"--config={self.folder / 'launch-config.yaml'}"]

    def environ(self, identity: str) -> dict[str, str]:
        """Return the environment of somebody who works with it."""
        environ = python_environ(self.cloud.environ(identity)) | {"WANDB_BASE_URL": self.wandb}
        return environ | {"PATH": f"{console_script(self.folder)}{os.pathsep}{environ['PATH']}"}

    def run(self, *command: str, identity: str = OWNER, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command of a shell, or one of ours with the deployment's options; no key is ever printed."""
        ours = [sys.executable, "-m", "deploy", *command, *self.options]
        done = subprocess.run(
            ["bash", "-c", command[0]] if " " in command[0] else ours,
            env=self.environ(identity) | environ,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert KEY not in done.stdout + done.stderr
        return done

    def doctor(self, *groups: str, identity: str = OWNER, **environ: str) -> tuple[int, list[Line]]:
        """Run doctor in a narrow terminal, here: its imports take longer than all it does. No key is ever printed.

        Returns its exit code and its lines.
        """
        only = [f"--only={group}" for group in groups]
        with patch.dict(os.environ, self.environ(identity) | {"COLUMNS": "40"} | environ, clear=True):
            done = CliRunner().invoke(doctor, [*only, *self.options], catch_exceptions=False)
        assert KEY not in done.output
        assert done.stderr == ""
        lines: list[Line] = []
        for text in done.stdout.splitlines():
            if found := re.fullmatch(r"([✓!✗?]) (.+?): (.+)", text):
                lines.append(Line(found[1], found[2], found[3]))
            elif text.startswith("    "):
                lines[-1].fixes.append(text.strip())
            elif text.startswith("  (the same cause: "):
                lines[-1].also = text.removeprefix("  (the same cause: ").removesuffix(")").split(", ")
        return done.exit_code, lines

    def configure(self, **config: Any) -> None:
        """Write the launch-config: what it had when all was made, and these keys."""
        policy = {"service_accounts": [TRAINER]}
        content = {"entity": "team", "queues": ["vertex"], "policy": policy, **self.config, **config}
        (self.folder / "launch-config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")

    def make_queue(self, name: str, config: dict[str, Any], resource: str = "gcp-vertex") -> None:
        """Make a queue in W&B, or give one that is there another configuration."""
        queue = {"entity": "team", "queue": name, "config": config, "resource": resource}
        requests.post(f"{self.wandb}/standin/queues", json=queue, timeout=20).raise_for_status()

    def save(self) -> None:
        """Keep the state that `heal` goes back to."""
        self.saved = {name: deepcopy(getattr(self.cloud.state, name)) for name in KEPT}

    def saved_as_bytes(self) -> bytes:
        """Return the kept state, for `restore` in another process of the same test run."""
        return pickle.dumps((self.saved, next(self.cloud.state.numbers)))

    def restore(self, saved: bytes) -> None:
        """Let a new cloud have a kept state."""
        self.saved, number = pickle.loads(saved)  # noqa: S301 - our own file
        self.cloud.state.numbers = itertools.count(number)
        self.heal()

    def heal(self) -> None:
        """Go back to how all is well, with the schedule just called and the agent just seen."""
        for name, saved in self.saved.items():
            there = getattr(self.cloud.state, name)
            there.clear()
            there.update(deepcopy(saved))
        self.cloud.enforce(lambda *_: True)
        self.cloud.state.scheduler_in = ("europe-west4", "us-central1")
        for verb in SCHEDULED:
            self.job(verb).update(lastAttemptTime=now(), status={})
        self.configure()
        self.remember_agent(WandbRunQueue(Graphql(self.wandb, KEY)).register("team", ["vertex"], {}))

    def remember_agent(self, agent_id: str, **more: Any) -> None:
        """Write poll's record of its agent."""
        known = {"holder": "h", "agent_id": agent_id, "queues": ["vertex"], "lease_until": None}
        note = json.dumps(known | more)
        self.cloud.state.objects["p1-launch-ledger", "agents/launch.json"] = StoredObject(note.encode(), 1)

    def stop_agents(self) -> None:
        """Ask every agent to stop polling, as one does on W&B's page."""
        url = f"{self.wandb}/standin/agents"
        for agent in requests.get(url, timeout=20).json():
            requests.post(url, json={"id": agent["id"], "stop_polling": True}, timeout=20).raise_for_status()

    def resource(self, full: str) -> dict[str, Any]:
        """Return a resource of the cloud, to be changed."""
        return self.cloud.resources[full]

    def job(self, verb: str) -> dict[str, Any]:
        """Return a Scheduler job."""
        return self.resource(f"cloudscheduler.googleapis.com/{DEPLOYMENT.parent}/jobs/launch-{verb}")

    def bucket(self, name: str) -> dict[str, Any]:
        """Return a bucket."""
        return self.resource(f"storage.googleapis.com/projects/_/buckets/{name}")

    def function(self, verb: str) -> dict[str, Any]:
        """Return a function."""
        return self.resource(f"cloudfunctions.googleapis.com/{DEPLOYMENT.parent}/functions/launch-{verb}")

    def role(self, name: str) -> dict[str, Any]:
        """Return a custom role."""
        return self.resource(f"iam.googleapis.com/projects/p1/roles/launch_{name}")

    def trigger(self) -> str:
        """Return the full name of the trigger's subscription."""
        return next(full for full in self.cloud.resources if "/subscriptions/eventarc-" in full)

    def unbind(self, resource: str, role: str) -> None:
        """Take a role away from everybody who has it on a resource."""
        policy = self.cloud.policies[resource]
        policy["bindings"] = [binding for binding in policy["bindings"] if binding["role"] != role]

    def service(self, verb: str) -> dict[str, Any]:
        """Return the Cloud Run service of a function."""
        return self.resource(f"run.googleapis.com/{DEPLOYMENT.parent}/services/launch-{verb}")

    def serves(self, verb: str) -> str:
        """Return the revision of a function that serves."""
        return str(self.service(verb)["status"]["traffic"][0]["revisionName"])

    def set_variable(self, verb: str, name: str, value: str) -> None:
        """Set a variable of the revision that serves."""
        service = f"run.googleapis.com/{DEPLOYMENT.parent}/services/launch-{verb}"
        [container] = self.resource(f"{service}/revisions/{self.serves(verb)}")["spec"]["containers"]
        container["env"].append({"name": name, "value": value})

    def deploy(self, verb: str, build: str = "b1", status: str = "SUCCESS", *, serves: bool = True) -> str:
        """Deploy a function as a build does that ended so, let its caller in, and return what serves then."""
        variables = {"DEPLOYED_COMMIT": f"c{build}", "DEPLOYED_BUILD": f"{DEPLOYMENT.parent}/builds/{build}"}
        if f"run.googleapis.com/{DEPLOYMENT.parent}/services/launch-{verb}" in self.cloud.resources:
            variables["DEPLOYED_OVER"] = f"{self.serves(verb)}=100"
            target = {"revisionName": self.serves(verb), "percent": 100}
            self.service(verb)["spec"]["traffic"] = [target]
        self.cloud.resources[f"cloudbuild.googleapis.com/{variables['DEPLOYED_BUILD']}"] = {"status": status}
        name = f"{DEPLOYMENT.parent}/functions/{DEPLOYMENT.function(verb)}"
        made: dict[str, Any] = {
            "name": name,
            "labels": {LABEL: "launch"},
            "serviceConfig": {"serviceAccountEmail": DEPLOYMENT.account(verb), "environmentVariables": variables},
        }
        if verb == "submit":
            made["eventTrigger"] = {
                "eventType": "google.cloud.pubsub.topic.v1.messagePublished",
                "pubsubTopic": "projects/p1/topics/launch-requests",
                "retryPolicy": "RETRY_POLICY_RETRY",
                "serviceAccountEmail": DEPLOYMENT.account("submit"),
            }
        self.cloud.resources[f"cloudfunctions.googleapis.com/{name}"] = made
        CloudFunctions(self.cloud.state).deployed(name, made, all_traffic=serves)
        self.cloud.policies[f"run.googleapis.com/{DEPLOYMENT.parent}/services/launch-{verb}"] = {
            "version": 1,
            "bindings": [
                {"role": b.role, "members": [b.member]}
                for b in bindings(DEPLOYMENT)
                if (b.kind, b.resource) == ("function", f"launch-{verb}")
            ],
        }
        return self.serves(verb)


def _make(made: Deployed) -> None:
    done = made.run("bootstrap", WANDB_API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    for verb in FUNCTIONS:
        made.deploy(verb)
    channel = "projects/p1/notificationChannels/1"
    made.cloud.resources[f"monitoring.googleapis.com/{channel}"] = {"name": channel}
    done = made.run("provision", "--complete", f"--notification-channels={channel}")
    assert done.returncode == 0, done.stderr
    made.save()


def _of_this_run(folder: Path, config: Mapping[str, Any]) -> Path:
    """Return the file with such a deployment, which all workers of one test run share."""
    run = folder.parent.parent if "PYTEST_XDIST_WORKER" in os.environ else folder.parent
    named = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()
    return run / f"deployed-{named}.pickle"


@contextmanager
def deployed(folder: Path, **config: Any) -> Iterator[Deployed]:
    """Bootstrap a project by the real gcloud, deploy, provision; W&B's stand-in beside it.

    The launch-config has these keys, too. The first module of a test run makes it, and others go on from there.
    """
    port = free_port()
    processes = Processes(folder)
    command = [sys.executable, "-m", "deploy.local.servers.wandb", "--port", str(port), "--api-key", KEY]
    try:
        processes.start("wandb", [*command, "--entity", "team"], dict(os.environ))
        processes.await_port("wandb", port, time.monotonic() + 120)
        with Cloud(folder) as cloud, warm_gcloud(cloud):
            trainer = f"projects/p1/serviceAccounts/{TRAINER}"
            cloud.resources[f"iam.googleapis.com/{trainer}"] = {"name": trainer, "email": TRAINER}
            made = Deployed(cloud, f"http://127.0.0.1:{port}", folder, config)
            made.configure()
            made.make_queue("vertex", VERTEX)
            kept = _of_this_run(folder, config)
            if kept.exists():
                made.restore(kept.read_bytes())
            else:
                _make(made)
                written = kept.with_suffix(f".{os.getpid()}")
                written.write_bytes(made.saved_as_bytes())
                written.replace(kept)
            yield made
    finally:
        processes.stop()
