"""Submit handles a message: at most one CustomJob, and every step recorded."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.submit.submit import SubmitTimings
from shared.config.ladder import Ladder
from shared.core.building import Recipe
from shared.core.errors import Capacity, Denied, KeyRefused, LaunchError, OutcomeUnknown, Reject, Retry
from shared.core.jobsource import JobSource, Kind
from shared.core.launch import Launch, Outcome, State
from shared.core.message import Request, Ticket
from shared.core.ports import CustomJobCall
from shared.core.queueconfig import QueueConfig
from shared.core.shortage import Shortage
from shared.runspec.scheduler import SchedulerDefaults
from tests.fakes import InMemoryLedger
from tests.fakes.clock import PLENTY
from tests.unit.submitting import QUEUE, Scene, labels


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return Scene()


def test_a_ticket_becomes_one_job_however_often_it_comes(scene: Scene) -> None:
    """The second and third delivery find nothing to do."""
    ticket = scene.open()
    assert [scene.deliver(ticket) for _ in range(3)] == ["launch.submitted"] + ["launch.nothing_to_do"] * 2
    entry = scene.launch(ticket).entry
    assert (entry.state, entry.attempt, entry.job_name) == (State.SUBMITTED, 1, next(iter(scene.vertex.jobs)))
    assert len(scene.vertex.jobs) == 1


def test_a_ticket_for_nothing_is_no_error(scene: Scene) -> None:
    """A launch that was withdrawn or closed long ago is left alone."""
    assert scene.deliver(Ticket(launch_key="k" + "a" * 26)) == "launch.unknown"


def test_a_request_is_opened_once_and_launched_once(scene: Scene) -> None:
    """The publisher's own key is the identity, together with its source."""
    first = Request(source="ci", idempotency_key="42", run_spec={"entity": "e", "project": "p"})
    other = Request(source="nightly", idempotency_key="42", run_spec={"entity": "e", "project": "p"})
    assert [scene.deliver(m) for m in (first, first, other)] == [
        "launch.submitted",
        "launch.nothing_to_do",
        "launch.submitted",
    ]
    assert len(scene.vertex.jobs) == 2


def test_a_closed_launch_is_never_launched_again(scene: Scene) -> None:
    """A late duplicate opens the record, finds `closed/`, and takes it away again."""
    request = Request(source="ci", idempotency_key="42", run_spec={"entity": "e", "project": "p"})
    scene.deliver(request)
    [launch] = scene.ledger.open.values()
    scene.ledger.close(launch.end(Outcome.SUCCEEDED, "", scene.clock()))
    assert scene.deliver(request) == "launch.late_duplicate"
    assert not scene.ledger.open
    assert len(scene.vertex.jobs) == 1


def test_messages_out_of_order_and_a_week_late_are_one_launch(scene: Scene) -> None:
    """A ticket before its request, each of them twice, and all of them once more when all is over."""
    request = Request(source="ci", idempotency_key="42", run_spec={"entity": "e", "project": "p"})
    ticket = Ticket(launch_key=request.launch_key)
    assert [scene.deliver(message) for message in (ticket, request, ticket, request)] == [
        "launch.unknown",
        "launch.submitted",
        "launch.nothing_to_do",
        "launch.nothing_to_do",
    ]
    scene.ledger.close(scene.launch(ticket).end(Outcome.SUCCEEDED, "", scene.clock()))
    scene.clock.pass_(7 * 86_400)
    assert [scene.deliver(message) for message in (ticket, request, ticket)] == [
        "launch.unknown",
        "launch.late_duplicate",
        "launch.unknown",
    ]
    assert (len(scene.vertex.jobs), scene.ledger.open) == (1, {})


