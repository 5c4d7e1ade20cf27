"""Poll's agent in W&B: known again, registered anew if W&B forgets it, stopped and started by its operator."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.cadence import Cadence
from shared.core.errors import Denied, KeyRefused, LaunchError, OutcomeUnknown, Reject, Retry
from shared.core.message import Queue
from shared.core.pause import Pause
from shared.core.ports import AgentNote
from tests.unit.polling import A, B, Scene

C = Queue(entity="other", name="a")


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return Scene()


@pytest.mark.parametrize(
    ("changed", "registered"),
    [({}, 1), ({"base_url": "https://other"}, 2), ({"queues": (C,)}, 2), ({"queues": (B, A)}, 2)],
    ids=["nothing", "W&B", "entity", "queues"],
)
def test_an_agent_belongs_to_a_wandb_an_entity_and_queues(
    scene: Scene, changed: dict[str, Any], registered: int
) -> None:
    """Another of them means another agent; the same ones keep it, for any number of calls."""
    usual: dict[str, Any] = {"base_url": "https://one", "queues": (A, B)}
    for limits in (usual, usual, usual | changed, usual | changed):
        assert scene.poll(**limits).errors == []
    assert len(scene.wandb.agents) == registered


def test_a_note_of_older_code_leads_to_a_new_agent(scene: Scene) -> None:
    """It does not say which W&B knows its agent."""
    scene.agents.note = AgentNote("", agent_id="agent-0", queues=("a", "b"))
    assert scene.poll(base_url="https://one").agent_id == "agent-1"
    assert scene.wandb.calls.count("heartbeat") == 0


def test_a_queue_that_is_missing_stops_only_itself(scene: Scene) -> None:
    """It is named at each call, with one agent for all of them. When it appears, it is served with nobody's help."""
    scene.wandb.missing_queues = {"b"}
    scene.wandb.push("i", A)
    for _ in range(3):
        report = scene.poll()
        assert report.errors == [
            "queue b: team has no queue of this name that our key can see. "
            "Create it in W&B, or remove it from LAUNCH_QUEUES (queues in launch-config.yaml)"
        ]
        assert report.agent_id == "agent-1"
    assert (scene.states(), scene.wandb.pops.count("b")) == (["CLAIMED"], 0)
    scene.wandb.missing_queues.clear()
    scene.wandb.push("j", B)
    report = scene.poll()
    assert (report.launched, report.errors, report.agent_id) == ({"b": 1}, [], "agent-2")
    assert scene.poll().agent_id == "agent-2"


def test_without_any_queue_poll_waits_for_one(scene: Scene) -> None:
    """No agent is registered for nothing, and nothing is popped."""
    scene.wandb.missing_queues = {"a", "b"}
    assert len(scene.poll().errors) == 2
    assert (scene.wandb.agents, scene.wandb.pops) == ({}, [])
    scene.wandb.missing_queues.clear()
    assert scene.poll().agent_id == "agent-1"


def test_a_stopped_agent_stays_stopped_when_a_queue_appears(scene: Scene) -> None:
    """Only a command or other settings make a new agent."""
    scene.wandb.missing_queues = {"b"}
    scene.poll()
    scene.wandb.missing_queues.clear()
    scene.wandb.stop_polling = True
    report = scene.poll()
    assert not report.polled
    assert list(scene.wandb.agents) == ["agent-1"]


@pytest.mark.parametrize("call", ["known_queues", "register"])
@pytest.mark.parametrize("error", [Retry("503"), Denied("403"), OutcomeUnknown("?"), Reject("a", "b"), KeyError("x")])
def test_items_are_popped_without_an_agent_if_none_can_be_registered(
    scene: Scene, call: str, error: LaunchError
) -> None:
    """The answer names the error. An agent follows as soon as W&B registers one."""
    scene.wandb.fail[call] = error
    scene.wandb.push("i", A)
    report = scene.poll()
    assert (report.launched, report.agent_id, len(report.errors)) == ({"a": 1}, "", 1)
    scene.wandb.fail.clear()
    assert (scene.poll().agent_id, scene.poll().agent_id) == ("agent-1", "agent-1")


@pytest.mark.parametrize("call", ["heartbeat", "known_queues", "register"])
def test_a_refused_key_ends_the_call(scene: Scene, call: str) -> None:
    """Nothing can be asked of W&B with it; the lease is given back."""
    if call == "heartbeat":
        scene.poll()
    scene.wandb.fail[call] = KeyRefused("401")
    with pytest.raises(KeyRefused):
        scene.poll()
    scene.wandb.fail.clear()
    assert scene.poll().polled


def test_nothing_is_popped_while_wandb_does_not_say_whether_to_stop(scene: Scene) -> None:
    """A missing answer is not a fact. The same agent goes on afterwards."""
    scene.poll()
    scene.wandb.push("i", A)
    scene.wandb.fail |= {"heartbeat": Retry("503"), "known_queues": Retry("503")}
    for _ in range(10):
        with pytest.raises(Retry, match="503"):
            scene.poll()
    del scene.wandb.fail["known_queues"]
    report = scene.poll()
    assert (report.polled, report.errors) == (False, ["agent: 503"])
    assert report.why_not == "W&B does not answer whether this agent must stop polling"
    assert len(scene.wandb.pops) == 2, "of the first call"
    scene.wandb.fail.clear()
    assert (scene.poll().launched, list(scene.wandb.agents)) == ({"a": 1}, ["agent-1"])


