"""Each handler passes each of its settings on: a setting without effect would be found by nobody."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from functions.poll.drain import PollLimits
from functions.poll.handler import build_poll
from functions.status.decisions import StatusTimings
from functions.status.handler import build_status
from functions.submit.handler import build_submit
from functions.submit.submit import SubmitTimings
from shared.adapters.wandb import WandbKey
from shared.config.ladder import Ladder
from shared.config.policy import AdmissionPolicy
from shared.config.requests import RequestLimits
from shared.config.settings import PollSettings, Settings, StatusSettings, SubmitSettings, load
from shared.core.building import GitCredential
from shared.core.cadence import Cadence, Mode
from shared.core.launch import Backoff
from shared.core.message import Queue
from shared.runspec.prepare import Preparation
from shared.runspec.scheduler import SchedulerDefaults

KEY = "k" * 40
IN_THE_ENTRY = {"poll_budget_seconds", "submit_budget_seconds", "status_budget_seconds"}  # each call begins a budget
IN_A_PROPERTY = {  # read by `building`, `context_store`, `reserved`, `request_limits`
    *("builder", "build_destination", "build_context_store", "contexts_bucket", "sources_bucket"),
    *("entity", "queues", "requests", "wake_up_topic"),
}
COMMON = {
    "WANDB_API_KEY": KEY,
    "GOOGLE_CLOUD_PROJECT": "p",
    "VERTEX_LOCATION": "r1",
    "LEDGER_BUCKET": "ledger",
    "LAUNCH_AGENT_NAME": "ours",
}


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    """A handler configures the logs of its process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """Return a function that sets variables, and reads a function's settings."""
    monkeypatch.chdir(tmp_path)

    def read(kind: type[Settings], **variables: str) -> Any:
        for name, value in {**COMMON, **variables}.items():
            monkeypatch.setenv(name, value)
        return load(kind)

    return read


