"""Each call of W&B's adapters × each way to fail: what it raises or returns, and how often it sends."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from shared.adapters.wandb import (
    Graphql,
    WandbFiles,
    WandbJobs,
    WandbKey,
    WandbQueueConfigs,
    WandbRunQueue,
    WandbSweeps,
)
from shared.adapters.wandb.answers import Lost, NotAllowed
from shared.adapters.wandb.graphql import CALL_SECONDS, DOWNLOAD_SECONDS, Body
from shared.adapters.wandb.queues import LOOK_SECONDS
from shared.core.budget import Budget
from shared.core.building import ArtifactFile
from shared.core.errors import LaunchError, OutcomeUnknown, Reject, Retry
from shared.core.launch import RunPath
from shared.core.message import Queue
from shared.core.ports import Answers
from tests.contract.broken import SHAPES, answer, bound, broken

KEY = "0123456789" * 4
QUEUE = Queue(entity="team", name="gpus")
RUN = RunPath("team", "cats", "r1")


class Brief(Graphql):
    """Notes the time that each request may take, and gives it little."""

    def __init__(self, url: str, shape: str) -> None:
        super().__init__(url, KEY)
        self.seconds: list[float] = []
        self._bound = bound(shape)

    def post(self, document: str, variables: Mapping[str, Any], body: Body, budget: Budget | None = None) -> None:
        """Send a mutation, once."""
        self.seconds.append(budget.left if budget else CALL_SECONDS)
        super().post(document, variables, body, Budget(self._bound))

    def chunks(self, address: str, limit: int, seconds: float = DOWNLOAD_SECONDS) -> Iterator[bytes]:
        """Yield a file."""
        self.seconds.append(seconds)
        return super().chunks(address, limit, self._bound)


def failures(answers: Answers[Any, Any]) -> set[type]:
    """Return the errors of a look at many things that found nothing."""
    assert not answers.found
    return {type(error) for error in answers.failed.values()} | ({set} if answers.hidden else set())


Expected = tuple[object, object, int]  # if W&B refuses; after any other failure; the most requests that one call sends
Calls = dict[str, tuple[Callable[[Graphql, str], object], Expected]]
CALLS: Calls = {
    # mutations that are not idempotent: sent once
    "pop": (lambda w, _: WandbRunQueue(w).pop(QUEUE, "a1"), (NotAllowed, OutcomeUnknown, 1)),
    "ack": (lambda w, _: WandbRunQueue(w).ack("i1", "r1"), (NotAllowed, OutcomeUnknown, 1)),
    # queries: repeated once
    "known_queues": (lambda w, _: WandbRunQueue(w).known_queues("team"), (NotAllowed, Lost, 2)),
    "register": (lambda w, _: WandbRunQueue(w).register("team", ["gpus"], {}), (NotAllowed, Lost, 2)),
    "heartbeat": (lambda w, _: WandbRunQueue(w).heartbeat("a1", running=True), (None, Lost, 2)),
    "cancel_sweep": (lambda w, _: WandbRunQueue(w).cancel_sweep(RUN), (Reject, Lost, 2)),
    "config_of": (lambda w, _: WandbQueueConfigs(w).config_of(QUEUE), (Reject, Lost, 2)),
    "state_of": (lambda w, _: WandbSweeps(w).state_of("team", "cats", "s1"), (Reject, Lost, 2)),
    "resolve": (lambda w, _: WandbJobs(w).resolve("team/cats/train:v0"), (Reject, Lost, 2)),
    "files_of": (lambda w, _: list(WandbFiles(w).files_of("team/cats/train:v0")), (Reject, Lost, 2)),
    "check_key": (lambda w, _: WandbKey(w).check(), (None, None, 2)),  # no answer counts as valid
    # a file: the caller repeats it
    "content": (lambda w, url: list(WandbFiles(w).content(ArtifactFile("x", 9, f"{url}/x"))), (Retry, Retry, 1)),
    # reports: repeated once, and then the item is looked for, whose look-up may repeat
    "fail_item": (lambda w, _: WandbRunQueue(w).fail_item(QUEUE, "i1", "no", "launch"), (NotAllowed, Lost, 8)),
    "warn_item": (lambda w, _: WandbRunQueue(w).warn_item(QUEUE, "i1", "no", "launch"), (NotAllowed, Lost, 8)),
    # looks at many: never raise; a service that does not work is given up after three errors
    "item_statuses": (
        lambda w, _: failures(WandbRunQueue(w).item_statuses([(QUEUE, f"i{n}") for n in range(3)])),
        ({NotAllowed}, {Lost}, 6),
    ),
    "run_statuses": (
        lambda w, _: failures(WandbRunQueue(w).run_statuses([RUN])),
        ({set}, {Lost}, 4),
    ),
}


def data(**fields: Any) -> bytes:
    """Return an answer of W&B."""
    return answer(200, {"data": fields})


def one(*path: str, **node: Any) -> bytes:
    """Return an answer with one object at a path."""
    for name in reversed(path[1:]):
        node = {name: node}
    return data(**{path[0]: node})


FILE = {"name": "a.py", "sizeBytes": 1, "md5": "x", "directUrl": "/a"}
PAGE = {"edges": [{"node": FILE}], "pageInfo": {"hasNextPage": True, "endCursor": "two"}}
FILES = ("project", "artifactCollection", "artifactMembership")
JOB = {
    "versionIndex": 0,
    "artifactCollection": {"name": "train", "project": {"name": "cats", "entity": {"name": "team"}}},
    "artifact": {"state": "COMMITTED", "digest": "d", "artifactType": {"name": "job"}},
}
# the first step works; the second, whose request contains this text, fails
SECOND: dict[str, tuple[Callable[[Graphql, str], object], bytes, bytes, Expected]] = {
    "register": (
        lambda w, _: WandbRunQueue(w).register("team", ["gpus"], {}),
        b"createLaunchAgent",
        data(project={"runQueues": [{"id": "q1", "name": "gpus"}]}),
        (NotAllowed, OutcomeUnknown, 1),  # not repeated: another agent would stay behind
    ),
    "heartbeat": (
        lambda w, _: WandbRunQueue(w).heartbeat("a1", running=True),
        b"updateLaunchAgent",
        one("launchAgent", id="a1", stopPolling=False),
        (None, Lost, 2),
    ),
    "cancel_sweep": (
        lambda w, _: WandbRunQueue(w).cancel_sweep(RUN),
        b"upsertSweep",
        one("project", "sweep", id="s1", state="RUNNING"),
        (Reject, Lost, 2),
    ),
    "config_of": (
        lambda w, _: WandbQueueConfigs(w).config_of(QUEUE),
        b"GetDefaultResourceConfig",
        one("project", "runQueue", id="q1", defaultResourceConfigID="c1"),
        (Reject, Lost, 2),
    ),
    "resolve": (
        lambda w, _: WandbJobs(w).resolve("team/cats/train:v0"),
        b"GetArtifactMembershipFileUrls",
        one("project", "artifactCollectionMembership", **JOB),
        (Reject, Lost, 2),
    ),
    "files_of": (
        lambda w, _: list(WandbFiles(w).files_of("team/cats/train:v0")),
        b'"cursor": "two"',
        one(*FILES, files=PAGE),
        (Reject, Lost, 2),  # half of the files are not the code
    ),
    "fail_item": (  # the item is there, and W&B does not take the report
        lambda w, _: WandbRunQueue(w).fail_item(QUEUE, "i1", "no", "launch"),
        b"failRunQueueItem",
        one("project", "runQueue", "runQueueItem", id="i1", state="CLAIMED"),
        (NotAllowed, Lost, 4),
    ),
    "run_statuses": (
        lambda w, _: failures(WandbRunQueue(w).run_statuses([RUN])),
        b'"cursor": "two"',
        one("project", runs={"edges": [], "pageInfo": {"hasNextPage": True, "endCursor": "two"}}),
        ({set}, {Lost}, 6),  # not absent: it may be on the second page
    ),
}


def outcome(act: Callable[[Graphql, str], object], graphql: Graphql, url: str) -> object:
    """Return what a call returns, or the class of the error that it raises."""
    try:
        return act(graphql, url)
    except LaunchError as exc:
        return type(exc)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_fails_as_its_port_says(call: str, shape: str) -> None:
    """A mutation whose answer is missing may have had its effect; a query may be sent again by the caller."""
    act, (refused, failed, most) = CALLS[call]
    with broken(shape) as server:
        graphql = Brief(server.url, shape)
        assert outcome(act, graphql, server.url) == (refused if shape == "refused" else failed)
        assert not server.read_to_its_end
        assert len(server.asked) <= most
        assert graphql.seconds
        assert max(graphql.seconds) <= max(CALL_SECONDS, LOOK_SECONDS, DOWNLOAD_SECONDS)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "nobody there"])
@pytest.mark.parametrize("call", SECOND)
def test_a_second_step_fails_like_the_first(call: str, shape: str) -> None:
    """A half of an answer counts as none."""
    act, wanted, right, (refused, failed, most) = SECOND[call]
    with broken(shape, wanted, right) as server:
        graphql = Brief(server.url, shape)
        assert outcome(act, graphql, server.url) == (refused if shape == "refused" else failed)
        assert not server.read_to_its_end
        assert 0 < sum(wanted in each for each in server.asked) <= most
