"""Jobs: made by the real `wandb job create`, resolved by our adapter; the real agent's own part is the judge."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from deploy.local.servers.wandb.state import State
from shared.adapters.wandb import Graphql, WandbJobs, WandbRunQueue
from shared.adapters.wandb.documents import FILES
from shared.core.errors import Denied, Reject, Retry
from shared.core.intake import from_item
from shared.core.jobsource import JobSource, Kind
from shared.core.message import Queue
from shared.runspec.container.fetch_code import QUERY
from shared.runspec.model import Draft, RunSpec
from shared.runspec.render import render
from shared.runspec.source import resolve, source_of
from tests.contract.sending import NAMES
from tests.contract.test_wandb_server import KEY, WANDB, client_env, clock, finished, state, url
from tests.unit.specs import SITE, environment

__all__ = ["client_env", "clock", "state", "url"]  # fixtures

REMOTE = "https://git.example.test/code.git"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """Return a folder with a script and what it needs."""
    folder = tmp_path / "code"
    (folder / "sub").mkdir(parents=True)
    (folder / "train.py").write_text("import sys\nfrom sub.part import SAID\nprint(SAID, sys.argv[1:])\n")
    (folder / "sub" / "part.py").write_text("SAID = 'it ran'\n")
    (folder / "requirements.txt").write_text("wandb\n")
    return folder


@pytest.fixture
def repository(code: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Serve the code as a git repository; return the variables that lead git there for REMOTE."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed: a job of a repository needs it")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.test", "-c", "init.defaultBranch=main"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "code"], ["update-server-info"]):
        subprocess.run([*git, *command], cwd=code, check=True)
    server = HTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(code / ".git")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    led = {"GIT_CONFIG_KEY_0": f"url.http://127.0.0.1:{server.server_port}/.insteadOf", "GIT_CONFIG_VALUE_0": REMOTE}
    try:
        yield led | {"GIT_CONFIG_COUNT": "1", "GIT_TERMINAL_PROMPT": "0"}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


def created(env: dict[str, str], cwd: Path, *what: str) -> None:
    """Run the real `wandb job create`."""
    code, output = finished([WANDB, "job", "create", "-p", "vision", "-e", "team", "-n", "train", *what], env, cwd)
    assert (code, "Created job: " in output) == (0, True), output


def test_an_image_job_is_resolved(state: State, url: str, client_env: dict[str, str], tmp_path: Path) -> None:
    """By any of its names, to its version's own."""
    created(client_env, tmp_path, "image", "us-docker.pkg.dev/p/r/train:blue")
    jobs = WandbJobs(Graphql(url, KEY))
    image = JobSource("team/vision/train:v0", Kind.IMAGE, image="us-docker.pkg.dev/p/r/train:blue")
    for name in ("train:latest", "train:blue", "train:v0", "train"):
        assert jobs.resolve(f"team/vision/{name}") == image


THEIRS = """
import json, os, sys
from types import SimpleNamespace
import wandb
from wandb.sdk.launch._project_spec import LaunchProject
project = LaunchProject.from_spec({"entity": "team", "project": "vision", "job": sys.argv[1], "resource": "x"}, None)
project.fetch_and_validate_project()
files = sorted(os.path.relpath(os.path.join(at, name), project.project_dir)
               for at, _, names in os.walk(project.project_dir) for name in names if ".git/" not in at + "/")
print(json.dumps([project.get_job_entry_point().command, project.job_source_type, project.job_source_info, files]))
"""


def theirs(env: dict[str, str], cwd: Path, job: str) -> list[Any]:
    """Return what the agent's own part makes of a job: entry point, kind, where the code is, and its files."""
    code, output = finished([sys.executable, "-c", THEIRS, job], env, cwd)
    assert code == 0, output
    return list(json.loads(output.splitlines()[-1]))


def test_a_code_job_is_what_the_agent_makes_of_it(
    state: State, url: str, client_env: dict[str, str], code: Path, tmp_path: Path
) -> None:
    """The same entry point, and the same version of the same code."""
    created(client_env, tmp_path, "code", str(code), "--entry-point", "python train.py")
    ours = WandbJobs(Graphql(url, KEY)).resolve("team/vision/train:latest")
    command, kind, info, files = theirs(client_env, tmp_path, "team/vision/train:latest")
    assert (list(ours.entry_point), ours.kind, ours.code) == (command, kind, info["artifact_string"])
    assert (ours.path, info["job_artifact"]) == ("team/vision/train:v0", "team/vision/train:latest")
    assert files == ["requirements.frozen.txt", "requirements.txt", "sub/part.py", "train.py"]


