"""The stand-in for Vertex AI: its rules and filters as tables, then Google's own clients, unmodified."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import requests
from click.testing import CliRunner
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform
from google.cloud.aiplatform_v1 import CustomJob, JobServiceClient, JobState, ListCustomJobsRequest

from deploy.local.servers.vertex.__main__ import main
from deploy.local.servers.vertex.app import create_app
from deploy.local.servers.vertex.errors import ApiError
from deploy.local.servers.vertex.filters import compile_filter
from deploy.local.servers.vertex.messages import parse_custom_job
from deploy.local.servers.vertex.runner import Runner
from deploy.local.servers.vertex.shortages import Lack
from deploy.local.servers.vertex.state import ENDED, VertexState
from deploy.local.serving import serving
from tests.waiting import eventually

IMAGES = Path("deploy/local/images").resolve()
PARENT = "projects/p/locations/us-central1"
URL = f"/v1/{PARENT}/customJobs"
SLEEP = ["python", "-c", "import time; print('up', flush=True); time.sleep(600)"]


def pool(command: list[str] | None = None, image: str = "local/noinit:1", **env: str) -> dict[str, Any]:
    """Return a worker pool of one replica, as the SDK takes it."""
    container = {"image_uri": image, "command": command or [], "env": [{"name": k, "value": v} for k, v in env.items()]}
    return {"machine_spec": {"machine_type": "n1-standard-4"}, "replica_count": 1, "container_spec": container}


def body(name: str = "job", **changes: Any) -> dict[str, Any]:
    """Return the JSON of a create."""
    return {"displayName": name, "jobSpec": {"workerPoolSpecs": [pool()]}} | changes


@pytest.fixture
def state(tmp_path: Path) -> Iterator[VertexState]:
    """Return a state whose jobs are run."""
    runner = Runner(IMAGES, tmp_path / "jobs", pending_seconds=0.02, grace_seconds=0.5)
    yield VertexState(runner.start)
    runner.close()


@pytest.fixture
def url(state: VertexState) -> Iterator[str]:
    """Serve the state on loopback."""
    with serving(create_app(state)) as url:
        yield url


@pytest.fixture(scope="module")
def idle() -> Iterator[tuple[str, VertexState]]:
    """Serve a state that runs nothing, for the tables of what is refused."""
    state = VertexState()
    with serving(create_app(state)) as url:
        yield url, state


@pytest.fixture
def sdk(url: str) -> Callable[..., Any]:
    """Return a function that submits a job with Google's SDK."""
    aiplatform.init(
        project="p",
        location="us-central1",
        staging_bucket="gs://b",
        credentials=AnonymousCredentials(),
        api_endpoint=url,
        api_transport="rest",
    )

    def submit(*pools: dict[str, Any], name: str = "job", labels: dict[str, str] | None = None, **run: Any) -> Any:
        job = aiplatform.CustomJob(display_name=name, worker_pool_specs=list(pools) or [pool()], labels=labels)
        job.submit(**run)
        return job

    return submit


@pytest.fixture
def client(url: str) -> JobServiceClient:
    """Return Google's generated client."""
    options = ClientOptions(api_endpoint=url)
    return JobServiceClient(
        transport="rest",
        client_options=options,
        credentials=AnonymousCredentials(),
    )


def ended(job: Any) -> Any:
    """Wait until a job of the SDK's is over; return its state."""
    return eventually(lambda: JobState(job.state).name in ENDED and job.state, "the job is over")


def printed(url: str, job: Any) -> str:
    """Return what a job has printed."""
    return requests.get(f"{url}/standin/jobs/{job.name}/log", timeout=10).text


# --- filters