@pytest.mark.parametrize("lost", [True, False], ids=["created", "not created"])
def test_a_create_without_an_answer_is_looked_up_before_another(scene: Scene, lost: bool) -> None:
    """Nothing is sent again until the claim's end, and then only after a look by label."""
    ticket = scene.open()
    scene.vertex.next_errors, scene.vertex.lost = [OutcomeUnknown("timed out")], lost
    assert scene.deliver(ticket) == "launch.outcome_unknown"
    assert scene.deliver(ticket) == "launch.nothing_to_do"
    scene.clock.pass_(SubmitTimings().settle.total_seconds() + 1)
    if lost:
        assert scene.deliver(ticket) == "launch.found"
    else:
        assert scene.deliver(ticket) == "launch.looked"
        scene.clock.pass_(SubmitTimings().look_again.total_seconds() + 1)
        assert scene.deliver(ticket) == "launch.retry"
        scene.clock.pass_(60)
        assert scene.deliver(ticket) == "launch.submitted"
        assert scene.launch(ticket).entry.attempt == 2
    assert len(scene.vertex.jobs) == 1


@pytest.mark.parametrize("created", [True, False])
def test_a_submit_that_died_after_its_claim_is_taken_over(scene: Scene, created: bool) -> None:
    """Dead before or after create: one job in the end."""
    ticket = scene.open()
    found = scene.launch(ticket)
    lease = scene.clock() + SubmitTimings().lease
    claim = found.move(State.SUBMITTING, attempt=1, lease_until=lease)
    claim = scene.ledger.write(replace(claim, entry=replace(claim.entry, parent="projects/p/locations/us-central1")))
    if created:
        scene.vertex.create(CustomJobCall("p", "us-central1", {"labels": labels(claim)}, {}), PLENTY)
    assert scene.deliver(ticket) == "launch.nothing_to_do"
    scene.clock.pass_(SubmitTimings().lease.total_seconds() + 1)
    events = []
    for _ in range(3):
        events.append(scene.deliver(ticket))
        scene.clock.pass_(SubmitTimings().look_again.total_seconds() + 1)
    taken_over = ["launch.found", "launch.nothing_to_do", "launch.nothing_to_do"]
    assert events == (taken_over if created else ["launch.looked", "launch.retry", "launch.submitted"])
    assert len(scene.vertex.jobs) == 1


def test_an_unreachable_vertex_leaves_a_takeover_undecided(scene: Scene) -> None:
    """Without a look-up there is no create: the claim stays."""
    ticket = scene.open()
    scene.vertex.next_errors, scene.vertex.lost = [OutcomeUnknown("timed out")], True
    scene.deliver(ticket)
    for _ in range(20):
        scene.clock.pass_(SubmitTimings().backoff.longest.total_seconds() + 1)
        scene.vertex.unreachable = Retry("503")
        assert scene.deliver(ticket) == "launch.outcome_unknown"
    scene.vertex.unreachable = None
    scene.clock.pass_(SubmitTimings().backoff.longest.total_seconds() + 1)
    assert scene.deliver(ticket) == "launch.found"


def test_a_refused_spec_ends_the_launch_with_words_for_its_author(scene: Scene) -> None:
    """A Reject, ours or Vertex's, is no matter for a retry."""
    ours, theirs = scene.open("a"), scene.open("b")
    scene.refusal = Reject("spec.staging_bucket", "is empty", "Give a bucket.")
    assert scene.deliver(ours) == "launch.rejected"
    scene.refusal = None
    scene.vertex.next_errors = [Reject("Vertex AI", "refuses the job: no such machine")]
    assert scene.deliver(theirs) == "launch.rejected"
    launch = scene.launch(ours)
    assert (launch.entry.state, launch.entry.outcome, launch.entry.report_owed) == (State.ENDED, Outcome.REJECTED, True)
    assert launch.reason == "spec.staging_bucket: is empty. Give a bucket."
    assert not scene.vertex.jobs


