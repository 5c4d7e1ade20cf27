"""Questions about many runs and items at once: what is found, absent, hidden, and what is not known."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from shared.adapters.wandb.answers import Answer, Lost, NotAllowed, Refused
from shared.adapters.wandb.batches import PAGE, Part, ask_all
from shared.adapters.wandb.graphql import Graphql
from shared.adapters.wandb.item_statuses import ask_items, item_statuses
from shared.adapters.wandb.queues import WandbRunQueue
from shared.adapters.wandb.run_statuses import ask_runs
from shared.core.budget import Budget
from shared.core.errors import Denied, LaunchError, Retry
from shared.core.launch import RunPath
from shared.core.message import Queue
from shared.core.ports import ItemStatus, RunStatus

THINGS = [f"t{number}" for number in range(2 * PAGE + 1)]
NO, GONE, DOWN = Refused("W&B: no"), Lost("cut"), Retry("no connection")


class Asking:
    """Answers each group; things in `bad` make their group fail with this error."""

    def __init__(self, why: LaunchError = NO, *bad: str, silent: bool = False) -> None:
        self.why, self.bad, self.silent = why, bad, silent
        self.groups: list[list[str]] = []

    def __call__(self, group: Sequence[str], budget: Budget) -> Part[str, int]:
        """Return a number for each thing."""
        self.groups.append(list(group))
        if self.silent or set(self.bad) & set(group):
            raise self.why
        return Part(found={thing: int(thing[1:]) for thing in group})


def test_each_thing_is_asked_for_once_in_pages() -> None:
    """Two full pages and one more."""
    ask = Asking()
    seen = ask_all(THINGS, ask, Budget(60))
    assert seen.found == {thing: int(thing[1:]) for thing in THINGS}
    assert (seen.failed, seen.hidden) == ({}, frozenset())
    assert [len(group) for group in ask.groups] == [PAGE, PAGE, 1]
    assert sorted(thing for group in ask.groups for thing in group) == sorted(THINGS)
    assert ask_all([], Asking(), Budget(60)).found == {}


@pytest.mark.parametrize("why", [NO, GONE], ids=str)
def test_a_refused_group_is_split_until_the_culprits_stand_alone(why: LaunchError) -> None:
    """The others are answered; W&B answered at least one group in between."""
    ask = Asking(why, "t7", "t150")
    seen = ask_all(THINGS, ask, Budget(60))
    assert seen.failed == {"t7": why, "t150": why}
    assert seen.found.keys() == set(THINGS) - {"t7", "t150"}


@pytest.mark.parametrize(
    ("why", "asked"), [(NO, 16), (GONE, 3), (DOWN, 1), (Denied("401"), 1), (Refused("project not found"), 16)], ids=str
)
def test_a_service_that_answers_nothing_is_given_up(why: LaunchError, asked: int) -> None:
    """After as many errors as single requests can cause."""
    ask = Asking(why, silent=True)
    seen = ask_all(THINGS, ask, Budget(60))
    assert len(ask.groups) == asked
    assert seen.found == {}
    assert seen.failed == dict.fromkeys(THINGS, why)


def test_hidden_projects_do_not_end_the_questions() -> None:
    """A thousand hidden projects are no failure of W&B."""
    hidden = Refused("W&B: x", Answer(200, {}, [{"message": "project not found"}]))
    ask = Asking(hidden, silent=True)
    seen = ask_all(THINGS[:PAGE], ask, Budget(60))
    assert seen.failed == dict.fromkeys(THINGS[:PAGE], hidden)
    assert len(ask.groups) == 2 * PAGE - 1


def test_nothing_is_asked_without_time() -> None:
    """What was not asked is not a fact."""
    ask = Asking()
    seen = ask_all(THINGS, ask, Budget(0))
    assert ask.groups == []
    assert seen.found == {}
    assert seen.failed.keys() == set(THINGS)


class Wandb(Graphql):
    """W&B, with these answers one after another."""

    def __init__(self, *answers: Mapping[str, Any] | LaunchError) -> None:
        super().__init__("https://api.wandb.test", "k" * 40)
        self.answers = list(answers)
        self.asked: list[Mapping[str, Any]] = []

    def query(self, document: str, variables: Mapping[str, Any], budget: Budget | None = None) -> dict[str, Any]:
        """Note the variables, and answer."""
        assert budget is not None
        assert all(f"${name}" in document for name in variables)
        self.asked.append(dict(variables))
        answer = self.answers.pop(0)
        if isinstance(answer, LaunchError):
            raise answer
        return dict(answer)


def partial(data: Mapping[str, Any] | None, *errors: Mapping[str, Any]) -> Refused:
    """Return an answer with errors, and a part of the data."""
    return Refused("W&B refuses", Answer(200, data, errors))


R1, R2, OTHER = RunPath("team", "cats", "r1"), RunPath("team", "cats", "r2"), RunPath("team", "dogs", "r1")
RUNNING, STOPPED = RunStatus("running", False), RunStatus("finished", True)


def runs(*nodes: Mapping[str, Any], cursor: str | None = None, more: object = False) -> dict[str, Any]:
    """Return a project's list of runs."""
    return {"runs": {"edges": [{"node": node} for node in nodes], "pageInfo": {"endCursor": cursor,
            "hasNextPage": more}}}  # fmt: skip


