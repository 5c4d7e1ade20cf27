"""Each operation of the W&B adapters: the requests that it sends, one after another, and what its answers mean.

The contract tests show that the installed client and the local server take these requests. Here the order, the
variables and the shared budget count.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import Answer, NotAllowed, Refused
from shared.adapters.wandb.configs import WandbQueueConfigs
from shared.adapters.wandb.graphql import CALL_SECONDS, Graphql
from shared.adapters.wandb.queues import WandbRunQueue
from shared.adapters.wandb.reports import report
from shared.adapters.wandb.sweeps import WandbSweeps
from shared.core.budget import Budget
from shared.core.errors import Denied, LaunchError, Reject, Retry
from shared.core.launch import RunPath
from shared.core.message import Queue
from shared.core.ports import Answers, ItemStatus
from shared.core.queueconfig import QueueConfig

SWEEP = RunPath("team", "vision", "sw1")
QUEUE = Queue(entity="team", name="vertex")
QUEUES = {"project": {"runQueues": [{"id": "q1", "name": "vertex"}, {"id": "q2", "name": "gpus"}]}}
LISTED = (documents.QUEUES, {"entity": "team", "projectName": "model-registry"})
Asked = list[tuple[str, dict[str, Any]]]


class Answering:
    """W&B, with these answers one after another; an error is raised."""

    def __init__(self, *answers: Mapping[str, Any] | LaunchError) -> None:
        self.answers = list(answers)
        self.asked: Asked = []
        self.budgets = set[int]()

    def query(self, document: str, variables: Mapping[str, Any], budget: Budget | None = None) -> Mapping[str, Any]:
        """Note the request, and answer."""
        self.asked.append((document, dict(variables)))
        if budget:
            assert CALL_SECONDS - 5 < budget.left <= CALL_SECONDS
            self.budgets.add(id(budget))
        answer = self.answers.pop(0)
        if isinstance(answer, LaunchError):
            raise answer
        return answer

    mutate = query

    @property
    def graphql(self) -> Graphql:
        """Return it as the adapters take it."""
        return cast(Graphql, self)


def run_queue(*answers: Mapping[str, Any] | LaunchError) -> tuple[Answering, WandbRunQueue]:
    """Return W&B with these answers, and the adapter."""
    wandb = Answering(*answers)
    return wandb, WandbRunQueue(wandb.graphql)


def sweep(state: str | None) -> Mapping[str, Any]:
    """Return a sweep in a state; none without a state."""
    return {"project": {"sweep": {"id": "S1", "state": state} if state else None}}


@pytest.mark.parametrize(
    ("state", "cancelled"),
    [("PENDING", True), ("running", True), ("PAUSED", True), ("FINISHED", False), ("CANCELED", False), (None, False)],
)
def test_only_a_sweep_that_goes_on_is_cancelled(state: str | None, cancelled: bool) -> None:
    """W&B would refuse another one."""
    wandb, adapter = run_queue(sweep(state), {})
    adapter.cancel_sweep(SWEEP)
    change = {"id": "S1", "state": "CANCELED", "entityName": "team", "projectName": "vision"}
    look = (documents.SWEEP_TO_CANCEL, {"entity": "team", "project": "vision", "sweep": "sw1"})
    assert wandb.asked == [look, *([(documents.CANCEL_SWEEP, change)] if cancelled else [])]
    assert len(wandb.budgets) == 1  # both calls share it


def test_a_sweep_that_the_key_cannot_cancel_is_somebodys_task() -> None:
    """The words name the sweep, and who can stop it."""
    _, adapter = run_queue(NotAllowed("no"))
    with pytest.raises(Reject) as raised:
        adapter.cancel_sweep(SWEEP)
    words = "sweep: sw1 of team/vision cannot be cancelled with this deployment's API key. Stop it in W&B."
    assert str(raised.value) == words


@pytest.mark.parametrize(("answer", "state"), [(sweep("running"), "RUNNING"), (sweep(None), ""), ({}, "")])
def test_the_state_of_a_sweep(answer: Mapping[str, Any], state: str) -> None:
    """In capitals; empty if there is none."""
    wandb = Answering(answer)
    assert WandbSweeps(wandb.graphql).state_of("team", "vision", "sw1") == state
    assert wandb.asked == [(documents.SWEEP, {"entity": "team", "project": "vision", "sweep": "sw1"})]


def test_the_queues_that_the_key_sees() -> None:
    """None if it does not see their project."""
    wandb, adapter = run_queue(QUEUES, {"project": None})
    assert adapter.known_queues("team") == {"vertex", "gpus"}
    assert adapter.known_queues("team") == frozenset()
    assert wandb.asked == [LISTED, LISTED]
    _, adapter = run_queue({"project": {"runQueues": None}})
    with pytest.raises(Refused, match="W&B's answer lacks the queues of team"):
        adapter.known_queues("team")


def test_an_agent_registers_with_the_ids_of_its_queues() -> None:
    """In the order of the settings, with its configuration as JSON text."""
    wandb, adapter = run_queue(QUEUES, {"createLaunchAgent": {"launchAgentId": "a1"}})
    assert adapter.register("team", ["gpus", "vertex"], {"max_jobs": 2}) == "a1"
    listed, (document, variables) = wandb.asked
    assert (listed, document) == (LISTED, documents.REGISTER)
    assert {**variables, "agentConfig": json.loads(variables["agentConfig"])} == {
        "entity": "team",
        "project": "model-registry",
        "queues": ["q2", "q1"],
        "hostname": "google-cloud-functions",
        "agentConfig": {"max_jobs": 2},
        "version": "vertex-launch@0.1.0",
    }
    assert len(wandb.budgets) == 1


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (QUEUES, "queues: team has no queue named cpus, tpus. Its queues: gpus, vertex."),
        ({"project": None}, "queues: team has no queue named cpus, vertex, tpus. "
         "Its queues: none that this key can see."),
    ],
)  # fmt: skip
def test_a_queue_that_does_not_exist_is_named_beside_those_that_do(known: Mapping[str, Any], words: str) -> None:
    """A wrong name is the operator's to correct."""
    wandb, adapter = run_queue(known)
    with pytest.raises(Reject) as raised:
        adapter.register("team", ["cpus", "vertex", "tpus"], {})
    assert str(raised.value) == words
    assert len(wandb.asked) == 1


