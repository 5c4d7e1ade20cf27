"""Uncertain behaviour of Vertex AI, in both readings, and its refusals, as Google's own clients see them."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth import exceptions as auth_errors
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform
from google.cloud.aiplatform_v1 import JobServiceClient, JobState

from deploy.local.servers.vertex.app import create_app
from deploy.local.servers.vertex.errors import ApiError
from deploy.local.servers.vertex.expansion import expanded, expanded_variables
from deploy.local.servers.vertex.messages import parse_custom_job
from deploy.local.servers.vertex.refusals import JOB_ERRORS, REFUSALS, job_error
from deploy.local.servers.vertex.runner import Runner
from deploy.local.servers.vertex.shortages import Lack
from deploy.local.servers.vertex.state import Job, VertexState
from deploy.local.serving import serving
from tests.contract.test_vertex_server import IMAGES, PARENT, SLEEP, URL, body, pool, printed
from tests.waiting import eventually

AN_HOUR = 3600.0


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


@pytest.fixture
def client(url: str) -> JobServiceClient:
    """Return Google's generated client."""
    options = ClientOptions(api_endpoint=url)
    return JobServiceClient(transport="rest", client_options=options, credentials=AnonymousCredentials())


@pytest.fixture
def submit(url: str) -> Callable[..., Any]:
    """Return a function that submits a job with Google's SDK."""
    aiplatform.init(
        project="p",
        location="us-central1",
        staging_bucket="gs://b",
        credentials=AnonymousCredentials(),
        api_endpoint=url,
        api_transport="rest",
    )

    def submit(command: list[str] | None = None, **run: Any) -> Any:
        job = aiplatform.CustomJob(display_name="job", worker_pool_specs=[pool(command)])
        job.submit(**run)
        return job

    return submit


def made(state: VertexState, spec: dict[str, Any] | None = None, **changes: Any) -> Job:
    """Create a job; `spec` is added to its jobSpec."""
    asked = body(**changes)
    asked["jobSpec"] |= spec or {}
    return state.create(PARENT, parse_custom_job(asked))


def reaches(job: Job, wanted: str) -> None:
    """Wait until a job is in a state."""
    eventually(lambda: job.state == f"JOB_STATE_{wanted}", f"the job is {wanted}, not {job.state}", 20)


# --- times


@pytest.mark.parametrize("seconds", [0.0, AN_HOUR])
def test_the_error_of_a_job_comes_with_its_state_or_later(
    client: JobServiceClient, state: VertexState, seconds: float
) -> None:
    """Until then the job is FAILED and has no error, in a get and in a listing."""
    job = state.add(PARENT, parse_custom_job(body()), "JOB_STATE_RUNNING")
    state.behaviour.error_seconds = seconds
    state.force(job.name, "JOB_STATE_FAILED", "why")
    seen = [client.get_custom_job(name=job.name), *client.list_custom_jobs(parent=PARENT)]
    assert {one.state for one in seen} == {JobState.JOB_STATE_FAILED}
    assert {one.error.message for one in seen} == {"" if seconds else "why"}
    state.behaviour.error_seconds = 0
    assert client.get_custom_job(name=job.name).error.message == "why"


@pytest.mark.parametrize("always", [False, True])
def test_end_time_is_there_where_google_documents_it(
    client: JobServiceClient, state: VertexState, always: bool
) -> None:
    """EXPIRED and PARTIALLY_SUCCEEDED may lack it; update_time is always there."""
    state.behaviour.end_time_always = always
    job = state.add(PARENT, parse_custom_job(body()), "JOB_STATE_RUNNING")
    without = set()
    for name in ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"):
        state.force(job.name, f"JOB_STATE_{name}")
        seen = client.get_custom_job(name=job.name)
        assert seen.update_time is not None
        if seen.end_time is None:
            without.add(name)
    assert without == (set() if always else {"EXPIRED", "PARTIALLY_SUCCEEDED"})


@pytest.mark.parametrize("seconds", [0.0, AN_HOUR])
def test_a_listing_may_lag_behind_a_create(client: JobServiceClient, state: VertexState, seconds: float) -> None:
    """The job can be got by its name all the while."""
    state.behaviour.list_seconds = seconds
    job = state.add(PARENT, parse_custom_job(body()))
    assert [one.name for one in client.list_custom_jobs(parent=PARENT)] == ([] if seconds else [job.name])
    assert client.get_custom_job(name=job.name).name == job.name
    state.behaviour.list_seconds = 0
    assert [one.name for one in client.list_custom_jobs(parent=PARENT)] == [job.name]


