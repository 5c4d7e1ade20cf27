"""`why` as a function of facts: which check names the cause, which fix it prints, and what a missing fact costs."""

import io
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from deploy.cloud.doctor.finding import Finding, Outcome
from deploy.operate.dead_letters.dead_letter import DeadLetter
from deploy.operate.why.command import _print
from deploy.operate.why.facts import Facts, Item, Key, Place, Schedule, Unseen
from deploy.operate.why.reasons import Answer, reasons
from deploy.planner import REFUSED, Planned
from deploy.wandb_queues import PendingItem
from functions.poll.slots import Limits, Slots
from functions.submit.submit import SubmitTimings
from shared.core.building import Build, Recipe
from shared.core.entry import Entry, Wish
from shared.core.errors import Capacity, Reject, Retry
from shared.core.launch import Launch, State
from shared.core.message import Queue, Request
from shared.core.pause import Pause
from shared.core.ports import AgentNote, Job
from shared.core.shortage import Shortage
from tests.fakes import FakeClock
from tests.unit.submitting import QUEUE, Scene

NOW = FakeClock()()
CLOUD = Place("my-project", "us-central1")
NOTE = AgentNote(
    "h",
    agent_id="a",
    entity="team",
    queues=("vertex",),
    polled_at=NOW,
    limits={"max_jobs": 2, "max_schedulers": 1, "max_queued": 9},
)
GOOD = Facts(
    NOW,
    CLOUD,
    note=NOTE,
    key=Key("somebody"),
    schedules={"poll": Schedule("ENABLED", NOW), "status": Schedule("ENABLED", NOW)},
    pending={"vertex": [PendingItem("item", None)]},
)
ITEM = replace(GOOD, item=Item("item", "vertex"))


def minutes(count: float) -> timedelta:
    """Return minutes."""
    return timedelta(minutes=count)


def launched(error: Exception | None = None, recipe: Recipe | None = None, **spec: Any) -> Scene:
    """Return a submit that has tried one launch."""
    scene = Scene(recipe=recipe)
    if error:
        scene.vertex.next_errors.append(error)
    scene.deliver(scene.open(**spec))
    return scene


def facts_of(scene: Scene, **changes: Any) -> Facts:
    """Return the facts about the only launch that submit has left."""
    [record] = scene.ledger.open.values()
    entry = record.entry
    job = scene.vertex.jobs.get(entry.job_name)
    build = scene.builds.get_build(entry.build) if entry.build else None
    url = f"https://console/{entry.job_name}" if job else ""
    around = {"open": [entry], "job": job, "build": build, "job_url": url, **changes}
    return replace(GOOD, now=scene.clock(), entry=entry, record=record, **around)


def building() -> Facts:
    """Submit has begun a build."""
    scene = launched(recipe=Recipe("r/p/jobs/i:t", "gs://store", "team/cats/train:v1"))
    scene.builds.builds["projects/p/locations/us-central1/builds/1"] = Build("b", "WORKING", log_url="https://log")
    return facts_of(scene)


def failed_build() -> Facts:
    """The build has failed, and status has not looked yet."""
    scene = launched(recipe=Recipe("r/p/jobs/i:t", "gs://store", "team/cats/train:v1"))
    scene.builds.end("projects/p/locations/us-central1/builds/1", "FAILURE", "pip says no.")
    return facts_of(scene)


def entry_of(facts: Facts, **changes: Any) -> Facts:
    """Return facts with other fields of the entry."""
    assert facts.entry
    assert isinstance(facts.record, Launch)
    entry = replace(facts.entry, **changes)
    return replace(facts, entry=entry, record=replace(facts.record, entry=entry), open=[entry])


def waits(**changes: Any) -> Facts:
    """Return facts of a launch that nobody has claimed for an hour."""
    scene = Scene()
    scene.open()
    scene.clock.pass_(3600)
    facts = facts_of(scene, **changes)
    on = changes.get("schedules") or schedules(facts)
    return replace(facts, note=replace(NOTE, polled_at=facts.now), schedules=on)


def schedules(facts: Facts) -> dict[str, Schedule | Unseen]:
    """Return schedules that are on."""
    return {"poll": Schedule("ENABLED", facts.now), "status": Schedule("ENABLED", facts.now)}


def letter(key: str) -> DeadLetter:
    """Return a dead letter of a launch."""
    return DeadLetter("77", "ack", NOW, NOW, 20, "sub", "ticket", key)


def with_letter() -> Facts:
    """A launch that nobody claims, because its ticket is dead."""
    facts = waits()
    assert facts.entry
    return replace(facts, dead_letters=[letter(facts.entry.key)])