@pytest.mark.parametrize("answer", [{}, {"createLaunchAgent": None}, {"createLaunchAgent": {"launchAgentId": ""}}])
def test_a_registration_without_an_id_is_repeated(answer: Mapping[str, Any]) -> None:
    """Nothing could be sent for such an agent."""
    _, adapter = run_queue(QUEUES, answer)
    with pytest.raises(Retry, match="without its id"):
        adapter.register("team", ["vertex"], {})


BEAT = {"updateLaunchAgent": {"success": True}}


@pytest.mark.parametrize(("running", "status"), [(True, "RUNNING"), (False, "POLLING")])
@pytest.mark.parametrize("stop", [True, False, None])
def test_a_heartbeat_tells_whether_to_stop(running: bool, status: str, stop: bool | None) -> None:
    """W&B's page has a button for it."""
    wandb, adapter = run_queue({"launchAgent": {"stopPolling": stop}}, BEAT)
    assert adapter.heartbeat("a1", running=running) is bool(stop)
    assert wandb.asked == [
        (documents.AGENT, {"agentId": "a1"}),
        (documents.HEARTBEAT, {"agentId": "a1", "agentStatus": status}),
    ]
    assert len(wandb.budgets) == 1


@pytest.mark.parametrize(
    "answers",
    [
        ({"launchAgent": None},),
        ({"launchAgent": {"stopPolling": False}}, {"updateLaunchAgent": {"success": False}}),
        ({"launchAgent": {"stopPolling": False}}, {"updateLaunchAgent": {"success": "true"}}),
        ({"launchAgent": {"stopPolling": False}}, {}),
        (Refused("gone"),),
        ({"launchAgent": {"stopPolling": False}}, NotAllowed("no")),
    ],
)
def test_an_agent_that_wandb_does_not_know(answers: Sequence[Any]) -> None:
    """It registers again."""
    _, adapter = run_queue(*answers)
    assert adapter.heartbeat("a1", running=False) is None


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        ({"ackRunQueueItem": {"success": True}}, True),
        ({"ackRunQueueItem": {"success": False}}, False),
        ({"ackRunQueueItem": {"success": "yes"}}, False),
        ({}, False),
        (Refused("another agent has it"), False),
    ],
)
def test_only_a_clear_yes_is_an_ack(answer: Any, accepted: bool) -> None:
    """Anything else is no launch of ours."""
    wandb, adapter = run_queue(answer)
    assert adapter.ack("i1", "r1") is accepted
    assert wandb.asked == [(documents.ACK, {"itemId": "i1", "runId": "r1"})]


CONFIG = {"project": {"runQueue": {"id": "q1", "access": "PROJECT", "defaultResourceConfigID": "c1"}}}
VARIABLES = [{"name": "gpu", "schema": '{"type": "string"}'}, {"name": "n", "schema": {"type": "integer"}}, {}]
DEFAULT = {"resource": "gcp-vertex", "config": '{"resource_args": {}}', "templateVariables": VARIABLES}