JOB = SimpleNamespace(
    display_name="train_a",
    state="JOB_STATE_RUNNING",
    labels={"team": "vision", "wandb-run-id": "r1"},
    create_time=datetime(2024, 5, 1, tzinfo=UTC),
    update_time=datetime(2024, 5, 3, tzinfo=UTC),
    start_time=datetime(2024, 5, 2, tzinfo=UTC),
    end_time=None,
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ('display_name="train_a"', True),
        ('display_name = "train"', False),
        ('display_name!="train"', True),
        ('display_name:"train_*"', True),
        ("display_name:*_b", False),
        ('display_name:"train_[a]"', False),
        ('state="JOB_STATE_RUNNING"', True),
        ("state!=JOB_STATE_RUNNING", False),
        ('create_time>"2024-04-30T00:00:00Z"', True),
        ('create_time<="2024-05-01T02:00:00+02:00"', True),
        ("update_time<'2024-05-03T00:00:00Z'", False),
        ('start_time!="2024-05-02T00:00:00Z"', False),
        ('end_time>"2000-01-01T00:00:00Z"', False),
        ("labels.team=vision", True),
        ("labels.team!=vision", False),
        ("labels.wandb-run-id:*", True),
        ('labels."wandb-run-id"="r1"', True),
        ("labels.none:*", False),
        ("NOT labels.none:*", True),
        ("-labels.team:*", False),
        ("- labels.team:*", False),
        ("NOT (labels.team=vision AND state=JOB_STATE_FAILED)", True),
        ("labels.team=audio OR labels.team=vision", True),
        ("labels.team=vision labels.wandb-run-id=r2", False),
        ("labels.team=vision OR labels.team=audio AND labels.none:*", False),  # OR binds tighter
        ("labels.team=vision OR (labels.team=audio AND labels.none:*)", True),
    ],
)
def test_a_filter_selects_what_googles_filter_language_says(text: str, holds: bool) -> None:
    """Each documented field, operator and connective does what AIP-160 says."""
    assert compile_filter(text)(JOB) is holds


@pytest.mark.parametrize(
    "text",
    [
        "colour=red",
        "state=RUNNING",
        "state>JOB_STATE_RUNNING",
        "display_name<a",
        'create_time>"yesterday"',
        'create_time>"2024-05-01T00:00:00"',
        'create_time:"2024-05-01T00:00:00Z"',
        "labels.",
        "labels:team",
        "display_name",
        "display_name=",
        '"display_name"=a',
        "(display_name=a",
        "display_name=a)",
        "display_name=a AND",
        "OR display_name=a",
        'display_name="a',
        "(" * 5000,
    ],
)
def test_a_wrong_filter_is_refused(text: str) -> None:
    """A text that is no filter of custom jobs gets a 400 that repeats it."""
    with pytest.raises(ApiError) as refused:
        compile_filter(text)
    assert (refused.value.http_status, refused.value.code) == (400, "INVALID_ARGUMENT")
    assert text[:50] in refused.value.message


# --- what Vertex AI refuses


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"displayName": ""}, "custom_job.display_name; Message: Required"),
        ({"displayName": "x" * 129}, "at most 128 characters"),
        ({"labels": {"Team": "x"}}, 'The label key "Team"'),
        ({"labels": {"1st": "x"}}, 'The label key "1st"'),
        ({"labels": {"k" * 65: "x"}}, "at most 64"),
        ({"labels": {"team": "a b"}}, 'The label value "a b"'),
        ({"labels": {f"k{n}": "" for n in range(65)}}, "No more than 64 user labels"),
        ({"jobSpec": {}}, "job_spec.worker_pool_specs; Message: At least one worker pool"),
        ({"jobSpec": {"workerPoolSpecs": [pool() | {"replica_count": 0}]}}, "worker_pool_specs[0].replica_count"),
        ({"jobSpec": {"workerPoolSpecs": [{"replicaCount": 1}]}}, "worker_pool_specs[0].task"),
        ({"jobSpec": {"workerPoolSpecs": [pool(), pool(image="")]}}, "[1].container_spec.image_uri; Message: Required"),
        (
            {"jobSpec": {"workerPoolSpecs": [pool(None, "local/noinit", **{f"V{n}": "" for n in range(101)})]}},
            "At most 100 environment",
        ),
        (
            {"jobSpec": {"workerPoolSpecs": [pool() | {"machine_spec": {"accelerator_type": "NVIDIA_TESLA_T4"}}]}},
            "Both `accelerator_type` and `accelerator_count`",
        ),
        ({"displayNme": "x"}, "Unknown name \"displayNme\" at 'custom_job': Cannot find field."),
        ({"jobSpec": {"scheduling": {"nope": 1}}}, "Unknown name \"nope\" at 'custom_job.job_spec.scheduling'"),
        ({"jobSpec": {"workerPoolSpecs": 5}}, "Invalid value at 'custom_job'"),
        ({"jobSpec": {"scheduling": {"timeout": "5"}}}, "Invalid value at 'custom_job'"),
    ],
)
def test_a_wrong_job_is_refused_in_googles_shape(
    idle: tuple[str, VertexState], wrong: dict[str, Any], message: str
) -> None:
    """A 400 names the field and what is wrong, and no job is made."""
    url, state = idle
    before = len(state.jobs())
    answer = requests.post(url + URL, json=body(**wrong), timeout=10)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert message in error["message"]
    assert len(state.jobs()) == before