@pytest.mark.parametrize("error", [Denied("403"), Retry("500"), KeyError("launchAgent")])
def test_an_agent_that_wandb_never_answers_about_is_replaced(scene: Scene, error: Exception) -> None:
    """After three calls in which W&B answers about its queues: one record does not stop the deployment for good."""
    scene.poll()
    scene.wandb.push("i", A)
    scene.wandb.fail["heartbeat"] = error
    launched = [scene.poll().launched for _ in range(3)]
    assert launched == [{}, {}, {"a": 1}]
    scene.wandb.fail.clear()
    assert scene.poll().agent_id == "agent-2"


def test_a_wandb_that_forgets_every_agent_is_not_flooded_with_them(scene: Scene) -> None:
    """It gets a few at once and then one an hour; items are popped all the while."""
    for number in range(180):
        scene.wandb.push(f"i{number}", A)
        scene.wandb.agents.clear()
        assert scene.poll(max_queued=1000).launched == {"a": 1}
    assert scene.wandb.calls.count("register") == 4 + 2


def test_an_agent_that_a_person_stopped_asks_wandb_nothing(scene: Scene) -> None:
    """Its items stay in their queues; the note and the response say how to start it again."""
    scene.poll()
    scene.wandb.push("i", A)
    scene.agents.note = replace(scene.agents.note, stopped=True)
    scene.wandb.calls.clear()
    report = scene.poll()
    why = "this agent is stopped; `vertex-launch agent start` lets it poll again"
    assert (report.polled, report.why_not, report.agent_id, scene.wandb.calls) == (False, why, "agent-1", [])
    assert (scene.agents.note.why_not, scene.agents.note.stopped) == (why, True)
    scene.agents.note = replace(scene.agents.note, stopped=False)
    assert scene.poll().launched == {"a": 1}


@pytest.mark.parametrize(
    ("error", "raised"), [(Retry("503"), "503"), (Denied("403"), "403"), (KeyError("stop"), "agent: KeyError")]
)
def test_a_wandb_without_any_answer_ends_the_call(scene: Scene, error: Exception, raised: str) -> None:
    """The first error is the answer to Cloud Scheduler."""
    scene.poll()
    scene.wandb.fail |= {"heartbeat": error, "known_queues": Retry("another")}
    with pytest.raises(LaunchError, match=f"^{raised}$"):
        scene.poll()


def test_the_note_keeps_what_the_last_call_found(scene: Scene) -> None:
    """For `vertex-launch agent`."""
    scene.poll()
    assert (scene.agents.note.polled_at, scene.agents.note.why_not) == (scene.clock(), "")
    scene.wandb.stop_polling = True
    scene.poll()
    assert scene.agents.note.why_not.startswith("W&B asks this agent to stop polling")


def test_the_note_keeps_the_limits_and_the_error_of_a_call_that_failed(scene: Scene) -> None:
    """For `vertex-launch why`: the ledger alone says that the key is refused; the next good call clears it."""
    scene.poll(max_jobs=3, max_queued=7)
    assert scene.agents.note.limits == {"max_jobs": 3, "max_schedulers": 1, "max_queued": 7}
    scene.clock.pass_(60)
    scene.wandb.fail["heartbeat"] = KeyRefused("W&B refuses the key")
    with pytest.raises(KeyRefused):
        scene.poll()
    assert (scene.agents.note.polled_at, scene.agents.note.why_not) == (scene.clock(), "W&B refuses the key")
    scene.wandb.fail["heartbeat"] = KeyRefused("x" * 600)
    with pytest.raises(KeyRefused):
        scene.poll()
    assert len(scene.agents.note.why_not) == 501
    assert scene.agents.note.limits == {"max_jobs": -1, "max_schedulers": 1, "max_queued": 100}
    scene.wandb.fail.clear()
    scene.poll()
    assert scene.agents.note.why_not == ""


def test_the_whole_note_after_each_kind_of_call() -> None:
    """Status, wake-ups and commands read it; what a person has written stays."""
    scene = Scene(cadence=Cadence())
    pause = Pause("other", "ana@example.com", scene.clock())
    scene.agents.note = AgentNote("", paused=(pause,))
    limits: dict[str, Any] = {"max_jobs": 1, "max_schedulers": 2, "max_queued": 3}
    idle = AgentNote(
        "",
        agent_id="agent-1",
        base_url="https://one",
        entity="team",
        queues=("a", "b"),
        missing=("b",),
        paused=(pause,),
        polled_at=scene.clock(),
        limits=limits,
        window_until=scene.clock() + timedelta(seconds=55),
    )
    scene.wandb.missing_queues = {"b"}
    scene.poll(base_url="https://one", **limits)
    assert scene.agents.note == replace(idle, holder="poll-1")  # who registers an agent takes the lease
    scene.clock.pass_(60)
    scene.wandb.missing_queues, scene.wandb.stop_polling = set(), True
    scene.agents.note = replace(scene.agents.note, failures=2)
    scene.poll(base_url="https://one", **limits)
    why = "W&B asks this agent to stop polling; `vertex-launch agent start` lets it poll again"
    now = scene.clock()
    stopped = replace(idle, holder="poll-1", why_not=why, polled_at=now, window_until=now + timedelta(seconds=55))
    assert scene.agents.note == stopped
    scene.clock.pass_(60)
    scene.wandb.stop_polling = False
    scene.wandb.push("i", A)
    scene.poll(base_url="https://one", woken=True, **limits)
    now = scene.clock()
    assert scene.agents.note == replace(
        stopped,
        holder="poll-3",
        agent_id="agent-2",
        missing=(),
        why_not="",
        full=True,
        polled_at=now,
        woken_at=now,
        warm_until=now + timedelta(minutes=15),
    )