N1 = {"name": "r1", "state": "RUNNING", "stopped": None}
N2 = {"name": "r2", "state": "finished", "stopped": True}
STRANGE = {"name": "r9", "state": "running"}


def ask(*answers: Mapping[str, Any] | LaunchError, about: Sequence[RunPath] = (R1, R2)) -> Part[RunPath, RunStatus]:
    """Ask for runs."""
    return ask_runs(Wandb(*answers), about, Budget(60))


def test_runs_are_found_in_their_projects() -> None:
    """A run that the list lacks is absent; another run's name is none of ours."""
    wandb = Wandb({"a0": runs(N1, STRANGE), "a1": runs(N1)})
    seen = ask_runs(wandb, [R1, OTHER, R2], Budget(60))
    assert seen == Part(found={R1: RUNNING, OTHER: RUNNING}, absent={R2})
    assert wandb.asked == [
        {
            "entityName0": "team",
            "projectName0": "cats",
            "filters0": json.dumps({"name": {"$in": ["r1", "r2"]}}),
            "perPage0": 2,
            "entityName1": "team",
            "projectName1": "dogs",
            "filters1": json.dumps({"name": {"$in": ["r1"]}}),
            "perPage1": 1,
        }
    ]


def test_a_short_page_is_followed_by_the_next() -> None:
    """From its cursor, until all runs are found or the list ends."""
    wandb = Wandb({"project": runs(N1, cursor="c1", more=True)}, {"project": runs(N2, cursor="c2", more=True)})
    assert ask_runs(wandb, [R1, R2], Budget(60)) == Part(found={R1: RUNNING, R2: STOPPED})
    assert [asked.get("cursor") for asked in wandb.asked] == [None, "c1"]
    ended = ask({"project": runs(N1, cursor="c1", more=True)}, {"project": runs()})
    assert ended == Part(found={R1: RUNNING}, absent={R2})


@pytest.mark.parametrize(
    "answers",
    [
        ({"project": runs(N1, more=True)},),  # no cursor
        ({"project": runs(N1, cursor="c", more=True)}, {"project": runs(cursor="c", more=True)}),
        ({"project": runs(N1, cursor="c")["runs"]},),  # no list
        ({"project": runs(N1, {"name": "r2"})},),
        ({"project": runs(N1, {"state": "running"})},),
        ({"project": runs(N1, {"name": "r2", "state": ""})},),
        ({"project": runs(N1, more=None)},),
        ({"project": runs(N1, cursor="c", more=True)}, DOWN),
        (partial({"project": runs(N1)}, {"message": "later", "path": ["project"]}),),
        (partial({"project": runs(N1)}, {"message": "later"}),),
        ({"project": 5},),
        ({},),
    ],
)
def test_a_list_that_may_lack_a_run_leaves_it_in_doubt(answers: tuple[Any, ...]) -> None:
    """Its run may exist."""
    seen = ask(*answers)
    assert seen.absent == set()
    assert seen.hidden == set()
    ((doubtful, why),) = seen.doubts
    assert set(doubtful) == {R1, R2} - seen.found.keys()
    assert isinstance(why, LaunchError)


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        (({"project": None},), {}),
        ((partial({"project": runs(N1)}, {"message": "permission denied", "path": ["project"]}),), {R1: RUNNING}),
        ((partial(None, {"message": "project not found"}), partial(None, {"message": "project not found"})), {}),
    ],
)
def test_a_project_that_the_key_cannot_see_hides_its_runs(answers: tuple[Any, ...], found: dict[Any, Any]) -> None:
    """W&B says the same of a project that does not exist; during an outage only once."""
    assert ask(*answers) == Part(found=found, hidden={R1, R2} - found.keys())


def test_an_outage_that_hides_a_project_is_over_at_the_second_question() -> None:
    """Other refusals, and those of several projects, are not repeated."""
    hides = partial(None, {"message": "project not found"})
    assert ask(hides, {"project": runs(N1, N2)}) == Part(found={R1: RUNNING, R2: STOPPED})
    with pytest.raises(Refused, match="W&B refuses"):
        ask(partial(None, {"message": "no"}))
    with pytest.raises(Refused, match="W&B refuses"):
        ask(hides, about=[R1, OTHER])


# --- items

QUEUE, HIDDEN_QUEUE = Queue(entity="team", name="vertex"), Queue(entity="team", name="other")
I1, I2 = (QUEUE, "i1"), (QUEUE, "i2")


def shown(**item: object) -> dict[str, Any]:
    """Return a project's queue with an item."""
    return {"runQueue": {"runQueueItem": item or None}}


def names(entity: str, budget: Budget) -> frozenset[str]:
    """Return the queues that the key sees."""
    assert (entity, budget.left > 0) == ("team", True)
    return frozenset(["vertex"])


FOUND = shown(id="i1", state="claimed", associatedRunId="r1")


