"""A whole deployment as its owner makes it: bootstrap, `gcloud builds submit`, the build's steps; then it is run."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.cloud.deployment import Deployment
from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.state import Job, VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.queues import Item
from deploy.local.servers.wandb.state import State as WandbState
from deploy.local.serving import serving
from tests.cloud.warm import warm_gcloud
from tests.cloud.world import Cloud
from tests.deployment.build import Build, console_script, python_environ
from tests.deployment.enforcement import Enforcement
from tests.deployment.platform import Platform
from tests.waiting import eventually

ROOT = Path(__file__).parent.parent.parent
OWNER = "owner@example.com"
KEY = "0123456789" * 4
TRAINER = "trainer@p1.iam.gserviceaccount.com"
DEPLOYMENT = Deployment("p1", "us-central1", number="123456789012")
GUIDES = ROOT / "docs" / "how-to"
ENTITY = "my-team"  # as the guide's launch-config says
BUILD = "3. Build and deploy"
QUICK = (  # minutes of the cloud as seconds
    "INIT_GRACE_SECONDS=0;SUBMIT_SETTLE_SECONDS=1;SUBMIT_LOOK_AGAIN_SECONDS=1;FIRST_RETRY_SECONDS=1;"
    "OVERDUE_SECONDS=1;LISTING_LAG_SECONDS=0;LAUNCH_CADENCE=never;"
    "LAUNCH_MAX_FAILURES=2;LAUNCH_STOPPED_RUN_TIMEOUT=0"
)


@dataclass
class Whole:
    """The owner's folder, the cloud, and what runs in it."""

    cloud: Cloud
    platform: Platform
    enforcement: Enforcement
    wandb: WandbState
    vertex: VertexState
    wandb_url: str
    folder: Path
    builds: list[Build] = field(default_factory=list)

    @property
    def source(self) -> Path:
        """Return the owner's checkout."""
        return self.folder / "checkout"

    def run(self, command: str, identity: str = OWNER) -> subprocess.CompletedProcess[str]:
        """Run commands in the checkout, with what the guide lets its reader export; no key is ever printed."""
        settings = {"PROJECT": "p1", "REGION": "us-central1", "WANDB_API_KEY": KEY, "WANDB_BASE_URL": self.wandb_url}
        environ = self.cloud.environ(identity) | {"PYTHONDONTWRITEBYTECODE": "1"} | settings
        done = subprocess.run(
            ["bash", "-e", "-c", command],
            env=environ | {"PATH": f"{console_script(self.folder)}{os.pathsep}{environ['PATH']}"},
            cwd=self.source, capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip
        assert KEY not in done.stdout + done.stderr
        return done

    def follow(self, section: str, identity: str = OWNER) -> str:
        """Run all commands of one section of the guide; return what they printed."""
        done = self.run("\n".join(blocks(section)), identity)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def build(self, skip: AbstractSet[str] = frozenset({"install"}), cancelled_after: str = "") -> Build:
        """Submit a build as the guide says, and run its steps as the account that it asks for."""
        [command] = blocks(BUILD)
        substitutions = f",_WANDB_BASE_URL={self.wandb_url},_SETTINGS={QUICK},COMMIT_SHA="
        quick = command.replace("gcloud beta builds", "gcloud builds")  # without the log, which takes 4 s
        done = self.run(quick.replace(",COMMIT_SHA=", substitutions))
        assert done.returncode == 0, done.stderr
        asked = list(self.cloud.state.children(f"cloudbuild.googleapis.com/{DEPLOYMENT.parent}/builds"))[-1]
        workspace = self.folder / f"workspace-{len(self.builds)}"
        account = DEPLOYMENT.account("build")
        made = Build(workspace, python_environ(self.cloud.environ(account)), asked, frozenset(skip), cancelled_after)
        made.unpack(self.cloud.uploads[asked["source"]["storageSource"]["object"]])
        made.run()
        self.builds.append(made)
        return made

    def call(self, verb: str) -> int:
        """Let Cloud Scheduler's job call its function now, as each minute does; return the HTTP status."""
        target = self.resource("cloudscheduler", f"jobs/launch-{verb}")["httpTarget"]
        token = target["oidcToken"]
        return self.platform.post(target["uri"], token["serviceAccountEmail"], token["audience"], {})

    def launch(self, name: str, **spec: Any) -> tuple[Item, Job]:
        """Enqueue a run in W&B, let poll find it, and wait for its job."""
        docker = {"docker_image": "us-docker.pkg.dev/p1/images/train:1"}
        item = self.wandb.push(
            ENTITY, "vertex", {"entity": ENTITY, "project": "cats", "name": name, "docker": docker, **spec}
        )
        assert self.call("poll") == 200
        job = eventually(lambda: next((j for j in self.vertex.jobs() if j.display_name == name), None), "the job")
        return item, job

    def until(self, holds: Callable[[], Any], what: str) -> None:
        """Let Cloud Scheduler call status until this holds."""
        eventually(lambda: self.call("status") == 200 and holds(), what)

    def resource(self, service: str, name: str) -> dict[str, Any]:
        """Return a resource of the region."""
        return self.cloud.resources[f"{service}.googleapis.com/{DEPLOYMENT.parent}/{name}"]


@contextmanager
def whole(folder: Path) -> Iterator[Whole]:
    """Give a project in which nothing is deployed yet, with W&B and Vertex AI's jobs beside it."""
    wandb, vertex = WandbState(api_keys=[KEY], entity=ENTITY), VertexState()
    with ExitStack() as running:
        wandb_url = running.enter_context(serving(wandb_app(wandb)))
        vertex_url = running.enter_context(serving(vertex_app(vertex)))
        cloud = running.enter_context(Cloud(folder))
        running.enter_context(warm_gcloud(cloud))
        cloud.state.vertex = vertex_url
        enforcement = Enforcement(cloud, OWNER)
        cloud.enforce(enforcement.allows)
        platform = running.enter_context(Platform(cloud, DEPLOYMENT, folder))
        made = Whole(cloud, platform, enforcement, wandb, vertex, wandb_url, folder)
        _check_out(made.source)
        yield made


def _check_out(folder: Path) -> None:
    """Copy this project's files as they are now, commit them, and do what `make setup` does."""
    git = ["git", "-C", str(ROOT)]
    listed = subprocess.run([*git, "ls-files", "-co", "--exclude-standard"], check=True, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
            (folder / name).chmod((ROOT / name).stat().st_mode)
    who = ["-c", "user.name=owner", "-c", f"user.email={OWNER}", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "--message=all"]):
        subprocess.run(["git", *command], cwd=folder, check=True, env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull})
    (folder / ".venv").symlink_to(sys.prefix)


def sections() -> dict[str, str]:
    """Return the sections of the how-to guides by heading, in the order of their index; a title heads one, too."""
    index = (GUIDES / "README.md").read_text(encoding="utf-8")
    pages = [
        (GUIDES / name).read_text(encoding="utf-8")
        for name in re.findall(r"\]\(([a-z-]+\.md)\) \|$", index, re.MULTILINE)
    ]
    parts = [part.partition("\n") for page in pages for part in page.removeprefix("# ").split("\n## ")]
    return {heading: text for heading, _, text in parts}


def blocks(section: str) -> list[str]:
    """Return the guides' blocks of commands under one heading."""
    text = sections()[section]
    return re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
