"""Images and jobs that a launch runs, compared with the agent of the installed wandb."""

import ast
import json
import sys
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wandb.apis.public.jobs import Job
from wandb.sdk.launch._project_spec import LaunchProject
from wandb.sdk.launch.utils import MAX_ENV_LENGTHS

from shared.core.errors import Reject
from shared.core.jobsource import JobSource, Kind, read_job
from shared.core.ports import CustomJobCall
from shared.runspec.model import RunSpec
from shared.runspec.programs import FETCH, INSTALL, NOTEBOOK
from shared.runspec.render import DeploymentDefaults, render
from shared.runspec.source import job_path, resolve
from tests.fakes import FakeJobs
from tests.unit.specs import NAMES, SITE, draft_of, environment, put, run_spec

PATH = "team/cats/train:v1"
IMAGE = JobSource(PATH, Kind.IMAGE, ("python", "train.py"), image="img:1")
CODE = JobSource(PATH, Kind.ARTIFACT, ("python", "train.py"), code="team/cats/code-train:v3")
REPO = JobSource(PATH, Kind.REPO, ("bash", "run.sh"), remote="https://git.example.test/a.git", commit="c0ffee")
BASED = DeploymentDefaults(
    **{name: getattr(SITE, name) for name in DeploymentDefaults.__slots__ if name != "base_image"},
    base_image="python:3.12",
)


def launched(job: JobSource, site: DeploymentDefaults = BASED, **changes: Any) -> CustomJobCall:
    """Render a launch of a job."""
    launch, found = resolve(draft_of(run_spec(docker=None, job=job.path, **changes)), FakeJobs({job.path: job}))
    return render(launch, site, NAMES, found)


def container(call: CustomJobCall) -> dict[str, Any]:
    """Return the container of the first pool."""
    return cast(dict[str, Any], call.constructor["worker_pool_specs"][0]["container_spec"])


@pytest.mark.parametrize("entry_point", [None, ["python", "train.py"]])
@pytest.mark.parametrize("overrides", [{}, {"entry_point": ["bash", "x.sh"]}, {"args": ["--lr", "1"]}])
def test_an_image_job_is_what_the_agent_makes_of_it(entry_point: Any, overrides: dict[str, Any]) -> None:
    """Image, entry point, and environment are those of wandb's own LaunchProject."""
    spec = run_spec(docker={}, job=PATH, overrides=overrides, run_id="r1")
    source = {"image": "img:1"} | ({"entrypoint": entry_point} if entry_point else {})
    info = {"source_type": "image", "source": source}
    api: Any = SimpleNamespace(settings={"base_url": SITE.base_url}, api_key=SITE.api_key)
    project = LaunchProject.from_spec(spec, api)
    theirs = cast(Any, Job.__new__(Job))
    vars(theirs).update(_job_info=info, _entrypoint=entry_point)
    theirs._configure_launch_project_container(project)  # noqa: SLF001 - what its constructor chooses for an image
    project.queue_name, project.queue_entity, project.run_queue_item_id = "vertex", "team", "item-1"
    variables = project.get_env_vars_dict(api, MAX_ENV_LENGTHS["VertexRunner"])
    chosen = project.override_entrypoint or project.get_job_entry_point()

    call = launched(read_job(PATH, json.dumps(info).encode()), overrides=overrides, run_id="r1")
    assert container(call)["image_uri"] == project.docker_image
    assert container(call).get("command") == (chosen.command if chosen else None)
    assert container(call).get("args") == (overrides.get("args"))
    assert environment(call) == variables | {"WANDB_RESUME": "allow"}


@pytest.mark.parametrize("job", [CODE, REPO])
def test_code_is_fetched_in_the_base_image(job: JobSource) -> None:
    """The command fetches it and becomes the entry point; args stay args, and W&B gets no image."""
    call = launched(job, overrides={"args": ["--lr", "1"], "working_dir": "sub"})
    python, option, text, what, *entry_point = container(call)["command"]
    assert (python, option, text) == ("python3", "-c", FETCH)
    place = {"code": job.code} if job.code else {"remote": job.remote, "commit": job.commit}
    assert json.loads(what) == {"job": PATH, **place, "working_dir": "sub", "install": True}
    started = ["python3", "train.py"] if job is CODE else ["bash", "run.sh"]
    assert (entry_point, container(call)["args"]) == (started, ["--lr", "1"])
    assert container(call)["image_uri"] == "python:3.12"
    assert "WANDB_DOCKER" not in environment(call)
    assert json.loads(environment(call)["WANDB_ARTIFACTS"]) == {"_wandb_job": PATH}
    assert SITE.api_key not in json.dumps(container(call)["command"])


def test_an_entry_point_override_takes_the_place_of_the_jobs_own() -> None:
    """The code is fetched all the same."""
    call = launched(CODE, overrides={"entry_point": ["bash", "it's.sh"]})
    assert container(call)["command"][4:] == ["bash", "it's.sh"]