@pytest.mark.parametrize("garbage", [b"", b"null", b"[]", b"\xff", b"{", b"[" * 100_000])
def test_garbage_is_refused_and_the_server_lives(idle: tuple[str, VertexState], garbage: bytes) -> None:
    """A body that is no JSON object is a 400; the next call works."""
    url, _ = idle
    assert requests.post(url + URL, data=garbage, timeout=10).status_code == 400
    assert requests.post(url + URL, json=body(), timeout=10).status_code == 200


def test_international_labels_are_taken() -> None:
    """Lowercase letters of any alphabet are fine, and so are 64 labels."""
    labels = {"größe": "日本_1", "a-b": ""} | {f"k{n}": "v" * 64 for n in range(62)}
    state = VertexState()
    state.create(PARENT, parse_custom_job(body(labels=labels)))
    assert state.jobs()[0].labels == labels


# --- the life of a job, seen through Google's SDK


def test_a_job_of_the_sdk_runs_its_image_and_succeeds(sdk: Callable[..., Any], url: str) -> None:
    """Without a command the image's entry point runs; the job has its times and no error."""
    job = sdk(labels={"team": "vision"})
    assert ended(job) == JobState.JOB_STATE_SUCCEEDED
    assert printed(url, job) == "loading the cats\ndone, without wandb.init\n"
    described = job.gca_resource
    assert described.create_time <= described.start_time <= described.end_time <= described.update_time
    assert (dict(job.labels), job.error.message) == ({"team": "vision"}, "")


def test_a_container_sees_a_clean_environment(sdk: Callable[..., Any], url: str, monkeypatch: Any) -> None:
    """The command has the container's variables, Vertex AI's own and its own Python; nothing of the server's."""
    monkeypatch.setenv("ONLY_HERE", "1")
    code = "import os, sys, json; print(json.dumps([sys.executable, sys.argv[1:], dict(os.environ)]))"
    one = pool(["python", "-c", code], MINE="yes")
    one["container_spec"]["args"] = ["--epochs", "3"]
    job = sdk(one)
    assert ended(job) == JobState.JOB_STATE_SUCCEEDED
    executable, arguments, environment = json.loads(printed(url, job))
    assert (Path(executable).parts[-4:-1], arguments) == (("image", "venv", "bin"), ["--epochs", "3"])
    assert "ONLY_HERE" not in environment
    assert (environment["MINE"], environment["CLOUD_ML_JOB_ID"]) == ("yes", job.name)
    assert environment["AIP_MODEL_DIR"].startswith("gs://b/")
    assert environment["AIP_MODEL_DIR"].endswith("/model/")


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (
            pool(["python", "-c", "raise SystemExit(3)"]),
            "workerpool0-0 exited with a non-zero status of 3. To find out",
        ),
        (pool(["sh", "-c", "kill -9 $$$$"]), "exited with a non-zero status of 137"),
        (pool(["no-such-program"]), "Termination reason: StartError. Termination log message: failed to start"),
        (pool(image="gcr.io/p/train:1"), "Failed to pull image gcr.io/p/train:1: it does not exist here."),
        (pool(image="local/nothing"), "there are: local/noinit, local/python, local/train."),
        (pool(image="local/../vertex_server"), "Failed to pull image local/../vertex_server"),
    ],
)
def test_a_job_that_fails_says_why(sdk: Callable[..., Any], one: dict[str, Any], message: str) -> None:
    """The error of a FAILED job is in Vertex AI's words."""
    job = sdk(one)
    assert ended(job) == JobState.JOB_STATE_FAILED
    assert (job.error.code, message in job.error.message) == (3, True), job.error.message