class Read:
    """Settings that note which of them are read."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        """Return a setting."""
        self.names.add(name)
        return getattr(self._settings, name)


def seconds(number: float) -> timedelta:
    """Return a time."""
    return timedelta(seconds=number)


POLL = {
    "LAUNCH_ENTITY": "team",
    "LAUNCH_QUEUES": "a,b",
    "LAUNCH_MAX_JOBS": "7",
    "LAUNCH_MAX_SCHEDULERS": "8",
    "LAUNCH_MAX_QUEUED": "9",
    "POLL_CONNECTIONS": "10",
    "POLL_LEASE_SECONDS": "1001",
    "OVERDUE_SECONDS": "1002",
    "POLL_WINDOW_SECONDS": "1003",
    "LAUNCH_CADENCE": "always",
    "LAUNCH_WARM_SECONDS": "1004",
    "LAUNCH_ROUND_SECONDS": "1005",
    "LAUNCH_SLOWEST_ROUND_SECONDS": "1006",
    "WANDB_BASE_URL": "https://wandb.example.com",
}
SUBMIT = {
    "SUBMIT_LEASE_SECONDS": "1001",
    "SUBMIT_SETTLE_SECONDS": "1002",
    "SUBMIT_LOOK_AGAIN_SECONDS": "1003",
    "FIRST_RETRY_SECONDS": "1004",
    "LAUNCH_MAX_FAILURES": "7",
    "LAUNCH_MAX_REQUESTS": "8",
    "LAUNCH_POLICY": '{"regions": ["r1"]}',
    "LAUNCH_LADDER": '{"strategies": ["SPOT"]}',
    "LAUNCH_SCHEDULER_IMAGE": "image",
    "LAUNCH_SCHEDULER_MACHINE": "machine",
    "LAUNCH_KEY_SECRET": "projects/p/secrets/s",
    "LAUNCH_BASE_IMAGE": "python:3.12",
    "LAUNCH_BUILDER": "cloud-build",
    "LAUNCH_BUILD_DESTINATION": "r1-docker.pkg.dev/p/jobs/code",
    "LAUNCH_BUILD_CONTEXT_STORE": "gs://contexts",
    "LAUNCH_SECURE_MODE": "true",
    "LAUNCH_GIT_CREDENTIALS": '{"github.com": "projects/p/secrets/git"}',
    "LAUNCH_ENTITY": "team",
    "LAUNCH_QUEUES": "a,b",
    "LAUNCH_REQUESTS": '{"sources": ["ci"]}',
    "SOURCES_BUCKET": "p-ours-sources",
    "CONTEXTS_BUCKET": "p-ours-contexts",
    "LAUNCH_MACROS": "TEAM",
    "TEAM": "cats",
}
STATUS = {
    "LAUNCH_STOPPED_RUN_TIMEOUT": "1001",
    "WANDB_LAUNCH_START_TIMEOUT": "1002",
    "INIT_GRACE_SECONDS": "1003",
    "ERROR_GRACE_SECONDS": "1004",
    "LAUNCH_MAX_INTERNAL_ERRORS": "7",
    "STUCK_SECONDS": "1005",
    "OVERDUE_SECONDS": "1006",
    "LISTING_LAG_SECONDS": "1007",
    "FIRST_RETRY_SECONDS": "1008",
    "LAUNCH_CADENCE": "never",
    "LAUNCH_WARM_SECONDS": "1009",
    "LAUNCH_ROUND_SECONDS": "1010",
    "LAUNCH_WATCH_SECONDS": "1011",
    "LAUNCH_SLOWEST_ROUND_SECONDS": "1012",
    "STATUS_WINDOW_SECONDS": "1013",
    "LAUNCH_YOUNG_SECONDS": "1014",
    "STATUS_BUDGET_SECONDS": "1015",
    "LAUNCH_WAKE_UP_TOPIC": "ours-wake-up",
}


def test_polls_limits_are_its_settings(given: Any) -> None:
    """Each by its own name."""
    poll = build_poll.__wrapped__(given(PollSettings, **POLL))
    assert poll.limits == PollLimits(
        queues=(Queue(entity="team", name="a"), Queue(entity="team", name="b")),
        max_jobs=7,
        max_schedulers=8,
        max_queued=9,
        connections=10,
        lease=seconds(1001),
        overdue_after=seconds(1002),
        base_url="https://wandb.example.com",
        agent_config={"entity": "team", "queues": ["a", "b"], "max_jobs": 7},
    )
    assert poll.cadence == Cadence(Mode.ALWAYS, warm=seconds(1004), fast=1005, slowest=1006, window=1003)


def test_submits_timings_are_its_settings(given: Any) -> None:
    """Each by its own name."""
    submit = build_submit.__wrapped__(given(SubmitSettings, **SUBMIT))
    assert submit.timings == SubmitTimings(
        lease=seconds(1001),
        settle=seconds(1002),
        look_again=seconds(1003),
        max_failures=7,
        max_requests=8,
        backoff=Backoff(first=seconds(1004)),
    )


def test_submits_preparation_has_its_settings(given: Any) -> None:
    """Policy, ladder, scheduler, the check of the key, and the defaults of a deployment."""
    prepare: Any = build_submit.__wrapped__(given(SubmitSettings, **SUBMIT)).prepare
    preparation = prepare.__self__
    assert isinstance(preparation, Preparation)
    assert preparation.policy == AdmissionPolicy(regions=("r1",))
    assert preparation.requests == RequestLimits(sources=("ci",), queues=("team/a", "team/b"), entities=("team",))
    assert preparation.ladder == Ladder(strategies=("SPOT",))
    assert preparation.scheduler == SchedulerDefaults("image", "machine")
    assert isinstance(preparation.check_key.__self__, WandbKey)  # type: ignore[attr-defined]
    defaults = preparation.defaults
    assert (defaults.project, defaults.location, defaults.agent, defaults.api_key) == ("p", "r1", "ours", KEY)
    assert (defaults.key_secret, defaults.base_image) == ("projects/p/secrets/s", "python:3.12")
    assert (defaults.destination, defaults.context_store) == ("r1-docker.pkg.dev/p/jobs/code", "gs://contexts")
    assert (defaults.secure_mode, defaults.macros) == (True, {"TEAM": "cats"})
    git = GitCredential("github.com", "projects/p/secrets/git/versions/latest")
    assert defaults.git_credentials == (git,)
    assert set(defaults.reserved.own) >= {"ledger", "p-ours-sources", "p-ours-contexts"}
    assert defaults.builder_problem == ""


def test_a_builder_that_cannot_build_reaches_submits_preparation(given: Any) -> None:
    """With the reason, and without a destination; submit is built all the same."""
    broken = {**SUBMIT, "LAUNCH_BUILD_DESTINATION": "gcr.io/P/I"}
    prepare: Any = build_submit.__wrapped__(given(SubmitSettings, **broken)).prepare
    defaults = prepare.__self__.defaults
    assert defaults.destination == ""
    assert "the destination of its images is 'gcr.io/P/I'" in defaults.builder_problem


def test_status_timings_are_its_settings(given: Any) -> None:
    """Each by its own name; it always lists the deployment's region."""
    watch = build_status.__wrapped__(given(StatusSettings, **STATUS))
    cadence = Cadence(Mode.NEVER, seconds(1009), fast=1010, watch=1011, slowest=1012, window=1013)
    assert (watch.cadence, watch.tick) == (cadence, 1015)
    assert vars(watch.wake_ups)["_topic"] == "projects/p/topics/ours-wake-up"
    status = watch.status
    assert status.young == seconds(1014)
    assert status.timings == StatusTimings(
        stopped_run_timeout=seconds(1001),
        start_timeout=seconds(1002),
        init_grace=seconds(1003),
        error_grace=seconds(1004),
        max_broken=7,
        stuck_after=seconds(1005),
        overdue_after=seconds(1006),
        listing_lag=seconds(1007),
        backoff=Backoff(first=seconds(1008)),
    )
    assert status.parents == ("projects/p/locations/r1",)
    assert status.logs
    assert build_status.__wrapped__(given(StatusSettings, LAUNCH_LOG_EXCERPT="false")).status.logs is None


@pytest.mark.parametrize(
    ("kind", "build", "variables"),
    [(PollSettings, build_poll, POLL), (SubmitSettings, build_submit, SUBMIT), (StatusSettings, build_status, STATUS)],
    ids=["poll", "submit", "status"],
)
def test_every_setting_of_a_function_is_read(
    given: Any, kind: type[Settings], build: Any, variables: dict[str, str]
) -> None:
    """A new setting that its handler does not pass on fails here."""
    read = Read(given(kind, **variables))
    build.__wrapped__(read)
    own = set(kind.model_fields) - set(Settings.model_fields) - IN_THE_ENTRY - IN_A_PROPERTY
    assert own - read.names == set()


def test_a_poll_has_a_connection_for_each_of_its_threads(given: Any) -> None:
    """So that no pop waits for another."""
    poll: Any = build_poll.__wrapped__(given(PollSettings, **POLL))
    session = poll.run_queue._graphql._session.get()  # noqa: SLF001
    assert session.get_adapter("https://")._pool_maxsize == 10  # noqa: SLF001


def test_without_a_topic_status_announces_nothing(given: Any) -> None:
    """Events are an option."""
    assert build_status.__wrapped__(given(StatusSettings, **STATUS)).status.events is None