def test_no_capacity_waits_in_the_ledger_for_as_long_as_it_takes(scene: Scene) -> None:
    """The wait grows up to its longest, its author is notified once, and attempts do not run out."""
    ticket = scene.open()
    waits = []
    for _ in range(100):
        scene.vertex.next_errors = [Capacity("Vertex AI has no capacity: quota")]
        assert scene.deliver(ticket) == "launch.waiting"
        entry = scene.launch(ticket).entry
        assert entry.retry_at
        waits.append((entry.retry_at - scene.clock()).total_seconds())
        assert scene.deliver(ticket) == "launch.nothing_to_do"
        scene.clock.now = entry.retry_at
    assert waits[:6] == [15, 30, 60, 120, 240, 480]
    assert waits[-1] == 600
    assert scene.launch(ticket).entry.notice == "Waiting: Vertex AI has no capacity: quota"
    assert scene.deliver(ticket) == "launch.submitted"


@pytest.mark.parametrize(
    ("shortage", "longest"), [(Shortage.RATE, 60), (Shortage.AMOUNT, 600), (Shortage.STOCKOUT, 600)]
)
def test_a_quota_of_calls_waits_briefly_and_a_lack_of_machines_long(
    scene: Scene, shortage: Shortage, longest: int
) -> None:
    """The listing shows the reason until a job exists: poll reads it."""
    ticket = scene.open()
    for _ in range(10):
        scene.vertex.next_errors = [Capacity("no room", shortage)]
        scene.deliver(ticket)
        entry = scene.launch(ticket).entry
        assert entry.short_of is shortage
        assert entry.holds_queue is (shortage is not Shortage.RATE)
        assert entry.retry_at
        wait, scene.clock.now = entry.retry_at - scene.clock(), entry.retry_at
    assert wait.total_seconds() == longest
    scene.deliver(ticket)
    entry = scene.launch(ticket).entry
    assert (entry.short_of, entry.holds_queue) == (None, False)


def test_google_says_how_long_to_wait_at_least(scene: Scene) -> None:
    """RetryInfo, where it asks for more than the usual wait."""
    ticket = scene.open()
    for at_least, waited in ((5, 15), (90, 90)):
        scene.vertex.next_errors = [Capacity("no room", Shortage.RATE, timedelta(seconds=at_least))]
        scene.deliver(ticket)
        retry_at = scene.launch(ticket).entry.retry_at
        assert retry_at == scene.clock() + timedelta(seconds=waited)
        scene.clock.pass_(waited)


def test_a_quota_of_zero_is_not_waited_for(scene: Scene) -> None:
    """Its author reads which quota it is, and what to do."""
    ticket = scene.open()
    scene.vertex.next_errors = [Capacity("Vertex AI has no capacity: the quota x/cpus is 0", Shortage.ZERO)]
    assert scene.deliver(ticket) == "launch.rejected"
    launch = scene.launch(ticket)
    assert (launch.entry.outcome, launch.entry.report_owed) == (Outcome.REJECTED, True)
    assert "the quota x/cpus is 0. Ask Google for a larger quota" in launch.reason


LADDER = Ladder.model_validate({"regions": [{"region": "europe-west4", "staging_bucket": "gs://team-eu"}]})


@pytest.fixture
def ladder(scene: Scene) -> Scene:
    """Return a scene with a ladder of two regions."""
    scene.prepare_with(ladder=LADDER)
    return scene


def test_a_launch_without_room_is_tried_in_the_next_place(ladder: Scene) -> None:
    """Its author reads where it goes and, when it is there, why; a claim that ended is looked up where it was."""
    ticket = ladder.open()
    ladder.vertex.next_errors = [Capacity("no T4 in us-central1", Shortage.STOCKOUT)]
    assert ladder.deliver(ticket) == "launch.waiting"
    assert ladder.launch(ticket).entry.notice == "Waiting: no T4 in us-central1; next: europe-west4 with STANDARD"
    ladder.clock.pass_(15)
    ladder.vertex.next_errors, ladder.vertex.lost = [OutcomeUnknown("timed out")], True
    ladder.deliver(ticket)
    assert ladder.launch(ticket).entry.parent == "projects/p/locations/europe-west4"
    ladder.clock.pass_(SubmitTimings().settle.total_seconds() + 1)
    assert ladder.deliver(ticket) == "launch.found"
    entry = ladder.launch(ticket).entry
    assert entry.job_name.startswith("projects/p/locations/europe-west4/")
    assert entry.notice.startswith("Launched in europe-west4 with STANDARD, because: no T4 in us-central1; Launched ")
    assert len(ladder.vertex.jobs) == 1