def test_a_git_job_is_resolved(
    state: State, url: str, client_env: dict[str, str], repository: dict[str, str], tmp_path: Path, code: Path
) -> None:
    """To the commit that it was made of."""
    created(client_env | repository, tmp_path, "git", REMOTE, "--entry-point", "python train.py")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=code, check=True, capture_output=True, text=True)
    found = WandbJobs(Graphql(url, KEY)).resolve("team/vision/train:latest")
    assert set(found.files) == {"requirements.frozen.txt"}
    assert replace(found, files={}) == JobSource(
        "team/vision/train:v0", Kind.REPO, ("python", "train.py"), remote=REMOTE, commit=head.stdout.strip()
    )


def started(env: dict[str, str], cwd: Path, job: JobSource, *args: str, **overrides: Any) -> tuple[int, str]:
    """Run the command of a job's container; returns its exit code and its output."""
    spec = {"entity": "team", "project": "vision", "job": job.path, "overrides": overrides}
    command = source_of(RunSpec.parse(spec), job, {"a base image": "python:3.12"}).command
    home = env | {"TMPDIR": str(cwd), "PATH": f"{Path(sys.executable).parent}:{env['PATH']}"}
    return finished([*command, *args], home, cwd)


def test_the_code_of_an_artifact_runs(
    state: State, url: str, client_env: dict[str, str], code: Path, tmp_path: Path
) -> None:
    """It is fetched, its requirements are installed, and it gets its arguments unchanged."""
    created(client_env, tmp_path, "code", str(code), "--entry-point", "python train.py")
    job = WandbJobs(Graphql(url, KEY)).resolve("team/vision/train:latest")
    exit_code, output = started(client_env, tmp_path, job, "--it's", "$HOME `x`")
    assert exit_code == 0, output
    assert """it ran ["--it's", '$HOME `x`']""" in output
    assert KEY not in output
    (fetched,) = tmp_path.glob("job-*/code")
    _, _, _, files = theirs(client_env, tmp_path, "team/vision/train:latest")
    mine = {str(path.relative_to(fetched)) for path in fetched.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert mine | {"requirements.frozen.txt"} == set(files)
    assert (fetched.parent / "job" / "requirements.frozen.txt").is_file()


def test_the_code_of_a_repository_runs(
    state: State, url: str, client_env: dict[str, str], repository: dict[str, str], tmp_path: Path, code: Path
) -> None:
    """At the commit of the job, with the changes that were not committed; a folder of it may be worked in."""
    created(client_env | repository, tmp_path, "git", REMOTE, "--entry-point", "python train.py")
    job = WandbJobs(Graphql(url, KEY)).resolve("team/vision/train:latest")
    patch = "--- a/sub/part.py\n+++ b/sub/part.py\n@@ -1 +1 @@\n-SAID = 'it ran'\n+SAID = 'patched'\n"
    (artifact,) = (one for one in state.artifacts.by_id.values() if one.collection.type_name == "job")
    artifact.files["diff.patch"] = patch.encode()
    assert started(client_env | repository, tmp_path, job)[1].splitlines()[-1] == "patched []"
    ran = started(
        client_env | repository, tmp_path, job, working_dir="sub", entry_point=["python", "-c", "import part"]
    )
    assert ran[0] == 0, ran[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"code": "team/vision/gone:v0"}, "W&B does not show the files of team/vision/gone:v0"),
        ({"entry_point": ("nothing-there",)}, "its program nothing-there cannot be run: No such file or directory"),
        ({"kind": Kind.REPO, "remote": "https://127.0.0.1:1/x", "commit": "c"}, "git clone ended with exit code 128"),
        ({"path": "other/vision/train:v0"}, "W&B does not show the files of other/vision/train:v0"),
    ],
)
def test_code_that_cannot_be_started_says_why(
    state: State, client_env: dict[str, str], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """In the last line of the job's log, and the job fails."""
    put(state, "code", "code", {"x.py": b""})
    put(state, "train", "job", {})
    job = JobSource("team/vision/train:v0", Kind.ARTIFACT, ("python", "x.py"), code="team/vision/code:v0")
    exit_code, output = started(client_env, tmp_path, replace(job, **changes))
    assert exit_code == 1
    assert message in output.splitlines()[-1]


def test_a_python_of_another_name_is_the_images_own(state: State, client_env: dict[str, str], tmp_path: Path) -> None:
    """A job made by a run names the Python that it had then. And code may have more files than W&B lists at once."""
    put(state, "code", "code", {"x.py": b"print('it ran')"} | {f"a folder/data {n}": b"" for n in range(501)})
    put(state, "train", "job", {"requirements.frozen.txt": b""})
    job = JobSource("team/vision/train:v0", Kind.ARTIFACT, ("python3.999", "x.py"), code="team/vision/code:v0")
    exit_code, output = started(client_env, tmp_path, job)
    assert (exit_code, output.splitlines()[-1]) == (0, "it ran")
    assert len(list(tmp_path.glob("job-*/code/a folder/data *"))) == 501


def test_the_container_asks_as_submit_does() -> None:
    """One query, of wandb's own; a line's end has no meaning in it."""
    assert "".join(QUERY.split()) == "".join(FILES.split())


def put(state: State, name: str, kind: str, files: dict[str, bytes]) -> str:
    """Log an artifact; returns its id."""
    state.project("team", "vision")
    made = state.artifacts.create("team", "vision", kind, name, {"digest": name})
    made.files |= files
    return state.artifacts.commit(made.id).id


def link(artifact_id: str) -> bytes:
    """Return the wandb-job.json of a job with this code."""
    source = {"artifact": f"wandb-artifact://_id/{artifact_id}", "entrypoint": ["python", "x.py"]}
    return json.dumps({"source_type": "artifact", "source": source}).encode()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("team/vision/gone:v0", "job: team/vision/gone:v0 was not found in W&B. Write entity/project/name:alias"),
        ("team/nowhere/x", "job: team/nowhere/x was not found in W&B."),
        ("team/vision/data:v0", "job: team/vision/data:v0 is an artifact of type 'dataset', not a job."),
        ("team/vision/empty:v0", "job: team/vision/empty:v0 has no wandb-job.json. Create the job again"),
        ("team/vision/bad:v0", "job: team/vision/bad:v0 has a wandb-job.json that is not a JSON object"),
        ("team/vision/lost:v0", "job: team/vision/lost:v0 has code that was not found in W&B."),
        ("team/vision/old:v0", "job: team/vision/old:v0 has code that was deleted in W&B."),
    ],
)
def test_a_job_that_cannot_be_launched_is_refused(state: State, url: str, path: str, message: str) -> None:
    """The refusal has its name and the fault."""
    put(state, "data", "dataset", {})
    put(state, "empty", "job", {})
    put(state, "bad", "job", {"wandb-job.json": b"no"})
    put(state, "lost", "job", {"wandb-job.json": link("bm93aGVyZQ==")})
    gone = put(state, "code-old", "code", {"x.py": b""})
    state.artifacts.delete(gone)
    put(state, "old", "job", {"wandb-job.json": link(gone)})
    with pytest.raises(Reject) as refused:
        WandbJobs(Graphql(url, KEY)).resolve(path)
    assert str(refused.value).startswith(message)