def test_a_job_ends_at_its_timeout(sdk: Callable[..., Any]) -> None:
    """`scheduling.timeout` ends a job that runs for too long."""
    job = sdk(pool(SLEEP), timeout=1)
    assert ended(job) == JobState.JOB_STATE_FAILED
    assert "timeout of 1 seconds" in job.error.message


def test_every_replica_runs_and_the_first_one_decides(sdk: Callable[..., Any], state: VertexState) -> None:
    """When workerpool0-0 ends, the job ends, and the other replicas are killed."""
    job = sdk(pool(["python", "-c", "import time; time.sleep(0.5)"]), pool(SLEEP) | {"replica_count": 2})
    eventually(lambda: len(processes_of(job.name)) == 3, "all replicas run")
    assert ended(job) == JobState.JOB_STATE_SUCCEEDED
    eventually(lambda: not processes_of(job.name), "no process is left")


def processes_of(number: str) -> list[psutil.Process]:
    """Return the living processes that carry a job's number in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CLOUD_ML_JOB_ID") == number and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("up", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("command", [SLEEP, ["python", "-c", STUBBORN]], ids=["obedient", "stubborn"])
def test_a_cancelled_job_really_dies(sdk: Callable[..., Any], url: str, command: list[str]) -> None:
    """Cancel kills the process and its children, also where SIGTERM is ignored; a second cancel is refused."""
    job = sdk(pool(command))
    eventually(lambda: printed(url, job) == "up\n", "the container runs")
    job.cancel()
    assert JobState(job.state) in (JobState.JOB_STATE_CANCELLING, JobState.JOB_STATE_CANCELLED)
    assert ended(job) == JobState.JOB_STATE_CANCELLED
    assert job.error.code == 1
    eventually(lambda: not processes_of(job.name), "no process is left")
    with pytest.raises(exceptions.BadRequest, match="JOB_STATE_CANCELLED and cannot be cancelled"):
        job.cancel()


def test_a_cancelled_training_leaves_nothing_of_wandb_behind(sdk: Callable[..., Any], url: str) -> None:
    """W&B's own process, which leaves the container's process group, is gone as well."""
    settings = {"WANDB_MODE": "offline", "WANDB_LAUNCH": "True", "WANDB_CONFIG": '{"epochs": 100000, "sleep": 0.05}'}
    job = sdk(pool(None, "local/train:latest", **settings))
    eventually(lambda: "epoch 1:" in printed(url, job), "it trains")
    assert len(processes_of(job.name)) > 1
    job.cancel()
    assert ended(job) == JobState.JOB_STATE_CANCELLED
    eventually(lambda: not processes_of(job.name), "no process is left")


def test_a_job_without_machines_fails_before_it_runs(tmp_path: Path) -> None:
    """In Google's words, with its code, and without a start; other regions and strategies have some."""
    runner = Runner(IMAGES, tmp_path, pending_seconds=0.1)
    state = VertexState(runner.start)
    state.shortages.begin(PARENT.rpartition("/")[2], "STANDARD", Lack.STOCKOUT)
    job = state.create(PARENT, parse_custom_job(body()))
    eventually(lambda: job.state == "JOB_STATE_FAILED", "the job fails")
    runner.close()
    assert job.error.startswith("Resources are insufficient in region: ")
    assert (job.described().error.code, job.start_time, job.log) == (8, None, "")