def test_a_job_that_is_refused_in_another_place_is_not_wrong(ladder: Scene) -> None:
    """Only the ladder has brought it there: it goes on without that place; in its own a refusal is the end."""
    ticket = ladder.open()
    ladder.vertex.next_errors = [Capacity("full", Shortage.AMOUNT), Reject("Vertex AI", "no such machine type there")]
    assert ladder.deliver(ticket) == "launch.waiting"
    ladder.clock.pass_(15)
    assert ladder.deliver(ticket) == "launch.waiting"
    assert "no such machine type there" in ladder.launch(ticket).entry.notice
    ladder.clock.pass_(15)
    ladder.vertex.next_errors = [Capacity("full", Shortage.AMOUNT)]
    ladder.deliver(ticket)
    assert "next" not in ladder.launch(ticket).entry.notice
    ladder.clock.pass_(30)
    ladder.vertex.next_errors = [Reject("Vertex AI", "refuses the job")]
    assert ladder.deliver(ticket) == "launch.rejected"


def test_a_quota_of_zero_sends_it_on_and_everywhere_ends_it(ladder: Scene) -> None:
    """Its author reads of each place."""
    ticket = ladder.open()
    ladder.vertex.next_errors = [
        Capacity("the quota a is 0", Shortage.ZERO),
        Capacity("the quota b is 0", Shortage.ZERO),
    ]
    assert ladder.deliver(ticket) == "launch.waiting"
    ladder.clock.pass_(15)
    assert ladder.deliver(ticket) == "launch.rejected"
    assert "the quota b is 0 (as in us-central1 with STANDARD)" in ladder.launch(ticket).reason


@pytest.mark.parametrize("error", [Retry("token service down"), Denied("needs customJobs.create")])
def test_passing_failures_are_bounded(scene: Scene, error: LaunchError) -> None:
    """In the end the author reads the last reason."""
    ticket = scene.open()
    events = []
    for _ in range(SubmitTimings().max_failures):
        scene.vertex.next_errors = [error]
        events.append(scene.deliver(ticket))
        scene.clock.pass_(3600)
    assert events[-1] == "launch.gave_up"
    assert set(events[:-1]) == {"launch.denied" if isinstance(error, Denied) else "launch.retry"}
    launch = scene.launch(ticket)
    assert launch.entry.outcome is Outcome.FAILED
    assert str(error) in launch.reason


def test_a_key_that_wandb_does_not_take_fails_no_launch(scene: Scene) -> None:
    """Not over a weekend: operators are notified at each attempt, and with a new key the launch goes on."""
    job = JobSource("team/cats/train:v1", Kind.IMAGE, image="img:1")
    scene.jobs.jobs, scene.jobs.unreachable = {job.path: job}, KeyRefused("W&B answers 401: check the API key")
    ticket, began = scene.open(job=job.path), scene.clock()
    while scene.clock() < began + timedelta(days=3):
        assert scene.deliver(ticket) == "launch.denied"
        entry = scene.launch(ticket).entry
        assert entry.retry_at
        assert entry.retry_at - scene.clock() <= SubmitTimings().backoff.longest
        scene.clock.now = entry.retry_at
    assert (entry.state, entry.failures, scene.vertex.jobs) == (State.QUEUED, 0, {})
    assert entry.notice == "Waiting: W&B answers 401: check the API key"
    scene.jobs.unreachable = None
    assert scene.deliver(ticket) == "launch.submitted"