def test_the_configuration_of_a_queue_takes_two_queries() -> None:
    """The second asks for the queue's default configuration by its id."""
    wandb = Answering(CONFIG, {"entity": {"defaultResourceConfig": DEFAULT}})
    schemas: dict[str, dict[str, Any]] = {"gpu": {"type": "string"}, "n": {"type": "integer"}}
    expected = QueueConfig("q1", "PROJECT", "gcp-vertex", {"resource_args": {}}, schemas)
    assert WandbQueueConfigs(wandb.graphql).config_of(QUEUE) == expected
    (first, where), second = wandb.asked
    assert first == documents.QUEUE
    assert where == {"projectName": "model-registry", "entityName": "team", "runQueue": "vertex"}
    assert second == (documents.QUEUE_CONFIG, {"entityName": "team", "id": "c1"})
    assert len(wandb.budgets) == 1


@pytest.mark.parametrize("config", ["[1]", "no JSON", None, 7, '"text"'])
def test_a_configuration_that_is_no_object_is_empty(config: object) -> None:
    """W&B's page writes objects only."""
    wandb = Answering(CONFIG, {"entity": {"defaultResourceConfig": {"config": config}}})
    assert WandbQueueConfigs(wandb.graphql).config_of(QUEUE) == QueueConfig("q1", "PROJECT")


def test_a_queue_without_a_default_takes_one_query() -> None:
    """So does a queue that the key cannot see."""
    bare = {"project": {"runQueue": {"id": "q1", "access": None}}}
    assert WandbQueueConfigs(Answering(bare).graphql).config_of(QUEUE) == QueueConfig("q1", "")
    assert WandbQueueConfigs(Answering({"project": None}).graphql).config_of(QUEUE) is None
    with pytest.raises(Refused, match="W&B's answer lacks the id of queue vertex of team"):
        WandbQueueConfigs(Answering({"project": {"runQueue": {"access": "USER"}}}).graphql).config_of(QUEUE)


# --- reports

VALUES = {"runQueueItemId": "i1", "message": "m", "stage": "agent"}
TAKEN = {"failRunQueueItem": {"success": True}}
NO = {"failRunQueueItem": {"success": False}}
PASSING = Refused("W&B: later", Answer(200, None, [{"message": "later"}]))
DEFINITE = Refused("W&B: no such stage", Answer(400, None, [{"message": "no such stage"}]))
CLAIMED, FAILED = ItemStatus("CLAIMED", "r1"), ItemStatus("FAILED", "r1")
DOWN, FORBIDDEN = Retry("down"), Denied("403")


@pytest.mark.parametrize(
    ("answers", "looks", "raised", "sent"),
    [
        ([TAKEN], [], None, 1),
        ([NO, TAKEN], [CLAIMED], None, 2),
        ([NO, NO], [CLAIMED, CLAIMED], Reject, 2),
        ([NO, NO], [CLAIMED, FAILED], None, 2),
        ([NO], [FAILED], None, 1),
        ([NO], [None], None, 1),  # W&B no longer has the item
        ([{}], [CLAIMED], Refused, 1),
        ([PASSING], [CLAIMED], Refused, 1),
        ([DEFINITE, TAKEN], [CLAIMED], None, 2),
        ([DEFINITE, DEFINITE], [CLAIMED, CLAIMED], Reject, 2),
        ([DEFINITE, DOWN], [CLAIMED, CLAIMED], Retry, 2),
        ([DOWN], [CLAIMED], Retry, 1),
        ([DOWN], [FAILED], None, 1),  # the first answer was lost
        ([NO], [DOWN], Refused, 1),
        ([NO], [FORBIDDEN], Denied, 1),
    ],
    ids=str,
)
def test_a_report_is_sent_until_its_item_shows_it(
    answers: list[Any], looks: list[ItemStatus | LaunchError | None], raised: type[LaunchError] | None, sent: int
) -> None:
    """A definite refusal is tried once more; the second one is reported to operators."""
    wandb, waiting = Answering(*answers), list(looks)
    budget = Budget(CALL_SECONDS)

    def look_up(queue: Queue, item_id: str, left: Budget) -> Answers[str, ItemStatus]:
        assert (queue, item_id, left) == (QUEUE, "i1", budget)
        seen = waiting.pop(0)
        if isinstance(seen, LaunchError):
            return Answers({}, {item_id: seen})
        return Answers({item_id: seen} if seen else {})

    def send() -> None:
        report(wandb.graphql, documents.FAIL, QUEUE, VALUES, cast(Callable[..., Any], look_up), budget)

    if raised is None:
        send()
    else:
        with pytest.raises(raised) as caught:
            send()
        if raised is Reject:
            assert str(caught.value) == "item: i1 is CLAIMED, and W&B refuses the report."
    assert wandb.asked == [(documents.FAIL, VALUES)] * sent
    assert waiting == []