@pytest.mark.parametrize("written", ["us-central1", "us-central1:SPOT", "us-central1:SPOT:soon"])
def test_a_shortage_on_the_command_line_says_how_it_is_written(written: str) -> None:
    """A misspelt one would be none."""
    result = CliRunner().invoke(main, ["--port", "1", "--shortage", written])
    assert result.exit_code == 2
    assert "is not REGION:STRATEGY:KIND" in result.output
    assert "rate, amount, zero, stockout" in result.output


def test_a_job_is_cancelled_before_it_runs(tmp_path: Path) -> None:
    """A job that still waits goes from CANCELLING to CANCELLED and never starts."""
    runner = Runner(IMAGES, tmp_path, pending_seconds=600)
    state = VertexState(runner.start)
    job = state.create(PARENT, parse_custom_job(body()))
    state.cancel(job.name)
    eventually(lambda: job.state == "JOB_STATE_CANCELLED", "the job is cancelled")
    runner.close()
    assert (job.start_time, job.log) == (None, "")


@pytest.mark.slow
def test_the_training_image_trains_and_fails_on_request(sdk: Callable[..., Any], url: str) -> None:
    """`local/train` logs a falling loss to W&B, and exits with an error in the epoch that its config names."""
    config = {"epochs": 3, "sleep": 0}
    jobs = [
        sdk(
            pool(
                image="local/train:latest",
                WANDB_MODE="offline",
                WANDB_LAUNCH="True",
                WANDB_CONFIG=json.dumps(config | more),
            )
        )
        for more in ({}, {"fail_at": 1})
    ]
    assert [ended(job) for job in jobs] == [JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED]
    epochs = [line.split() for line in printed(url, jobs[0]).splitlines() if line.startswith("epoch ")]
    losses = [float(words[3].rstrip(",")) for words in epochs]
    assert len(losses) == 3
    assert losses == sorted(losses, reverse=True)
    assert "loss is not finite in epoch 1" in printed(url, jobs[1])
    eventually(lambda: not any(processes_of(job.name) for job in jobs), "W&B's own process is gone as well")


# --- listing, and what tests can do to the state


def test_the_generated_client_lists_page_by_page(client: JobServiceClient, state: VertexState) -> None:
    """Pages come newest first, filtered, and of their own parent only; a page has at most 100 jobs."""
    for number in range(250):
        labels = {"half": "even" if number % 2 == 0 else "odd"}
        state.add(PARENT, parse_custom_job(body(f"job-{number}", labels=labels)), "JOB_STATE_RUNNING")
    state.add("projects/p/locations/europe-west4", parse_custom_job(body("elsewhere")))
    listed = list(client.list_custom_jobs(parent=PARENT))
    assert [job.display_name for job in listed] == [f"job-{n}" for n in range(249, -1, -1)]
    assert state.requests["list"] == 3
    wanted = ListCustomJobsRequest(parent=PARENT, filter='labels.half=odd AND state="JOB_STATE_RUNNING"', page_size=40)
    assert [len(page.custom_jobs) for page in client.list_custom_jobs(wanted).pages] == [40, 40, 40, 5]
    assert (
        len(next(client.list_custom_jobs(ListCustomJobsRequest(parent=PARENT, page_size=1000)).pages).custom_jobs)
        == 100
    )
    masked = ListCustomJobsRequest(parent=PARENT, page_size=1, read_mask={"paths": ["name", "state"]})
    part = next(client.list_custom_jobs(masked).pages).custom_jobs[0]
    assert part == CustomJob(name=listed[0].name, state=JobState.JOB_STATE_RUNNING)