def taking(**changes: Any) -> Entry:
    """Return the entry of an open launch."""
    [launch] = launched(name="train").ledger.open.values()
    return replace(launch.entry, **changes)


def holding() -> Entry:
    """Return the entry of a launch that holds its queue."""
    [launch] = launched(Capacity("none", Shortage.AMOUNT), name="train").ledger.open.values()
    return launch.entry


def crowded() -> Facts:
    """A request waits, because another one runs, and one is allowed."""
    scene = Scene()
    running = taking(key="k1", item_id="", state=State.SUBMITTED)
    scene.ledger.write(Launch(running, {}))
    scene.submit = replace(scene.submit, timings=SubmitTimings(max_requests=1), pause=lambda _: None)
    spec = {"entity": "team", "project": "cats", "docker": {"docker_image": "x"}, "resource_args": {"vertex": {}}}
    request = Request(source="ci", idempotency_key="1", run_spec=spec)
    scene.deliver(request)
    entry = scene.ledger.open.pop(request.launch_key)
    return replace(GOOD, now=scene.clock(), entry=entry.entry, record=entry, open=[running, entry.entry])


PLANNED = Planned("vertex", "item", REFUSED, refusal=Reject("spec.region", "is x", "Write y."))
BUILD = "builds its image since 00:00:00 UTC (0s): WORKING, https://log"
CASES: dict[str, tuple[Facts, int, str, str]] = {
    "nothing": (GOOD, 0, "Nothing stops launches.", ""),
    "its turn comes": (ITEM, 0, "Nothing blocks it: item item waits as number 1 of 1 in queue vertex", ""),
    "key": (replace(ITEM, key=Key(problem="401")), 1, "W&B refuses the API key", "gcloud secrets versions add"),
    "paused": (
        replace(ITEM, schedules={"poll": Schedule("PAUSED", NOW)}),
        1,
        "Cloud Scheduler's job launch-poll is paused: nobody calls poll.",
        "gcloud scheduler jobs resume launch-poll --location=us-central1 --project=my-project",
    ),
    "no schedule": (
        replace(ITEM, schedules={"poll": Schedule()}),
        1,
        "Cloud Scheduler has no job launch-poll in us-central1: nobody calls poll.",
        "vertex-launch provision --project=my-project --region=us-central1",
    ),
    "scheduler sleeps": (
        replace(ITEM, now=NOW + minutes(60)),
        1,
        "Cloud Scheduler called poll last 1h00m ago, not every minute.",
        "gcloud scheduler jobs run",
    ),
    "poll fails": (
        replace(ITEM, schedules={"poll": Schedule("ENABLED", NOW, "code 13 internal")}),
        1,
        "The last call of poll, 0s ago, failed: code 13 internal.",
        "gcloud logging read",
    ),
    "poll is late": (
        replace(ITEM, note=replace(NOTE, polled_at=NOW - minutes(9))),
        1,
        "Poll's last call was 9m00s ago",
        "jobs run",
    ),
    "never polled": (replace(ITEM, note=AgentNote("")), 1, "Poll has never finished a call.", "gcloud logging read"),
    "stopped": (
        replace(ITEM, note=replace(NOTE, stopped=True)),
        1,
        "`vertex-launch agent stop` has stopped poll's agent.",
        "vertex-launch agent start",
    ),
    "poll says why": (
        replace(ITEM, note=replace(NOTE, why_not="W&B is down")),
        1,
        "Poll's last call, 0s ago, popped nothing: W&B is down.",
        "gcloud logging read",
    ),
    "paused by a person": (
        replace(ITEM, note=replace(NOTE, paused=(Pause("vertex", "ana", NOW),))),
        1,
        "Queue vertex is paused by ana since 2026-01-01 00:00 UTC.",
        "vertex-launch resume --queue vertex --project=my-project",
    ),
    "all paused": (
        replace(waits(), note=replace(NOTE, paused=(Pause("", "ana", NOW),))),
        1,
        "All queues are paused by ana since",
        "vertex-launch resume --project=my-project",
    ),
    "missing queue": (
        replace(GOOD, note=replace(NOTE, missing=("gpu",))),
        1,
        "Team has no queue gpu that the functions' key can see.",
        "Create the queue gpu",
    ),
    "held": (
        replace(ITEM, open=[holding()]),
        1,
        "Queue vertex is held, because launch k",
        "vertex-launch cancel k",
    ),
    "full": (
        replace(ITEM, open=[taking(key="k1"), taking(key="k2", name="eval")]),
        1,
        "The limit max_jobs is reached, because 2 of 2 launches are open: k1 (train), k2 (eval).",
        "vertex-launch ls --project=my-project --region=us-central1",
    ),
    "full, and nothing waits": (
        replace(GOOD, open=[taking(key="k1"), taking(key="k2")], pending={"vertex": []}),
        0,
        "Nothing stops launches.",
        "",
    ),
    "full, and something waits": (
        replace(GOOD, open=[taking(key="k1"), taking(key="k2")]),
        1,
        "The limit max_jobs is reached, because 2 of 2 launches are open: k1",
        "vertex-launch ls",
    ),
    "unreadable records take slots": (
        replace(ITEM, open=[taking(key="k1")], unreadable={"k2": "?"}),
        1,
        "The limit max_jobs is reached, because 2 of 2 launches are open: k1 (train), k2 (unreadable).",
        "vertex-launch ls",
    ),
    "refused when popped": (replace(ITEM, plan=PLANNED), 3, "Submit would refuse it: spec.region: is x. Write y.", "D"),
    "building": (building(), 1, f"Cloud Build {BUILD}.", "vertex-launch logs k"),
    "failed build": (failed_build(), 1, "Its image could not be built (FAILURE: pip says no): https", "vertex-launch"),
    "build unseen": (
        replace(building(), build=Unseen("needs cloudbuild.builds.get", "Ask an owner.")),
        1,
        "Cloud Build builds its image since 00:00:00 UTC (0s) (projects/p/locations/us-central1/builds/1); its state",
        "Ask an owner.",
    ),
    "no capacity": (
        facts_of(launched(Capacity("Vertex AI has no capacity: x", Shortage.STOCKOUT))),
        1,
        "Google has no such machines free in the region (STOCKOUT): x. After 1 attempt it waits since",
        "docs/how-to/run-where-machines-are-rare.md",
    ),
    "W&B is down": (
        facts_of(launched(Retry("W&B answers 503"))),
        1,
        "1 attempt failed: W&B answers 503. Next attempt: ",
        "gcloud logging read",
    ),
    "too many requests": (
        crowded(),
        1,
        "1 launches of other systems are running (LAUNCH_MAX_REQUESTS): k1 (train). Next attempt: ",
        "change LAUNCH_MAX_REQUESTS, then build",
    ),
    "cancelled by a person": (
        entry_of(facts_of(launched(Retry("x"))), wish=Wish("cancel", "a@b.c", NOW)),
        1,
        "A@b.c asked to cancel it 0s ago: status does so at its next call.",
        "gcloud logging read",
    ),
    "a ticket on its way": (
        facts_of((lambda scene: (scene.open(), scene)[1])(Scene())),
        0,
        "Its ticket is on the way: submit claims the launch within a minute.",
        "",
    ),
    "nobody claims it": (waits(), 1, "No submit has claimed it, although it is due since 00:00:00 UTC (1h00m)", "gc"),
    "its ticket is dead": (with_letter(), 1, "The message of launch k", "vertex-launch dead-letters"),
    "status sleeps": (
        waits(schedules={"status": Schedule("PAUSED", NOW)}),
        1,
        "Cloud Scheduler's job launch-status is paused: nobody calls status.",
        "gcloud scheduler jobs resume launch-status",
    ),
    "pending": (facts_of(launched()), 1, "Its job waits in Vertex AI for machines or for its image, since", "https"),
    "job unseen": (
        replace(facts_of(launched()), job=Unseen("needs aiplatform.customJobs.get")),
        4,
        "When status last looked, its job had not started: https",
        "",
    ),
    "job deleted": (replace(facts_of(launched()), job=None), 1, "Its job was deleted in Vertex AI: projects/p/", "gc"),
    "lost answer": (
        entry_of(
            facts_of(launched()), state=State.SUBMITTING, unanswered=True, lease_until=NOW + minutes(2), reason="504"
        ),
        1,
        "The answer to its create was lost: submit looks for its job at 00:02:00 UTC.",
        "gcloud logging read",
    ),
    "at work": (
        entry_of(facts_of(launched()), state=State.SUBMITTING, lease_until=NOW + minutes(9)),
        0,
        "Submit is creating its job; its claim ends at 00:09:00 UTC.",
        "",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_first_line_names_the_cause(name: str) -> None:
    """The line that blocks has a fix to copy, and the exit code says whether something blocks."""
    facts, exit_code, cause, fix = CASES[name]
    answer = reasons(facts)
    assert answer.cause.startswith(cause)
    assert answer.exit_code == exit_code
    blocking = [one for one in answer.findings if one.outcome is Outcome.FAILED]
    assert bool(blocking) is bool(fix)
    if fix:
        assert fix in blocking[0].fix
    assert answer.document(facts)["cause"] == answer.cause


@pytest.mark.parametrize("state", ["RUNNING", "SUCCEEDED"])
def test_a_job_that_runs_or_has_succeeded_is_no_fault(state: str) -> None:
    """A refused key stops only its reports, and has a line of its own."""
    scene = launched()
    [name] = scene.vertex.jobs
    scene.vertex.put(name, f"JOB_STATE_{state}", started_at=scene.clock())
    assert reasons(facts_of(scene)).exit_code == 0
    refused = reasons(replace(facts_of(scene), key=Key(problem="401")))
    assert refused.cause.startswith("Its job ")
    assert refused.cause.endswith("But: W&B refuses the API key of the functions: 401.")


FIELDS = {
    "note": "poll",
    "key": "API key",
    "open": "limits",
    "dead_letters": "dead letters",
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_fact_that_cannot_be_seen_is_a_line(field: str) -> None:
    """It is never the end: the other checks are made, the line says why, and the exit code is 4."""
    unseen: dict[str, Any] = {field: Unseen("you may not see this", "Ask an owner.")}
    answer = reasons(replace(GOOD, **unseen))
    lines = {one.name: one for one in answer.findings}
    assert lines[FIELDS[field]] == Finding(FIELDS[field], Outcome.UNKNOWN, "you may not see this", "Ask an owner.")
    assert answer.exit_code == 4
    assert f"could not be made: {'' if field != 'open' else 'hold of vertex, '}{FIELDS[field]}" in answer.cause
    blind: dict[str, Any] = {name: Unseen("no") for name in FIELDS} | {"pending": {"vertex": Unseen("no")}}
    schedules: dict[str, Schedule | Unseen] = {"poll": Unseen("no"), "status": Unseen("no")}
    findings = reasons(replace(GOOD, **blind, schedules=schedules)).findings
    assert {one.outcome for one in findings} == {Outcome.UNKNOWN}


def test_items_wait_by_priority_then_in_the_order_of_w_and_b() -> None:
    """Without a priority an item counts as medium."""
    pending = [PendingItem("a", None), PendingItem("b", None, 3), PendingItem("c", None, 0), PendingItem("d", None, 2)]
    facts = replace(GOOD, pending={"vertex": pending})
    places = {each.id: reasons(replace(facts, item=Item(each.id, "vertex"))).cause for each in pending}
    assert "as number 1 of 4 in queue vertex, priority critical" in places["c"]
    assert "as number 2 of 4 in queue vertex," in places["a"]
    assert "as number 3 of 4 in queue vertex, priority medium" in places["d"]
    assert "as number 4 of 4 in queue vertex, priority low" in places["b"]


@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize("state", [State.QUEUED, State.SUBMITTED, State.ENDED])
def test_limits_are_counted_as_poll_counts_them(most: int, state: State) -> None:
    """Ended launches and those of requests take no slot; schedulers have their own."""
    entries = [
        taking(key="k1", state=state),
        taking(key="k2"),
        taking(key="k3", item_id=""),
        taking(key="k4", scheduler=True),
    ]
    slots = Slots([QUEUE], entries, 0, Limits(max_jobs=most, max_queued=most))
    limits = {"max_jobs": most, "max_queued": most, "max_schedulers": 1}
    answer = reasons(replace(GOOD, open=entries, note=replace(NOTE, limits=limits), item=Item("item", "vertex")))
    reached = {one.name for one in answer.findings if one.outcome is Outcome.FAILED}
    assert reached == {name.split()[-1] for name in slots.full.split(", ") if name}
    assert Queue(entity="team", name="vertex") == QUEUE


def test_hostile_names_reach_the_terminal_as_text() -> None:
    """No escape sequence, no second line, no secret."""
    name = "\x1b[2J\rfake\nline wandb_v1_" + "a1B2" * 20
    facts = replace(ITEM, open=[taking(key="k1", name=name), taking(key="k2")])
    with redirect_stdout(io.StringIO()) as printed:
        _print(reasons(facts))
    assert "k1 (·[2J fake line" in printed.getvalue()
    assert "\x1b" not in printed.getvalue()
    assert "a1B2a1B2" not in printed.getvalue()
    assert isinstance(reasons(facts), Answer)


def test_the_findings_need_no_name_of_a_launch() -> None:
    """A job that Vertex AI shows as pending again keeps its own words."""
    scene = launched()
    [name] = scene.vertex.jobs
    job: Job = scene.vertex.jobs[name]
    again = replace(job, started_at=scene.clock())
    assert reasons(facts_of(scene, job=again)).cause == "Vertex AI replaces the machines that its job has lost."