@pytest.mark.parametrize("job", [IMAGE, CODE])
def test_secure_mode_refuses_to_override_a_jobs_entry_point(job: JobSource) -> None:
    """And takes the job's own."""
    secure = DeploymentDefaults(
        "https://api.wandb.ai", "k" * 40, "p", "us-central1", secure_mode=True, base_image="python:3.12"
    )
    assert container(launched(job, secure))["command"][-1] == "train.py"
    with pytest.raises(Reject, match=r"overrides.entry_point: is refused"):
        launched(job, secure, overrides={"entry_point": ["sh"]})


def test_the_jobs_own_base_image_comes_first_then_its_queues_then_the_settings() -> None:
    """The job's own has what the code needs, as the agent has it: nothing is installed."""
    own = JobSource(PATH, Kind.ARTIFACT, ("python", "x.py"), base_image="own:1", code="t/c/code:v0")
    queue = put(run_spec(), ("resource_args", "gcp-vertex", "builder"), {"base_image": "queue:1"})["resource_args"]
    images = []
    for job, changes in ((own, {"resource_args": queue}), (CODE, {"resource_args": queue}), (CODE, {})):
        ran = container(launched(job, **changes))
        images.append((ran["image_uri"], json.loads(ran["command"][3])["install"]))
    assert images == [("own:1", False), ("queue:1", True), ("python:3.12", True)]


@pytest.mark.parametrize(
    ("changes", "site", "message"),
    [
        ({}, SITE, r"no base image is set for it. Set builder.base_image in .* or LAUNCH_BASE_IMAGE"),
        ({"overrides": {"working_dir": "../x"}}, BASED, r"overrides.working_dir: is '../x'"),
        ({"overrides": {"working_dir": "/x"}}, BASED, r"overrides.working_dir: is '/x'"),
        ({"overrides": {"dockerfile": "D"}}, BASED, r"overrides.dockerfile: .*this deployment builds no images"),
    ],
)
def test_code_that_cannot_be_run_is_refused(changes: dict[str, Any], site: DeploymentDefaults, message: str) -> None:
    """With the setting, or the override, that is in the way."""
    with pytest.raises(Reject, match=message):
        launched(CODE, site, **changes)