@pytest.mark.parametrize(
    ("project", "part"),
    [
        (FOUND, Part(found={I1: ItemStatus("CLAIMED", "r1")})),
        (shown(state="PENDING", associatedRunId=None), Part(found={I1: ItemStatus("PENDING", "")})),
        (shown(), Part(absent={I1})),
    ],
)
def test_an_item_is_found_or_absent(project: Any, part: Any) -> None:
    """Absent only in a queue that W&B shows."""
    wandb = Wandb({"project": project})
    assert ask_items(wandb, [I1], names, Budget(60)) == part
    assert wandb.asked == [
        {"entityName": "team", "projectName": "model-registry", "runQueue": "vertex", "itemId": "i1"}
    ]


@pytest.mark.parametrize(
    ("project", "kind", "words"),
    [
        (None, NotAllowed, "W&B does not show this key the queues in model-registry of team"),
        ({"runQueue": None}, NotAllowed, "W&B does not show this key the queue vertex in model-registry of team"),
        ({}, Refused, "W&B's answer lacks the state of item i1"),
        (shown(id="i1"), Refused, "W&B's answer lacks the state of item i1"),
        (shown(state=""), Refused, "W&B's answer lacks the state of item i1"),
        (shown(state=5), Refused, "W&B's answer lacks the state of item i1"),
    ],
)
def test_an_item_that_is_not_shown_is_no_fact(project: Any, kind: type[LaunchError], words: str) -> None:
    """The error says what is missing."""
    seen = ask_items(Wandb({"project": project}), [I1], names, Budget(60))
    assert (seen.found, seen.absent, seen.doubts) == ({}, set(), [])
    assert str(seen.failed[I1]) == words
    assert type(seen.failed[I1]) is kind


def test_the_items_of_a_deleted_queue_are_absent() -> None:
    """Its entity's other queues are visible, and it is not among them."""
    gone = (HIDDEN_QUEUE, "i9")
    assert ask_items(Wandb({"project": {"runQueue": None}}), [gone], names, Budget(60)) == Part(absent={gone})


@pytest.mark.parametrize(("message", "absent"), [("run queue item not found", True), ("queue not found", False),
                                                 ("no", None)])  # fmt: skip
@pytest.mark.parametrize("others", [True, False])
def test_a_message_tells_what_is_missing(message: str, absent: bool | None, others: bool) -> None:
    """The item, its queue, or nothing that is a fact."""
    asked, alias = ([I1, I2], "a0") if others else ([I1], "project")
    data = {"a0": None, "a1": FOUND} if others else None
    answer = partial(data, {"message": message, "path": [alias, "runQueue"]})
    if absent is None and not others:
        with pytest.raises(Refused, match="W&B refuses"):
            ask_items(Wandb(answer), asked, names, Budget(60))
        return
    seen = ask_items(Wandb(answer), asked, names, Budget(60))
    assert (I1 in seen.absent) == bool(absent)
    assert (I1 in seen.failed) == (not absent)
    assert all(isinstance(why, Refused) for why in seen.failed.values())
    assert (I2 in seen.found) == others


@pytest.mark.parametrize(
    ("raised", "failed"), [(Refused("no"), True), (DOWN, False)], ids=["W&B refuses", "no connection"]
)
def test_queues_that_cannot_be_listed_leave_the_item_open(raised: LaunchError, failed: bool) -> None:
    """A refusal concerns this item; a lost connection, all."""

    def cannot(entity: str, budget: Budget) -> frozenset[str]:
        raise raised

    seen = ask_items(Wandb({"project": {"runQueue": None}}), [I1], cannot, Budget(60))
    assert seen.failed == ({I1: raised} if failed else {})
    assert seen.doubts == ([] if failed else [([I1], raised)])


def test_an_error_without_a_place_leaves_what_is_not_shown_in_doubt() -> None:
    """What is shown is a fact."""
    answer = partial({"a0": FOUND, "a1": shown()}, {"message": "later"})
    seen = ask_items(Wandb(answer), [I1, I2], names, Budget(60))
    assert seen.found == {I1: ItemStatus("CLAIMED", "r1")}
    assert [doubtful for doubtful, _ in seen.doubts] == [[I2]]


def test_an_entitys_queues_are_listed_once() -> None:
    """However many of its items are missing."""
    listed: list[str] = []

    def count(entity: str, budget: Budget) -> frozenset[str]:
        listed.append(entity)
        return frozenset()

    wandb = Wandb({"a0": {"runQueue": None}, "a1": {"runQueue": None}})
    seen = item_statuses(wandb, [I1, I2, I1], count, Budget(60))
    assert (seen.found, seen.failed, listed) == ({}, {}, ["team"])
    refused = item_statuses(Wandb({"project": None}), [I1], count, Budget(60))
    assert isinstance(refused.failed["i1"], NotAllowed)


def test_only_runs_with_an_entity_and_a_project_are_asked_for() -> None:
    """Each of them once."""
    wandb = Wandb({"project": runs(N1)})
    seen = WandbRunQueue(wandb).run_statuses([R1, R1, RunPath("", "cats", "r1"), RunPath("team", "", "r1")])
    assert (seen.found, len(wandb.asked)) == ({R1: RUNNING}, 1)