def test_a_deleted_job_is_not_found(state: State, url: str) -> None:
    """So is a job that is not uploaded yet."""
    deleted = put(state, "train", "job", {})
    state.artifacts.delete(deleted)
    state.artifacts.create("team", "vision", "job", "draft", {"digest": "x"})
    for name in ("train:v0", "draft:v0"):
        with pytest.raises(Reject, match="was not found in W&B"):
            WandbJobs(Graphql(url, KEY)).resolve(f"team/vision/{name}")


def test_a_wandb_that_is_down_is_asked_again_later(url: str) -> None:
    """So does a W&B that refuses the key, until somebody fixes that."""
    with pytest.raises(Retry):
        WandbJobs(Graphql("http://127.0.0.1:1", KEY)).resolve("team/vision/train:v0")
    with pytest.raises(Denied):
        WandbJobs(Graphql(url, "wrong" * 8)).resolve("team/vision/train:v0")


USES = """
import wandb
with wandb.init() as run:
    used = run.use_artifact("team/vision/train:latest")
    print("used", used.id, used.version, sorted(entry.path for entry in used.manifest.entries.values()))
"""


def test_a_run_uses_the_job_that_it_was_launched_from(
    state: State, client_env: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As W&B's SDK does by itself where `_wandb_job` names one: the job is read and reported, without a warning."""
    created(client_env, tmp_path, "image", "us-docker.pkg.dev/p/r/train:blue")
    (job,) = state.artifacts.by_id.values()
    where = {"WANDB_ENTITY": "team", "WANDB_PROJECT": "vision", "WANDB_RUN_ID": "r1", "WANDB_LAUNCH": "True"}
    launched = where | {"WANDB_ARTIFACTS": json.dumps({"_wandb_job": "team/vision/train:v0"})}
    code, output = finished([sys.executable, "-c", USES], client_env | launched, tmp_path)
    assert code == 0, output
    assert f"used {job.id} v0 ['requirements.frozen.txt', 'wandb-job.json']" in output
    assert "WARNING" not in output
    assert not caplog.messages


CALLS = """
import json, sys
import wandb

config, calls = json.loads(sys.argv[1])
settings = wandb.Settings(disable_job_creation=False)
with wandb.init(entity="team", project="vision", config=config, settings=settings) as run:
    run.log({"loss": 1})
api = wandb.Api()
(made,) = api.artifact_collections("team/vision", "job")
job = api.job(f"team/vision/{made.name}:latest")
for changes in calls:
    queued = job.call(config, "cats", "team", "vertex", project_queue="model-registry", **changes)
    print(queued.state)
"""
POOL = {
    "machine_spec": {"machine_type": "{{machine}}"},
    "replica_count": 1,
    "container_spec": {"image_uri": "${image_uri}"},
}
CONFIG = {"lr": 0.1, "layers": [1, 2]}


def test_a_job_that_python_code_calls_is_launched(
    state: State, url: str, client_env: dict[str, str], tmp_path: Path
) -> None:
    """A run in a container makes a job; `Job.call` enqueues it; its item becomes that image with that configuration.

    Its default resource is local-container, which changes nothing: the queue is for Vertex AI.
    """
    state.make_queue(
        "team",
        "vertex",
        config={"spec": {"worker_pool_specs": [POOL], "staging_bucket": "gs://staging"}},
        template_variables={"machine": {"type": "string", "default": "n1-standard-4"}},
    )
    image = "us-docker.pkg.dev/p/r/train:blue"
    calls: list[dict[str, Any]] = [
        {"resource": "gcp-vertex", "template_variables": {"machine": "n1-standard-8"}},
        {"resource_args": {"gcp-vertex": {"run": {"timeout": 60}}}, "priority": 1},
    ]
    code, output = finished(
        [sys.executable, "-c", CALLS, json.dumps([CONFIG, calls])], client_env | {"WANDB_DOCKER": image}, tmp_path
    )
    assert (code, output.splitlines().count("pending")) == (0, 2), output
    queue, graphql, sent = Queue(entity="team", name="vertex"), Graphql(url, KEY), []
    while item := WandbRunQueue(graphql).pop(queue, ""):
        draft = Draft.of(from_item(item.id, queue, item.run_spec, datetime(2026, 1, 1, tzinfo=UTC)))
        draft, job = resolve(draft, WandbJobs(graphql))
        call = render(draft, SITE, NAMES, job)
        [pool] = call.constructor["worker_pool_specs"]
        variables = environment(call)
        assert pool["container_spec"]["image_uri"] == variables["WANDB_DOCKER"] == image
        assert json.loads(variables["WANDB_CONFIG"]) == CONFIG
        assert job
        assert json.loads(variables["WANDB_ARTIFACTS"]) == {"_wandb_job": job.path}
        assert (variables["WANDB_ENTITY"], variables["WANDB_PROJECT"]) == ("team", "cats")
        sent.append((pool["machine_spec"]["machine_type"], dict(call.submit)))
    assert sent == [("n1-standard-8", {}), ("n1-standard-4", {"timeout": 60})]