@pytest.mark.parametrize(
    ("job", "path"),
    [
        ("e/p/j:v1", "e/p/j:v1"),
        ("e/p/j", "e/p/j"),
        ("other/j:v1", "team/other/j:v1"),
        ("j:latest", "team/Cats/j:latest"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_job_of_the_runs_own_project_may_be_named_without_it(job: Any, path: str) -> None:
    """The run's entity and project fill the omitted parts."""
    assert job_path(RunSpec.parse(run_spec(docker=None, job=job))) == path


@pytest.mark.parametrize("job", ["a/b/c/d", "//x", 5, ["a"]])
def test_a_job_that_is_named_wrongly_is_refused(job: Any) -> None:
    """Under the name of its field."""
    with pytest.raises(Reject, match=r"^job: "):
        job_path(RunSpec.parse(run_spec(docker=None, job=job)))


def test_an_image_wins_over_a_job() -> None:
    """As with the agent, which then does not ask for the job; the run gets its name."""
    launch, job = resolve(draft_of(run_spec(job=PATH)), FakeJobs())
    assert job is None
    call = render(launch, BASED, NAMES, job)
    assert container(call)["image_uri"] == "us-docker.pkg.dev/p/r/train:1"
    assert json.loads(environment(call)["WANDB_ARTIFACTS"]) == {"_wandb_job": PATH}


def source(kind: str, **changes: Any) -> dict[str, Any]:
    """Return a good wandb-job.json with these parts of its source changed."""
    good: dict[str, dict[str, Any]] = {
        "image": {"image": "img:1"},
        "artifact": {"artifact": "wandb-artifact://_id/QXJ0", "entrypoint": ["python", "x.py"]},
        "repo": {"git": {"remote": "https://g.test/a.git", "commit": "c0ffee"}, "entrypoint": ["python", "x.py"]},
    }
    return {"source_type": kind, "source": {**good[kind], **changes}}


@pytest.mark.parametrize(
    ("link", "code", "code_id"),
    [
        ("wandb-artifact://_id/QXJ0", "_id/QXJ0", "QXJ0"),
        ("wandb-artifact://https://w.test/_id/QXJ0", "_id/QXJ0", "QXJ0"),
        ("wandb-artifact://e/p/code:v1", "e/p/code:v1", ""),
        ("wandb-artifact://e/p/code:v1/some/file", "e/p/code:v1", ""),
    ],
)
def test_a_link_to_code_is_read_as_wandb_does(link: str, code: str, code_id: str) -> None:
    """By id or by name, with and without the address of a W&B."""
    job = read_job(PATH, json.dumps(source("artifact", artifact=link)).encode())
    assert (job.code, job.code_id) == (code, code_id)


@pytest.mark.parametrize(
    ("login", "place"),
    [
        ("x-access-token:", "github.com/o/r"),  # GitHub Actions; wandb has removed the token
        ("gitlab-ci-token:", "gitlab.com/g/s/r.git"),
        ("oauth2:", "gitlab.com/o/r.git"),
        ("x-token-auth:", "bitbucket.org/w/r.git"),  # Bitbucket Pipelines
        ("jenkins:", "git.corp.test/r.git"),
        ("me%40corp.test:", "git.corp.test/r.git"),
        ("org", "dev.azure.com/org/my%20project/_git/r"),
        ("alice", "bitbucket.org/w/r.git"),  # its own button copies this address
        ("alice", "bitbucket.corp.test:8443/scm/p/r.git"),
    ],
)
def test_a_login_that_is_no_secret_goes(login: str, place: str) -> None:
    """As CI, and the hosts' own pages, write remotes."""
    git = {"remote": f"https://{login}@{place}", "commit": "c0ffee"}
    assert read_job(PATH, json.dumps(source("repo", git=git)).encode()).remote == f"https://{place}"


@pytest.mark.parametrize("remote", ["https://g.test/a.git", "ssh://git@g.test/a.git", "git@g.test:a.git"])
def test_a_repository_is_fetched_as_the_agent_would(remote: str) -> None:
    """By the transports that it takes."""
    git = {"remote": remote, "commit": "c0ffee"}
    assert read_job(PATH, json.dumps(source("repo", git=git)).encode()).remote == remote


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (source("repo", git={"remote": "https://build@git.corp.test/p/r", "commit": "c"}), "a password or a token"),
        (source("repo", git={"remote": f"https://ghp_{'s3cret' * 6}@bitbucket.org/w/r", "commit": "c"}), "a password"),
        (b"\xff", "not a JSON object"),
        (b"[1]", "not a JSON object"),
        ({"source_type": "zip"}, "not a JSON object with a source_type of image, artifact, repo"),
        (source("image", image=None), "without image"),
        (source("image", entrypoint="x"), "entrypoint that is not a list"),
        (source("artifact", artifact="e/p/c:v1"), "not a link to an artifact"),
        (source("artifact", artifact="wandb-artifact://e/p"), "not a link to an artifact"),
        (source("artifact", artifact="wandb-artifact://https://w.test"), "not a link to an artifact"),
        (source("artifact", entrypoint=[]), "no entrypoint"),
        (source("artifact", base_image={"a": 1}), "base_image that is not a text"),
        (source("artifact", dockerfile="../Dockerfile"), "has a dockerfile outside its code"),
        (source("artifact", dockerfile=["x"]), "has a dockerfile that is not a text"),
        (source("repo", build_context="/x"), "has a build_context outside its code"),
        (source("repo", git={"remote": "https://g.test/a"}), "without commit"),
        (source("repo", git={"remote": "https://g.test/a", "commit": "--x"}), "read as an option"),
        (source("repo", git={"remote": "http://u:s3cret@g.test/a", "commit": "c"}), "is not https://"),
        (source("repo", git={"remote": "-u s3cret", "commit": "c"}), "is not https://"),
        (source("repo", git={"remote": "https://s3cret@g.test/a", "commit": "c"}), "a password or a token"),
        (source("repo", git={"remote": "ssh://u:s3cret@g.test/a", "commit": "c"}), "a password or a token"),
        (source("repo", git={"remote": "https://[x", "commit": "c"}), "not a URL"),
    ],
)
def test_a_bad_job_is_refused(written: Any, message: str) -> None:
    """With its name and what is wrong; no password of a remote is shown."""
    with pytest.raises(Reject) as refused:
        read_job(PATH, written if isinstance(written, bytes) else json.dumps(written).encode())
    assert str(refused.value).startswith(f"job: {PATH} ")
    assert message in str(refused.value)
    assert "s3cret" not in str(refused.value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), st.lists))
@settings(max_examples=100, deadline=None)
def test_any_part_of_a_job_is_read_or_refused(value: Any) -> None:
    """Never another exception."""
    for kind in Kind:
        for part in (*source(kind)["source"], "notebook", "base_image", "dockerfile"):
            with suppress(Reject):
                assert read_job(PATH, json.dumps(source(kind, **{part: value})).encode()).path == PATH


@pytest.mark.parametrize("program", [FETCH, INSTALL, NOTEBOOK])
def test_a_program_of_a_container_needs_no_newer_python_and_no_package(program: str) -> None:
    """A base image of Python 3.7 will do; nothing in the text is taken for a variable by the container's runtime."""
    tree = ast.parse(program, feature_version=(3, 7))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
    named = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert len(named) == len(set(named))  # its modules share one namespace
    assert "$(" not in program
    assert "$$" not in program
