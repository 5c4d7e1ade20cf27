"""A queue completes a request as W&B completes an item; refusals name the fix."""

import copy
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb.sdk.launch.errors import LaunchError as WandbLaunchError
from wandb.sdk.launch.utils import fetch_and_validate_template_variables

from deploy.local.servers.wandb.state import State
from shared.core.errors import Reject
from shared.core.intake import from_item, from_request
from shared.core.message import Queue, Request
from shared.core.queueconfig import QueueConfig
from shared.runspec.defaults import complete
from shared.runspec.model import Draft
from shared.runspec.templates import template_values
from tests.fakes import FakeQueueConfigs

QUEUE = Queue(entity="team", name="vertex")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = {"entity": "team", "project": "cats", "docker": {"docker_image": "gcr.io/p/i"}}
ARGUMENTS = {
    "gcp-vertex": {
        "spec": {
            "worker_pool_specs": [
                {"replica_count": "{{replicas}}", "machine_spec": {"machine_type": "n1-{{ kind }}-4"}}
            ],
            "labels": {"{{kind}}": "${run_id} {{unknown}} {{spot}}"},
        },
        "run": {"timeout": "{{hours}}"},
    }
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "replicas": {"type": "integer", "minimum": 1, "maximum": 8, "default": 2},
    "kind": {"type": "string", "enum": ["standard", "highmem"]},
    "spot": {"type": "boolean", "default": True},
    "hours": {"type": "number", "minimum": 0.5, "default": 1.5},
}


def config(**changes: Any) -> QueueConfig:
    """Return the configuration of a queue with template variables, with these parts changed."""
    whole = {
        "id": "q1",
        "resource": "gcp-vertex",
        "config": {"resource_args": ARGUMENTS},
        "template_variables": SCHEMAS,
    }
    return QueueConfig(**{**whole, **changes})


def launch(queue: Queue | None = QUEUE, **changes: Any) -> Draft:
    """Open the launch of a request with this run spec."""
    request = Request(source="ci", idempotency_key="1", run_spec={**SPEC, **changes}, queue=queue)
    return Draft.of(from_request(request, NOW))


VALUES = st.fixed_dictionaries(
    {"kind": st.sampled_from(["standard", "highmem"])},
    optional={"replicas": st.integers(1, 8), "hours": st.floats(0.5, 99), "spot": st.booleans()},
)


@given(VALUES)
def test_a_request_gets_what_an_item_gets(values: dict[str, Any]) -> None:
    """Filled in by us as W&B's stand-in fills in what is pushed, the text's own type included; nothing else changes."""
    wandb = State()
    wandb.make_queue("team", "vertex", config={"resource_args": ARGUMENTS}, template_variables=SCHEMAS)
    queue = wandb.queues.by_path["team", "model-registry", "vertex"]
    item = wandb.queues.push(queue, copy.deepcopy(SPEC), None, values)
    queues = FakeQueueConfigs({QUEUE: config()})
    assert complete(launch(template_variables=values), queues).launch.run_spec == item.run_spec


def test_a_launch_that_needs_no_queue_is_unchanged() -> None:
    """An item, a request with everything itself, one without a queue; and what was completed before."""
    queues = FakeQueueConfigs({QUEUE: config()}, unreachable=AssertionError("W&B was asked"))
    for one in (
        Draft.of(from_item("item-1", QUEUE, dict(SPEC), NOW)),
        launch(resource_args=ARGUMENTS),
        launch(resource_args=ARGUMENTS, template_variables={}),
        launch(None, resource_args=ARGUMENTS, template_variables={"kind": "standard"}),
        launch(None),
    ):
        assert complete(one, queues) is one
    asked = complete(launch(template_variables={"kind": "highmem"}), FakeQueueConfigs({QUEUE: config()}))
    assert complete(asked, queues) is asked


def test_a_configuration_is_not_changed_by_what_is_made_of_it() -> None:
    """The next request gets the same."""
    given_ = config(config=copy.deepcopy({"resource_args": ARGUMENTS}))
    complete(launch(template_variables={"kind": "highmem"}), FakeQueueConfigs({QUEUE: given_}))
    assert given_.config == {"resource_args": ARGUMENTS}


KIND = {"template_variables": {"kind": "standard"}}
REFUSED: list[tuple[QueueConfig | None, dict[str, Any], str, str, str]] = [
    (None, {}, "queue", "W&B has no queue vertex of team", "or leave queue out and give resource_args"),
    (config(resource="kubernetes"), KIND, "queue", "is of type kubernetes", "Name a queue of type GCP Vertex"),
    (QueueConfig("q1"), {}, "queue", "has no configuration for Vertex AI", "Fill in its configuration in W&B"),
    (config(config={"resource_args": {"gcp-vertex": {}}}), KIND, "queue", "has no configuration for", "Fill in"),
    (config(config={"resource_args": []}), KIND, "queue.resource_args", "should be an object", ""),
    (config(), {**KIND, "resource_args": ARGUMENTS}, "template_variables", "its own resource_args", "Leave one"),
    (config(), {"template_variables": ["kind"]}, "template_variables", "should be an object", ""),
    (config(), {}, "template_variables.kind", "is missing", "Write a string, one of 'standard',"),
    (config(), {"template_variables": {"kind": "huge"}}, "template_variables.kind", "is 'huge'", "one of 'standard'"),
    (config(), {"template_variables": {"knd": "x"}}, "template_variables.knd", "is not a template", "you mean kind?"),
    (config(), {"template_variables": {"x": 1}}, "template_variables.x", "is not a template", "Known: hours, kind,"),
]  # fmt: skip