# --- waiting and ending


def test_a_job_is_queued_until_there_is_quota(state: VertexState) -> None:
    """Other regions go on; a job that is cancelled meanwhile never runs."""
    state.behaviour.machines = {"us-central1": 1}
    first = made(state, {"workerPoolSpecs": [pool(SLEEP)]})
    reaches(first, "RUNNING")
    second, third = made(state), made(state)
    elsewhere = state.create("projects/p/locations/europe-west4", parse_custom_job(body()))
    reaches(elsewhere, "SUCCEEDED")
    state.cancel(third.name)
    reaches(third, "CANCELLED")
    assert (second.state, third.start_time) == ("JOB_STATE_QUEUED", None)
    state.cancel(first.name)
    reaches(second, "SUCCEEDED")


@pytest.mark.parametrize("end", ["CANCELLED", "FAILED"])
def test_a_flex_start_job_that_never_starts_ends_by_itself(state: VertexState, end: str) -> None:
    """After its max_wait_duration; which state that is nobody documents."""
    state.behaviour.flex_ends = f"JOB_STATE_{end}"
    state.shortages.begin("us-central1", "FLEX_START", Lack.STOCKOUT)
    scheduling = {"strategy": "FLEX_START", "maxWaitDuration": "0.2s"}
    job = made(state, {"scheduling": scheduling})
    reaches(job, end)
    assert (job.start_time, job.stop.is_set()) == (None, False)


def test_a_flex_start_job_waits_without_a_bound(state: VertexState) -> None:
    """0 means for ever; it runs as soon as there are machines."""
    state.shortages.begin("us-central1", "FLEX_START", Lack.STOCKOUT)
    job = made(state, {"scheduling": {"strategy": "FLEX_START", "maxWaitDuration": "0s"}})
    reaches(job, "PENDING")
    state.shortages.end("us-central1", "FLEX_START")
    reaches(job, "SUCCEEDED")


def test_an_attempt_fails_before_its_container_runs(state: VertexState, client: JobServiceClient) -> None:
    """The next one runs."""
    state.behaviour.internal_errors = 1
    first = made(state)
    reaches(first, "FAILED")
    seen = client.get_custom_job(name=first.name)
    assert (seen.error.code, seen.error.message) == (13, "Internal error occurred for the current attempt.")
    assert (first.start_time, first.log) == (None, "")
    reaches(made(state), "SUCCEEDED")


def test_a_cancel_can_take_long(state: VertexState) -> None:
    """The job is CANCELLING meanwhile, also one that nobody runs."""
    state.behaviour.cancelling_seconds = AN_HOUR
    job = made(state, {"workerPoolSpecs": [pool(SLEEP)]})
    idle = state.add(PARENT, parse_custom_job(body()), "JOB_STATE_RUNNING")
    reaches(job, "RUNNING")
    for one in (job, idle):
        state.cancel(one.name)
    assert {job.state, idle.state} == {"JOB_STATE_CANCELLING"}


def test_machines_are_taken_away_after_the_start(url: str, state: VertexState, client: JobServiceClient) -> None:
    """The job fails with STOCKOUT's words and has a start time."""
    job = made(state, {"workerPoolSpecs": [pool(SLEEP)]})
    reaches(job, "RUNNING")
    requests.post(f"{url}/standin/preempt", json={"name": job.name}, timeout=10).raise_for_status()
    seen = client.get_custom_job(name=job.name)
    assert seen.state == JobState.JOB_STATE_FAILED
    assert "Resources are insufficient in region: us-central1" in seen.error.message
    assert seen.start_time is not None


# --- answers to a create


@pytest.mark.parametrize("worked", [True, False])
def test_a_late_create_has_its_effect_though_nobody_waits(url: str, state: VertexState, worked: bool) -> None:
    """Before its answer, or as late as that: then a look-up that comes first finds nothing."""
    state.faults.delay_next(1.0, worked=worked)
    with pytest.raises(requests.Timeout):
        requests.post(url + URL, json=body(), timeout=0.3)
    assert len(state.jobs()) == (1 if worked else 0)
    eventually(lambda: len(state.jobs()) == 1, "the create has its effect", 20)