@pytest.mark.parametrize(
    "query", ["pageSize=-1", "pageSize=--5", "pageSize=x", "pageToken=x", "filter=a=b", "readMask=a"]
)
def test_a_wrong_listing_is_refused(idle: tuple[str, VertexState], query: str) -> None:
    """Each wrong parameter of a list is a 400."""
    assert requests.get(f"{idle[0]}{URL}?{query}", timeout=10).json()["error"]["status"] == "INVALID_ARGUMENT"


def test_the_sdk_lists_and_deletes(sdk: Callable[..., Any]) -> None:
    """A job that is over can be deleted, one that runs cannot; then it is in no list and cannot be got."""
    done, running = sdk(name="done"), sdk(pool(SLEEP), name="running")
    ended(done)
    assert [job.display_name for job in aiplatform.CustomJob.list(filter='display_name:"do*"')] == ["done"]
    with pytest.raises(exceptions.BadRequest, match="has not ended"):
        running.delete()
    done.delete()
    assert [job.display_name for job in aiplatform.CustomJob.list()] == ["running"]
    with pytest.raises(exceptions.NotFound):
        aiplatform.CustomJob.get(done.resource_name)


def test_a_job_can_be_put_into_every_state(client: JobServiceClient, state: VertexState) -> None:
    """A test can force any state out of any other; only FAILED and CANCELLED carry an error."""
    job = state.add(PARENT, parse_custom_job(body()))
    for wanted in JobState:
        state.force(job.name, wanted.name, "why")
        seen = client.get_custom_job(name=job.name)
        assert seen.state == wanted
        assert bool(seen.error.message) == (wanted.name in ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED"))


def test_a_state_of_the_future_and_a_deleted_job(client: JobServiceClient, state: VertexState) -> None:
    """An unknown state arrives as a number that the client has no name for; a forgotten job is a 404."""
    job = state.add(PARENT, parse_custom_job(body()))
    state.force(job.name, "JOB_STATE_DREAMING")
    with pytest.warns(UserWarning, match="Unrecognized JobState"):
        seen = client.get_custom_job(name=job.name).state
    assert int(seen) not in [member.value for member in JobState]
    state.forget(job.name)
    with pytest.raises(exceptions.NotFound):
        client.get_custom_job(name=job.name)


def test_a_job_that_nobody_runs_is_cancelled_at_once(client: JobServiceClient, state: VertexState) -> None:
    """A job that a test has put in can be cancelled like any other."""
    job = state.add(PARENT, parse_custom_job(body()), "JOB_STATE_RUNNING")
    client.cancel_custom_job(name=job.name)
    assert client.get_custom_job(name=job.name).state == JobState.JOB_STATE_CANCELLED


def test_a_quota_refuses_and_an_answer_gets_lost(sdk: Callable[..., Any], state: VertexState) -> None:
    """A refused create makes no job; one whose answer is lost, or that answers 503 after working, does."""
    state.faults.refuse_next(429, "RESOURCE_EXHAUSTED", "Quota exceeded: custom_model_training_cpus")
    with pytest.raises(exceptions.TooManyRequests, match="custom_model_training_cpus"):
        sdk()
    assert state.jobs() == []
    state.faults.refuse_next(503, "UNAVAILABLE", "try again", worked=True)
    with pytest.raises(exceptions.ServiceUnavailable):
        sdk()
    assert len(state.jobs()) == 1
    state.faults.lose_next_answers()
    with pytest.raises(requests.RequestException):
        sdk()
    assert len(state.jobs()) == 2
    sdk()
    assert (len(state.jobs()), state.requests["create"]) == (3, 4)


def test_the_pages_show_jobs_but_no_secrets(sdk: Callable[..., Any], url: str) -> None:
    """Pages are escaped, counted and free of keys, even if the job printed its own."""
    command = ["sh", "-c", "echo key=$WANDB_API_KEY"]
    job = sdk(pool(command, WANDB_API_KEY="k" * 40, PLAIN="seen"), name="<b>bold</b>")
    ended(job)
    pages = [requests.get(url + path, timeout=10).text for path in ("/", "/standin/jobs")] + [printed(url, job)]
    assert not any("k" * 40 in page for page in pages)
    assert "&lt;b&gt;bold" in pages[0]
    assert "<b>" not in pages[0]
    assert '"value":"seen"' in pages[1]
    assert pages[2] == "key=[redacted]\n"
    assert requests.get(f"{url}/standin/requests", timeout=10).json()["create"] == 1
    assert requests.get(f"{url}/standin/jobs/1/log", timeout=10).status_code == 404


# --- other clients and the process itself


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
@pytest.mark.slow
def test_gcloud_creates_lists_describes_and_cancels(url: str, tmp_path: Path) -> None:
    """Google's command line, a client of its own, works against the stand-in."""
    token = tmp_path / "token"
    token.write_text("t")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "CLOUDSDK_CONFIG": str(tmp_path / "config"),
        "CLOUDSDK_CORE_PROJECT": "p",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_CHECK_GCE_METADATA": "0",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": f"{url}/",
    }

    def gcloud(*arguments: str) -> Any:
        command = ["gcloud", "ai", "custom-jobs", *arguments, "--region=us-central1", "--format=json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    config = tmp_path / "job.json"
    spec = {"replicaCount": 1, "containerSpec": {"imageUri": "local/noinit", "command": SLEEP}}
    config.write_text(json.dumps({"workerPoolSpecs": [spec | {"machineSpec": {"machineType": "n1-standard-4"}}]}))
    name = gcloud("create", "--display-name=from-gcloud", f"--config={config}")["name"]
    assert [job["displayName"] for job in gcloud("list")] == ["from-gcloud"]
    gcloud("cancel", name)
    eventually(
        lambda: requests.get(f"{url}/v1/{name}", timeout=10).json()["state"] == "JOB_STATE_CANCELLED", "it is cancelled"
    )
    assert gcloud("describe", name)["state"] == "JOB_STATE_CANCELLED"


def test_no_container_outlives_the_process(tmp_path: Path) -> None:
    """SIGTERM to the server ends its jobs' processes, also those that wait or ignore it, and leaves no folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "deploy.local.servers.vertex", "--port", str(port), "--pending-seconds", "0.1"]
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    server = subprocess.Popen([*command, "--kill-grace-seconds", "0.5"], env=environment)
    names = []
    try:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: answers(url), "the server answers")
        for program in (SLEEP, ["python", "-c", STUBBORN]):
            spec = {"workerPoolSpecs": [pool(program)]}
            made = requests.post(url + URL, json=body(jobSpec=spec), timeout=10).json()
            names.append(made["name"].rpartition("/")[2])
        eventually(lambda: [len(processes_of(name)) for name in names] == [1, 2], "both containers run")
        requests.post(url + URL, json=body(jobSpec={"workerPoolSpecs": [pool(SLEEP)]}), timeout=10)
        server.terminate()
        server.wait(30)
        eventually(lambda: not any(processes_of(name) for name in names), "no process is left")
        assert list(tmp_path.iterdir()) == []
    finally:
        server.kill()
        server.wait()
        for process in [process for name in names for process in processes_of(name)]:
            process.kill()


def answers(url: str) -> bool:
    """Tell whether a server listens."""
    try:
        return requests.get(f"{url}/standin/requests", timeout=1).ok
    except requests.ConnectionError:
        return False


def test_the_message_types_do_not_get_in_the_sdks_way() -> None:
    """The SDK can be imported after the stand-in has taken its message types alone, and they are the same ones."""
    code = (
        "import sys, deploy.local.servers.vertex.messages as ours;"
        "assert 'google.cloud.aiplatform_v1' not in sys.modules;"
        "from google.cloud import aiplatform, aiplatform_v1; assert aiplatform_v1.CustomJob is ours.CustomJob;"
        "aiplatform_v1.JobServiceClient"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