@pytest.mark.parametrize(("found", "spec", "field", "problem", "fix"), REFUSED, ids=range(len(REFUSED)))
def test_a_refusal_names_the_field_and_the_fix(
    found: QueueConfig | None, spec: dict[str, Any], field: str, problem: str, fix: str
) -> None:
    """The queue, or the template variable."""
    queues = FakeQueueConfigs({QUEUE: found} if found else {})
    with pytest.raises(Reject) as refused:
        complete(launch(**spec), queues)
    assert refused.value.field == field
    assert problem in str(refused.value)
    assert fix in str(refused.value).partition(problem)[2]


INTEGER, NUMBER = {"type": "integer", "minimum": 1, "maximum": 8}, {"type": "number", "maximum": 0.5}
TAKEN: list[tuple[dict[str, Any], Any, Any]] = [
    (INTEGER, 1, 1), (INTEGER, 8.0, 8), (INTEGER, "4", 4), (NUMBER, "0.25", 0.25),
    (NUMBER, -1, -1),
    ({"type": "string"}, "", ""), ({"type": "boolean"}, False, False), ({}, [1], [1]), ({"type": "array"}, [1], [1]),
    ({"type": "number", "enum": [1, 2.5]}, 1.0, 1.0), ({"enum": ["a", 1]}, "a", "a"),
    ({"type": "integer", "minimum": None, "default": 3}, None, 3),
]  # fmt: skip
WRONG: list[tuple[dict[str, Any], Any, str]] = [
    (INTEGER, 0, "is 0"), (INTEGER, 9, "at least 1, at most 8"), (INTEGER, 1.5, "is 1.5"), (INTEGER, True, "is True"),
    (INTEGER, "four", "is 'four'"), (INTEGER, "1_0", "is '1_0'"),
    (INTEGER, "4.0", "is '4.0'"), (INTEGER, [1], "is a list"), (NUMBER, "nan", "number"),
    (NUMBER, 1e999, "at most 0.5"), (NUMBER, 0.51, "is 0.51"), ({"type": "string"}, 1, "Write a string"),
    ({"type": "boolean"}, 1, "Write true or false"), ({"type": "integer", "enum": [1]}, 2, "one of 1"),
    ({"enum": [1]}, True, "is True"), ({"enum": ["1"]}, 1, "is 1"),
    (INTEGER, 10**401, "more than 300 digits"), ({"type": "number"}, -(10**401), "more than 300 digits"),
    ({"type": "integer"}, 10**5000, "more than 300 digits"), ({"maximum": 8}, 10**401, "more than 300 digits"),
    ({"type": "integer"}, "9" * 401, "is '999"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "wanted"), TAKEN, ids=range(len(TAKEN)))
def test_a_value_that_fits_takes_its_type(schema: dict[str, Any], value: Any, wanted: Any) -> None:
    """A number also out of a text."""
    [(name, taken)] = template_values({"x": schema}, {"x": value}).items()
    assert (name, taken, type(taken)) == ("x", wanted, type(wanted))


@pytest.mark.parametrize(("schema", "value", "message"), WRONG, ids=range(len(WRONG)))
def test_a_value_that_does_not_fit_is_refused(schema: dict[str, Any], value: Any, message: str) -> None:
    """With what would fit."""
    with pytest.raises(Reject) as refused:
        template_values({"x": schema}, {"x": value})
    assert refused.value.field == "template_variables.x"
    assert message in str(refused.value)


@pytest.mark.parametrize("kind", ["integer", "number", "string"])
@pytest.mark.parametrize("text", ["4", "-1", "0.5", "1e3", "four", "", "4a"])
def test_a_text_means_what_it_means_on_wandbs_command_line(kind: str, text: str) -> None:
    """The installed wandb's `--set-var x=TEXT` sends the same value, or refuses it too."""
    schema = {"type": kind}
    queue = SimpleNamespace(name="vertex", template_variables=[{"name": "x", "schema": json.dumps(schema)}])
    try:
        wanted = fetch_and_validate_template_variables(queue, {f"x={text}": None})
    except WandbLaunchError:
        with pytest.raises(Reject):
            template_values({"x": schema}, {"x": text})
        return
    assert template_values({"x": schema}, {"x": text}) == wanted


ANY = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**500), 10**500)
    | st.floats()
    | st.text()
    | st.sampled_from(["standard", 4])
)


@given(st.fixed_dictionaries({"kind": ANY}, optional={"replicas": ANY, "hours": ANY, "x": ANY}))
def test_any_value_is_taken_or_refused(values: dict[str, Any]) -> None:
    """Whatever a publisher writes; what is taken is of its schema's type."""
    try:
        taken = template_values(SCHEMAS, values)
    except Reject:
        return
    assert taken["kind"] in SCHEMAS["kind"]["enum"]
    assert type(taken["replicas"]) is int