ERRORS: dict[int, type[Exception]] = {
    400: exceptions.BadRequest,
    401: auth_errors.GoogleAuthError,  # it asks for new credentials, and has none here
    403: exceptions.Forbidden,
    408: exceptions.GoogleAPICallError,
    409: exceptions.Conflict,
    429: exceptions.TooManyRequests,
    500: exceptions.InternalServerError,
    502: exceptions.BadGateway,
    503: exceptions.ServiceUnavailable,
    504: exceptions.GatewayTimeout,
}


@pytest.mark.parametrize("name", REFUSALS)
def test_the_sdk_reads_each_refusal(submit: Callable[..., Any], state: VertexState, url: str, name: str) -> None:
    """The SDK raises its class, with Google's words; the body has the status and no job is made."""
    refusal = REFUSALS[name]
    asked = {"name": name, "times": 2, "location": "us-central1"}
    requests.post(f"{url}/standin/refuse", json=asked, timeout=10).raise_for_status()
    with pytest.raises(ERRORS[refusal.http_status]) as raised:
        submit()
    answer = requests.post(url + URL, json=body(), timeout=10)
    assert answer.status_code == refusal.http_status
    words = str(refusal.error(location="us-central1"))
    if refusal.page:
        assert "text/html" in answer.headers["content-type"]
    else:
        assert words in str(raised.value) or refusal.http_status == 401
        error = answer.json()["error"]
        assert (error["code"], error["status"], error["message"]) == (refusal.http_status, refusal.code, words)
        assert error["details"] == list(refusal.details)
    assert state.jobs() == []


def test_every_error_of_a_job_is_filled_in() -> None:
    """No brace is left, and what has a region names it."""
    texts = {name: job_error(name, "europe-west4") for name in JOB_ERRORS}
    assert not any("{" in text for text in texts.values())
    assert "europe-west4" in texts["pool-exhausted"]


KEY = "projects/p/locations/{}/keyRings/r/cryptoKeys/k"
BOARD = "projects/p/locations/{}/tensorboards/1"


@pytest.mark.parametrize(
    ("spec", "changes", "field"),
    [
        ({"serviceAccount": "trainer"}, {}, "job_spec.service_account"),
        ({"serviceAccount": "serviceAccount:t@p.iam.gserviceaccount.com"}, {}, "job_spec.service_account"),
        ({"network": "default"}, {}, "job_spec.network"),
        ({"network": "projects/my-project/global/networks/n"}, {}, "job_spec.network"),
        ({"network": "https://www.googleapis.com/compute/v1/projects/1/global/networks/n"}, {}, "job_spec.network"),
        ({"tensorboard": "1"}, {}, "job_spec.tensorboard"),
        ({"tensorboard": BOARD.format("europe-west4")}, {}, "job_spec.tensorboard"),
        ({"persistentResourceId": "projects/p/locations/l/persistentResources/r"}, {}, "job_spec.persistent"),
        ({"reservedIpRanges": ["10.0.0.0/8"]}, {}, "job_spec.reserved_ip_ranges[0]"),
        ({"baseOutputDirectory": {"outputUriPrefix": "/tmp/x"}}, {}, "job_spec.base_output_directory"),  # noqa: S108
        ({}, {"encryptionSpec": {"kmsKeyName": "k"}}, "encryption_spec.kms_key_name"),
        ({}, {"encryptionSpec": {"kmsKeyName": KEY.format("europe-west4")}}, "encryption_spec.kms_key_name"),
        ({"workerPoolSpecs": [pool(None, "local/noinit", **{"1X": ""})]}, {}, "container_spec.env[0].name"),
        ({"workerPoolSpecs": [pool(None, "local/noinit", **{"A-B": ""})]}, {}, "container_spec.env[0].name"),
        ({"workerPoolSpecs": [pool() | {"machine_spec": {}}]}, {}, "machine_spec.machine_type"),
        ({"workerPoolSpecs": [pool() | {"machine_spec": {"machine_type": "N1"}}]}, {}, "machine_spec.machine_type"),
        (
            {"workerPoolSpecs": [pool() | {"machine_spec": {"machine_type": "a2-x", "accelerator_count": 1}}]},
            {},
            "machine_spec.accelerator_type",
        ),
        ({"workerPoolSpecs": [pool() | {"replica_count": 0}]}, {}, "worker_pool_specs[0].replica_count"),
        ({"workerPoolSpecs": [pool(), pool() | {"replica_count": 0}]}, {}, "worker_pool_specs[1].replica_count"),
        ({"scheduling": {"timeout": "-1s"}}, {}, "job_spec.scheduling.timeout"),
        ({"scheduling": {"strategy": "FLEX_START", "timeout": "604801s"}}, {}, "job_spec.scheduling.timeout"),
    ],
)
def test_a_value_in_a_wrong_form_is_refused(spec: dict[str, Any], changes: dict[str, Any], field: str) -> None:
    """The 400 names its path, and no job is made."""
    state = VertexState()
    with pytest.raises(ApiError) as refused:
        made(state, spec, **changes)
    assert (refused.value.http_status, refused.value.code) == (400, "INVALID_ARGUMENT")
    assert any(field in one["field"] for one in refused.value.details[0]["fieldViolations"])
    assert state.jobs() == []


