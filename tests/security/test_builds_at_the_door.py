"""Hostile repositories through poll, submit and status: the embedded stack, with the real git in its builds."""

import json
import shutil
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from deploy.local.image_store import ImageStore
from deploy.local.servers.build.app import create_app as build_app
from deploy.local.servers.build.state import BuildState
from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.runner import Runner
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State
from deploy.local.serving import serving
from deploy.local.stack import BUILDING, DEFAULT_CONFIG, ENTITY, QUEUE, Ports, Stack
from tests.e2e.test_code_jobs import LOG
from tests.e2e.test_crashes import QUICK, QUICK_WRITES, ledger
from tests.security.git_hosts import commit, git_hosts, job_of
from tests.waiting import eventually

IMAGES = Path("deploy/local/images").resolve()
HOST, SECRET = "git.example.test", "projects/local-project/secrets/git"
LOGIN = "builder:s3cret-of-git"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed"),
]


def job(wandb: State, name: str, content: bytes) -> str:
    """Create the artifact of a job, as its author's own client can; return its path."""
    wandb.project(ENTITY, "cats")
    with wandb.lock:
        made = wandb.artifacts.create(ENTITY, "cats", "job", name, {"digest": name})
        made.files["wandb-job.json"] = content
        wandb.artifacts.commit(made.id)
    return f"{ENTITY}/cats/{name}:v0"


def hostile_env(pwned: Path) -> list[dict[str, str]]:
    """Return variables that run a command wherever a git gets them."""
    touch = f"touch {pwned}"
    variables = {
        "GIT_SSH_COMMAND": touch,
        "GIT_ASKPASS": str(pwned),
        "GIT_EXTERNAL_DIFF": touch,
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.ext::sh -c touch% {pwned} .insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://{HOST}/",
        "GIT_CONFIG_KEY_1": "protocol.ext.allow",
        "GIT_CONFIG_VALUE_1": "always",
        "GIT_ALLOW_PROTOCOL": "ext:https",
    }
    return [{"name": name, "value": value} for name, value in variables.items()]


def test_hostile_code_runs_nothing_and_blocks_nobody(tmp_path: Path) -> None:
    """One author's code is built by two builds at once; others' code is refused, and each reads why at the item."""
    pwned = tmp_path / "pwned"
    wandb, ports = State(), Ports.free()
    store = ImageStore(IMAGES, tmp_path / "images")
    with ExitStack() as there:
        hosts = there.enter_context(git_hosts(tmp_path / "hosts", HOST))
        hosts.logins[HOST] = LOGIN
        good = commit(tmp_path / "good", {"train.py": LOG, "requirements.txt": ""})
        remote = hosts.repository(HOST, "good.git", tmp_path / "good")
        bad = commit(tmp_path / "bad", {"D": "FROM local/python:3\n"}, {"ctx": "/"})
        leading_out = hosts.repository(HOST, "bad.git", tmp_path / "bad")
        paths = [
            job(wandb, "good", job_of(remote, good)),
            job(wandb, "ctx", job_of(leading_out, bad, dockerfile="D", build_context="ctx")),
            job(wandb, "ext", job_of(f"ext::sh -c touch% {pwned}", good)),
            job(wandb, "option", job_of(remote, f"--upload-pack=touch {pwned}")),
        ]
        builds = BuildState(tmp_path / "builds", store, ports.url("gcs"), ports.url("build"), env=hosts.env)
        builds.secrets[f"{SECRET}/versions/latest"] = LOGIN
        there.callback(builds.close)
        runner = there.enter_context(closing(Runner(IMAGES, tmp_path / "jobs", pending_seconds=0.1, built=store.built)))
        vertex = VertexState(runner.start)
        there.enter_context(serving(wandb_app(wandb), ports.wandb))
        vertex.build_logs = builds.folder
        there.enter_context(serving(vertex_app(vertex), ports.vertex))
        there.enter_context(serving(Unlisted(build_app(builds)), ports.build))
        credentials = {"LAUNCH_GIT_CREDENTIALS": json.dumps({HOST: SECRET})}
        running = there.enter_context(
            Stack(
                tmp_path / "stack",
                ports,
                {**QUICK, **BUILDING, **credentials},
                every=0.5,
                emulator=False,
                gcs_options=QUICK_WRITES,
                pubsub_options=("--shape", "cloudevent"),
                without=frozenset({"wandb", "vertex", "build"}),
            )
        )
        args = json.loads(json.dumps(DEFAULT_CONFIG["resource_args"]))
        args["gcp-vertex"]["spec"]["worker_pool_specs"][0]["container_spec"]["env"] = hostile_env(pwned)
        for path in (paths[0], *paths):
            spec = {"entity": ENTITY, "project": "cats", "job": path, "resource": "gcp-vertex", "resource_args": args}
            wandb.push(ENTITY, QUEUE, spec)
        eventually(lambda: len(ledger(running, "closed/")) == 5, "all are closed", 120)
    assert not pwned.exists()
    messages = {
        str(item.run_spec["job"]): (item.error or {}).get("message", "") for item in wandb.queues.items.values()
    }
    assert "code/ctx is a link to /, outside of the code. Remove it." in messages[paths[1]]
    assert "has a git remote that is not https://" in messages[paths[2]]
    assert "which git would read as an option" in messages[paths[3]]
    assert not messages[paths[0]]
    assert [one.state for one in vertex.jobs()] == ["JOB_STATE_SUCCEEDED"] * 2
    of_good = [build for build in builds.builds() if remote in str(build.steps)]
    assert sorted(build.status for build in of_good) == [3, 4]  # SUCCESS, and FAILURE of the second push
    [image] = {one.message.job_spec.worker_pool_specs[0].container_spec.image_uri for one in vertex.jobs()}
    assert image == f"{BUILDING['LAUNCH_BUILD_DESTINATION']}@{store.digest(of_good[0].images[0])}"
    written = [one for one in tmp_path.rglob("*") if one.is_file() and LOGIN.encode() in one.read_bytes()]
    assert not written


class Unlisted:
    """Cloud Build, whose first two listings of each image do not show the builds that have just begun."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._asked: Counter[bytes] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Ask for the builds of no image at the first listings."""
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].endswith("/builds"):
            self._asked[scope["query_string"]] += 1
            if self._asked[scope["query_string"]] <= 2:
                scope = {**scope, "query_string": b"filter=tags%3D%22none%22"}
        await self._app(scope, receive, send)