def test_no_job_is_given_a_key_that_wandb_does_not_take(scene: Scene) -> None:
    """It would fail as soon as it calls wandb.init; one that brings a key of its own is launched."""
    refused = [KeyRefused("W&B answers 401")]

    def check() -> None:
        if refused:
            raise refused[0]

    scene.prepare_with(check_key=check)
    ticket = scene.open()
    assert scene.deliver(ticket) == "launch.denied"
    assert (scene.launch(ticket).entry.state, scene.vertex.jobs) == (State.QUEUED, {})
    assert scene.deliver(scene.open("item-2", _wandb_api_key="own")) == "launch.submitted"
    refused.clear()
    scene.clock.pass_(60)
    assert scene.deliver(ticket) == "launch.submitted"


def test_warnings_of_the_rendering_reach_the_author(scene: Scene) -> None:
    """They wait in the ledger until status shows them."""
    scene.warnings = ("service_account belongs under run",)
    ticket = scene.open()
    scene.deliver(ticket)
    assert scene.launch(ticket).entry.notice == "service_account belongs under run"
    assert not scene.launch(ticket).entry.noticed


def test_a_ledger_that_cannot_be_reached_brings_the_message_again(scene: Scene) -> None:
    """Only this is raised."""

    class Down(InMemoryLedger):
        def read(self, key: str) -> Launch | None:
            raise Retry("bucket down")

    submit = replace(scene.submit, ledger=Down())
    with pytest.raises(Retry):
        submit.launch(Ticket(launch_key="k" + "a" * 26), PLENTY)


def test_two_submits_at_the_same_time_create_one_job(scene: Scene) -> None:
    """The one whose claim comes second stops."""
    ticket = scene.open()
    quicker = scene.submit

    class Slow(InMemoryLedger):
        """Lets the other one go first, between this one's read and its write."""

        def read(self, key: str) -> Launch | None:
            found = scene.ledger.read(key)
            quicker.launch(ticket, PLENTY)
            return found

        def write(self, launch: Launch) -> Launch:
            return scene.ledger.write(launch)

    assert replace(scene.submit, ledger=Slow()).launch(ticket, PLENTY) == "launch.claimed_elsewhere"
    assert len(scene.vertex.jobs) == 1


def test_a_claim_that_ended_under_its_holder_is_not_overwritten(scene: Scene) -> None:
    """The next claim finds the job by its labels."""
    ticket = scene.open()

    class Late(InMemoryLedger):
        """Another invocation takes over while this one waits for Vertex."""

        def read(self, key: str) -> Launch | None:
            return scene.ledger.read(key)

        def write(self, launch: Launch) -> Launch:
            written = scene.ledger.write(launch)
            if launch.entry.state is State.SUBMITTING:
                scene.ledger.write(replace(written, reason="taken over"))
            return written

    assert replace(scene.submit, ledger=Late()).launch(ticket, PLENTY) == "launch.claim_lost"
    assert scene.launch(ticket).reason == "taken over"


def test_a_job_is_pinned_to_the_version_that_was_launched_first(scene: Scene) -> None:
    """A later attempt runs the same code, wherever the alias has moved meanwhile."""
    path = "team/cats/train:latest"
    first, second = (JobSource(f"team/cats/train:v{n}", Kind.IMAGE, image=f"img:{n}") for n in (1, 2))
    scene.jobs.jobs = {path: first, first.path: first}
    ticket = scene.open(job=path)
    scene.vertex.next_errors = [Capacity("no room")]
    assert scene.deliver(ticket) == "launch.waiting"
    scene.jobs.jobs[path] = second
    scene.clock.pass_(1200)
    assert scene.deliver(ticket) == "launch.submitted"
    assert scene.rendered == [(first.path, first)] * 2
    assert scene.launch(ticket).run_spec["job"] == first.path