def test_values_in_the_documented_forms_are_taken() -> None:
    """All of them in one job."""
    spec = {
        "serviceAccount": "t-1@p.iam.gserviceaccount.com",
        "network": "projects/12345/global/networks/my-vpc",
        "tensorboard": BOARD.format("us-central1"),
        "persistentResourceId": "pool-1",
        "reservedIpRanges": ["range-1"],
        "baseOutputDirectory": {"outputUriPrefix": "gs://bucket/folder"},
    }
    state = VertexState()
    made(state, spec, encryptionSpec={"kmsKeyName": KEY.format("us-central1")})
    assert len(state.jobs()) == 1


@pytest.mark.parametrize(
    ("location", "status", "words"),
    [
        ("us-central1-a", 403, "Permission denied on 'locations/us-central1-a' (or it may not exist)."),
        ("US-Central1", 403, "Permission denied on 'locations/US-Central1'"),
        ("global", 400, "not supported in location global"),
        ("us", 400, "not supported in location us"),
        ("eu", 400, "not supported in location eu"),
    ],
)
def test_custom_jobs_exist_in_regions_only(url: str, location: str, status: int, words: str) -> None:
    """A zone is no location."""
    answer = requests.post(f"{url}/v1/projects/p/locations/{location}/customJobs", json=body(), timeout=10)
    assert (answer.status_code, words in answer.json()["error"]["message"]) == (status, True)


def test_a_strange_project_or_account_is_refused(state: VertexState) -> None:
    """Once the stand-in knows which there are."""
    state.behaviour.change({"projects": ["p"], "service_accounts": ["t@p.iam.gserviceaccount.com"]})
    made(state, {"serviceAccount": "t@p.iam.gserviceaccount.com"})
    with pytest.raises(ApiError, match=r"do not have permission to act as service_account: o@p\.iam"):
        made(state, {"serviceAccount": "o@p.iam.gserviceaccount.com"})
    with pytest.raises(ApiError) as refused:
        state.create("projects/q/locations/us-central1", parse_custom_job(body()))
    assert refused.value.details[0]["reason"] == "CONSUMER_INVALID"


# --- $(NAME)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(A)", "1"),
        ("x$(A)$(B)y", "x12y"),
        ("$(NONE)", "$(NONE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$", "$"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$()", "$()"),
    ],
)
def test_a_reference_is_expanded_as_kubernetes_does(text: str, result: str) -> None:
    """`$$` is the escape; what is not known stays."""
    assert expanded(text, {"A": "1", "B": "2"}) == result


def test_a_variable_sees_those_before_it() -> None:
    """It sees the service's own variables, too."""
    variables = [("A", "$(B)"), ("B", "$(HOME)"), ("C", "$(B)")]
    assert expanded_variables(variables, {"HOME": "/h"}) == {"A": "$(B)", "B": "/h", "C": "/h"}