NAMING = Request(
    source="ci",
    idempotency_key="42",
    run_spec={"entity": "e", "project": "p", "template_variables": {"name": "large"}},
    queue=QUEUE,
)
CONFIG = QueueConfig(
    "q1",
    resource="gcp-vertex",
    config={"resource_args": {"gcp-vertex": {"spec": {"display_name": "{{name}}"}}}},
    template_variables={"name": {"type": "string"}},
)
FILLED = {"gcp-vertex": {"spec": {"display_name": "large"}}}


@pytest.mark.parametrize(
    "error", [Retry("W&B does not answer"), Denied("W&B's certificate"), KeyRefused("W&B answers 401")]
)
def test_a_request_waits_for_a_wandb_that_cannot_be_asked_for_its_queue(scene: Scene, error: LaunchError) -> None:
    """It is in the ledger all the while, with its template variables; nothing is sent to Vertex AI."""
    ticket = Ticket(launch_key=NAMING.launch_key)
    scene.queues.configs, scene.queues.unreachable = {QUEUE: CONFIG}, error
    assert scene.deliver(NAMING) == ("launch.denied" if isinstance(error, Denied) else "launch.retry")
    assert (scene.launch(ticket).entry.state, scene.vertex.jobs, scene.rendered) == (State.QUEUED, {}, [])
    assert scene.deliver(NAMING) == "launch.nothing_to_do"
    scene.queues.unreachable = None
    scene.clock.pass_(60)
    assert scene.deliver(ticket) == "launch.submitted"
    assert scene.resource_args == [FILLED]


def test_a_later_attempt_uses_the_queues_first_configuration(scene: Scene) -> None:
    """It is in the ledger from the claim on; the queue may change or go, and W&B may be down."""
    scene.queues.configs = {QUEUE: CONFIG}
    scene.vertex.next_errors = [Capacity("no room")]
    assert scene.deliver(NAMING) == "launch.waiting"
    scene.queues.configs, scene.queues.unreachable = {}, Retry("W&B does not answer")
    scene.clock.pass_(60)
    assert scene.deliver(Ticket(launch_key=NAMING.launch_key)) == "launch.submitted"
    assert scene.resource_args == [FILLED, FILLED]


def test_a_queue_that_is_not_there_ends_the_request(scene: Scene) -> None:
    """The log names it; no job was created."""
    assert scene.deliver(NAMING) == "launch.rejected"
    assert scene.launch(Ticket(launch_key=NAMING.launch_key)).reason.startswith(
        "queue: W&B has no queue vertex of team. Name a queue"
    )
    assert not scene.vertex.jobs


def test_a_job_that_is_not_there_ends_the_launch(scene: Scene) -> None:
    """Its author reads which one; no job was created."""
    ticket = scene.open(job="team/cats/gone:v1")
    assert scene.deliver(ticket) == "launch.rejected"
    launch = scene.launch(ticket)
    assert (launch.entry.outcome, launch.reason) == (
        Outcome.REJECTED,
        "job: team/cats/gone:v1 was not found in W&B.",
    )
    assert not scene.vertex.jobs


@pytest.mark.parametrize(
    "error", [Retry("W&B does not answer"), Denied("W&B's certificate"), KeyRefused("W&B answers 401")]
)
def test_a_launch_waits_for_a_wandb_that_cannot_be_asked(scene: Scene, error: LaunchError) -> None:
    """Nothing is sent to Vertex AI before its job is known."""
    job = JobSource("team/cats/train:v1", Kind.IMAGE, image="img:1")
    scene.jobs.jobs, scene.jobs.unreachable = {job.path: job}, error
    ticket = scene.open(job=job.path)
    assert scene.deliver(ticket) == ("launch.denied" if isinstance(error, Denied) else "launch.retry")
    assert (scene.launch(ticket).entry.state, scene.vertex.jobs) == (State.QUEUED, {})
    scene.jobs.unreachable = None
    scene.clock.pass_(60)
    assert scene.deliver(ticket) == "launch.submitted"


@pytest.mark.parametrize("state", ["RUNNING", "PAUSED", "FINISHED", "CANCELED", "CRASHED", "PENDING", ""])
def test_a_sweeps_run_is_launched_while_the_sweep_goes_on(scene: Scene, state: str) -> None:
    """As the agent has it; otherwise its author reads how the sweep stands, and no job is made."""
    scene.sweeps.states["team", "Cats", "sw1"] = state
    ticket = scene.open(sweep_id="sw1")
    if state in ("RUNNING", "PAUSED"):
        assert scene.deliver(ticket) == "launch.submitted"
        return
    assert scene.deliver(ticket) == "launch.rejected"
    launch = scene.launch(ticket)
    reason = f"is {state}. Resume it, or leave sweep_id out" if state else "was not found in W&B"
    assert f"sweep_id: the sweep sw1 of team/Cats {reason}" in launch.reason
    assert (launch.entry.outcome, launch.entry.report_owed, scene.vertex.jobs) == (Outcome.REJECTED, True, {})


def test_a_sweeps_run_waits_while_wandb_is_down(scene: Scene) -> None:
    """It is launched when W&B is back, once; a run of no sweep does not wait."""
    scene.sweeps.unreachable = Retry("W&B cannot be reached")
    ticket = scene.open(sweep_id="sw1")
    assert scene.deliver(ticket) == "launch.retry"
    assert scene.deliver(scene.open("item-2")) == "launch.submitted"
    scene.sweeps.unreachable = None
    scene.sweeps.states["team", "Cats", "sw1"] = "RUNNING"
    scene.clock.pass_(SubmitTimings().backoff.first.total_seconds() + 1)
    assert scene.deliver(ticket) == "launch.submitted"
    assert len(scene.vertex.jobs) == 2


def test_a_sweeps_scheduler_is_refused_where_nothing_says_what_it_runs_on(scene: Scene) -> None:
    """Its author reads which settings are missing; with them it is launched."""
    spec: dict[str, Any] = {
        "uri": "placeholder-uri-scheduler",
        "run_id": "sw1",
        "overrides": {"entry_point": ["wandb", "scheduler", "sw1"]},
    }
    ticket = scene.open(**spec)
    assert scene.deliver(ticket) == "launch.rejected"
    assert "LAUNCH_SCHEDULER_MACHINE" in scene.launch(ticket).reason
    assert scene.launch(ticket).entry.report_owed
    scene.prepare_with(scheduler=SchedulerDefaults("wandb:1", "e2-standard-4"))
    assert scene.deliver(scene.open("item-2", **spec)) == "launch.submitted"
    assert "e2-standard-4" in str(scene.resource_args[-1])


def test_a_scheduler_that_an_older_poll_did_not_mark_takes_no_slot_of_its_sweep(scene: Scene) -> None:
    """During an upgrade: with `max_jobs` such schedulers, no run of a sweep would ever have a slot."""
    spec: dict[str, Any] = {
        "uri": "placeholder-uri-scheduler",
        "resource": "local-process",
        "run_id": "sw1",
        "overrides": {"entry_point": ["wandb", "scheduler", "sw1"]},
    }
    scene.prepare_with(scheduler=SchedulerDefaults("wandb:1", "e2-standard-4"))
    ticket = scene.open(**spec)
    marked = scene.launch(ticket)
    scene.ledger.write(replace(marked, entry=replace(marked.entry, scheduler=False)))
    assert scene.deliver(ticket) == "launch.submitted"
    assert scene.launch(ticket).entry.scheduler
    assert scene.deliver(plain := scene.open("item-2")) == "launch.submitted"
    assert not scene.launch(plain).entry.scheduler


RECIPE = Recipe("us-docker.pkg.dev/p/r/jobs:tag", "gs://staging/launch-builds", "team/cats/train:v1")


def built(scene: Scene, ticket: Ticket) -> None:
    """Let the build that a launch waits for succeed, and do what status does then."""
    launch = scene.ledger.open[ticket.launch_key]
    scene.builds.end(launch.entry.build)
    scene.ledger.write(replace(launch, entry=replace(launch.entry, build="")))