@pytest.mark.parametrize(("expands", "output"), [(True, "v v\n"), (False, "$(PLAIN) $(PLAIN)\n")])
def test_a_container_is_started_with_references_expanded(
    url: str, state: VertexState, submit: Callable[..., Any], expands: bool, output: str
) -> None:
    """In its command and in its variables, or not at all."""
    state.behaviour.expands = expands
    command = ["python", "-c", "import os, sys; print(sys.argv[1], os.environ['COPY'])", "$(PLAIN)"]
    spec = pool(command, PLAIN="v", COPY="$(PLAIN)")
    job = aiplatform.CustomJob(display_name="job", worker_pool_specs=[spec])
    job.submit()
    reaches(state.jobs()[0], "SUCCEEDED")
    assert printed(url, job) == output


# --- controls


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("behaviour", {"nope": 1}),
        ("refuse", {"name": "nope"}),
        ("shortage", {"location": "us-central1", "strategy": "SPOT", "kind": "nope"}),
        ("delay", {}),
    ],
)
def test_a_wrong_control_is_refused(url: str, path: str, asked: dict[str, Any]) -> None:
    """It says what is known."""
    assert requests.post(f"{url}/standin/{path}", json=asked, timeout=10).status_code == 400


def test_a_process_can_be_changed_from_outside(url: str, state: VertexState) -> None:
    """Each control has its effect on the state."""

    def control(control: str, **asked: Any) -> Any:
        answer = requests.post(f"{url}/standin/{control}", json=asked, timeout=10)
        answer.raise_for_status()
        return answer.json()

    assert control("behaviour", error_seconds=5, machines={"us-central1": 3})["error_seconds"] == 5
    job = state.add(PARENT, parse_custom_job(body()))
    control("state", name=job.name, state="JOB_STATE_PAUSED")
    assert (job.state, state.behaviour.machines) == ("JOB_STATE_PAUSED", {"us-central1": 3})
    control("shortage", location="us-central1", strategy="STANDARD", kind="amount")
    assert requests.post(url + URL, json=body(), timeout=10).status_code == 429
    control("shortage", location="us-central1", strategy="STANDARD")
    control("lose")
    with pytest.raises(requests.RequestException):
        requests.post(url + URL, json=body(), timeout=10).json()
    assert len(state.jobs()) == 2
    control("forget", name=job.name)
    assert len(state.jobs()) == 1


# --- gcloud


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
@pytest.mark.slow
def test_gcloud_streams_the_logs_of_a_job(url: str, state: VertexState, tmp_path: Path) -> None:
    """Its filter has `<`, `>`, AND and OR; it reads to the end of a job's log."""
    state.behaviour.list_seconds = 0
    job = made(state, {"workerPoolSpecs": [pool(["sh", "-c", "echo one; echo two"])]})
    reaches(job, "SUCCEEDED")
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
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING": f"{url}/",
    }
    command = ["gcloud", "ai", "custom-jobs", "stream-logs", job.name, "--region=us-central1", "--polling-interval=1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[-1] for line in done.stdout.splitlines() if line.strip()] == ["one", "two"]


def test_entries_are_filtered_as_gcloud_asks(url: str, state: VertexState) -> None:
    """Lower and upper bounds, and the insertId within a moment; a page ends with a token."""
    job = made(state, {"workerPoolSpecs": [pool(["sh", "-c", "echo one; echo two; echo three"])]})
    reaches(job, "SUCCEEDED")

    def entries(bound: str, **more: Any) -> dict[str, Any]:
        asked = {"resourceNames": ["projects/p"], "filter": f'resource.type="ml_job" AND {bound}', **more}
        answer = requests.post(f"{url}/v2/entries:list", json=asked, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    everything = entries('timestamp<"2100-01-01T00:00:00Z"')["entries"]
    assert [one["jsonPayload"]["message"] for one in everything] == ["one", "two", "three"]
    first = everything[0]
    moment, name = first["timestamp"], first["insertId"]
    later = f'((timestamp="{moment}" AND insertId>"{name}") OR timestamp>"{moment}")'
    assert entries(later)["entries"] == everything[1:]
    assert entries(f'timestamp<"{moment}"') == {}
    assert entries("NOT severity=ERROR AND jsonPayload.message:TWO")["entries"] == everything[1:2]
    page = entries("severity=INFO", pageSize=2)
    assert page["entries"] == everything[:2]
    assert entries("severity=INFO", pageSize=2, pageToken=page["nextPageToken"]) == {"entries": everything[2:]}