def test_a_launch_waits_for_the_build_of_its_image(scene: Scene) -> None:
    """As QUEUED, without a failure; no ticket claims it meanwhile. Then its job is created, and nothing built again."""
    scene.recipe = RECIPE
    ticket = scene.open()
    assert scene.deliver(ticket) == "launch.building"
    entry = scene.ledger.open[ticket.launch_key].entry
    assert (entry.state, entry.build, entry.failures) == (State.QUEUED, "projects/p/locations/us-central1/builds/1", 0)
    assert entry.notice == "Building the image us-docker.pkg.dev/p/r/jobs:tag."
    assert (entry.lease_until, entry.retry_at) == (None, None)
    scene.clock.pass_(3600)
    assert scene.deliver(ticket) == "launch.nothing_to_do"
    built(scene, ticket)
    assert scene.deliver(ticket) == "launch.submitted"
    assert (len(scene.builds.begun), len(scene.vertex.jobs)) == (1, 1)


def test_launches_of_the_same_code_share_a_build(scene: Scene) -> None:
    """Those that come while it is under way wait for it, those that come later find the image."""
    scene.recipe = RECIPE
    tickets = [scene.open(f"item-{n}") for n in range(3)]
    assert [scene.deliver(ticket) for ticket in tickets[:2]] == ["launch.building"] * 2
    assert len({launch.entry.build for launch in scene.ledger.open.values()} - {""}) == 1
    scene.builds.end("projects/p/locations/us-central1/builds/1")
    assert scene.deliver(tickets[2]) == "launch.submitted"
    assert len(scene.builds.begun) == 1


def test_a_build_whose_answer_was_lost_is_found_again(scene: Scene) -> None:
    """The next attempt waits for it instead of beginning another."""
    scene.recipe, scene.builds.lost, scene.builds.next_errors = RECIPE, True, [Retry("no answer")]
    ticket = scene.open()
    assert scene.deliver(ticket) == "launch.retry"
    scene.clock.pass_(15)
    assert scene.deliver(ticket) == "launch.building"
    assert len(scene.builds.begun) == 1


def test_a_submit_that_dies_after_it_began_a_build_loses_nothing(scene: Scene) -> None:
    """Its lease ends, no job is found, and the next attempt finds the build."""
    scene.recipe = RECIPE
    ticket = scene.open()
    launch = scene.ledger.open[ticket.launch_key]
    claim = {"attempt": 1, "parent": "projects/p/locations/us-central1", "lease_until": scene.clock()}
    scene.ledger.write(launch.move(State.SUBMITTING, **claim))
    scene.builds.ensure(RECIPE, PLENTY)
    assert scene.deliver(ticket) == "launch.looked"
    scene.clock.pass_(120)
    assert scene.deliver(ticket) == "launch.retry"
    scene.clock.pass_(15)
    assert scene.deliver(ticket) == "launch.building"
    assert (len(scene.builds.begun), len(scene.vertex.jobs)) == (1, 0)


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (Reject("job", "is too large"), "launch.rejected"),
        (Capacity("builds at the same time"), "launch.waiting"),
        (Denied("cloudbuild.builds.create"), "launch.denied"),
        (Retry("503"), "launch.retry"),
    ],
)
def test_a_build_that_cannot_be_begun_creates_no_job(scene: Scene, error: LaunchError, event: str) -> None:
    """It is refused or tried again as a create would be."""
    scene.recipe, scene.builds.next_errors = RECIPE, [error]
    assert scene.deliver(scene.open()) == event
    assert not scene.vertex.jobs


def test_a_spec_that_does_not_render_is_not_built(scene: Scene) -> None:
    """A bad spec costs no build."""
    scene.recipe, scene.refusal = RECIPE, Reject("spec", "is wrong")
    assert scene.deliver(scene.open()) == "launch.rejected"
    assert not scene.builds.begun
