"""The arguments of the installed SDK: the shape of each annotation and message, and values in the SDK's own types."""

# ruff: noqa: UP007, UP045 - the SDK writes its annotations so

from typing import Any, Optional, Union

import pytest
from google.cloud import aiplatform
from google.cloud.aiplatform_v1.types import CustomJob, PscInterfaceConfig, Scheduling, WorkerPoolSpec

from shared.adapters.vertex.submit.arguments import _message, _shape, argument_names, typed
from shared.core.shape import Shape

STRATEGY = Shape("choice", choices={member.name: int(member) for member in Scheduling.Strategy})
SHAPES: list[tuple[Any, Shape]] = [
    (bool, Shape("flag")),
    (int, Shape("whole")),
    (float, Shape("number")),
    (str, Shape("text")),
    (Optional[int], Shape("whole")),
    (Union[int, float], Shape()),
    (Union[int, dict[str, str]], Shape()),
    (list[str], Shape()),
    (Optional[dict[str, str]], Shape()),
    (Optional["aiplatform.Experiment"], Shape()),
    (Union["aiplatform.Experiment", str, None], Shape("text")),
    (Any, Shape()),
    (None, Shape()),
    (Optional[Scheduling.Strategy], STRATEGY),
    (Union[str, Scheduling.Strategy], STRATEGY),
]


@pytest.mark.parametrize(("annotation", "shape"), SHAPES, ids=str)
def test_the_shape_of_an_annotation(annotation: Any, shape: Shape) -> None:
    """Of one scalar, an enum or a message; the SDK checks all others."""
    assert _shape(annotation) == shape


@pytest.mark.parametrize(
    ("annotation", "repeated"),
    [
        (PscInterfaceConfig, False),
        (Optional[PscInterfaceConfig], False),
        (Union[list[dict[str, Any]], list[PscInterfaceConfig]], True),
    ],
    ids=str,
)
def test_the_shape_of_a_message(annotation: Any, repeated: bool) -> None:
    """Its fields, and those of the messages in it."""
    text = Shape("text")
    peering = {"domain": text, "target_project": text, "target_network": text}
    fields = {
        "network_attachment": text,
        "dns_peering_configs": Shape("message", repeated=True, fields=peering),
    }
    assert _shape(annotation) == Shape("message", repeated=repeated, fields=fields)


FIELDS = {
    "name": Shape("text"),
    "satisfies_pzs": Shape("flag"),
    "create_time": Shape(),  # JSON writes Google's own types as texts,
    "labels": Shape(),  # and maps without names of fields
    "job_spec.scheduling.timeout": Shape(),
    "job_spec.scheduling.strategy": STRATEGY,
    "job_spec.scheduling.restart_job_on_worker_restart": Shape("flag"),
    "job_spec.worker_pool_specs.replica_count": Shape("whole"),
    "job_spec.worker_pool_specs.machine_spec.accelerator_count": Shape("whole"),
    "job_spec.worker_pool_specs.container_spec.args": Shape("text", repeated=True),
    "job_spec.persistent_resource_id": Shape("text"),
    "error.code": Shape("whole"),
    "error.details": Shape(),
}


@pytest.mark.parametrize("path", FIELDS)
def test_the_shape_of_a_field(path: str) -> None:
    """As the library's descriptors declare it."""
    shape = _message(CustomJob.pb(CustomJob()).DESCRIPTOR)
    assert (shape.kind, shape.repeated) == ("message", False)
    for name in path.split("."):
        shape = shape.fields[name]
    assert shape == FIELDS[path]


def test_the_names_that_the_sdk_takes() -> None:
    """For the constructor, for run() and for submit(); `self` is none of them."""
    names = argument_names()
    assert names.keys() == {"constructor", "run", "submit", "shapes", "locations"}
    assert {"display_name", "worker_pool_specs", "project", "labels"} <= names["constructor"]
    assert names["run"] - names["submit"] == {"sync"}
    assert {"timeout", "service_account", "create_request_timeout"} <= names["submit"]
    assert not {each for name in ("constructor", "run", "submit") for each in names[name] if each == "self"}
    assert names["shapes"]["timeout"] == Shape("whole")
    assert names["shapes"]["display_name"] == Shape("text")
    assert {"us-central1", "europe-west4"} <= names["locations"]


def test_plain_data_become_the_sdks_types() -> None:
    """Members of enums by their names, and messages; anything else stays, also under a name that it does not know."""
    found = typed({"scheduling_strategy": "SPOT", "psc_interface_config": {"network_attachment": "n"}, "timeout": 5})
    assert found == {
        "scheduling_strategy": Scheduling.Strategy.SPOT,
        "psc_interface_config": PscInterfaceConfig(network_attachment="n"),
        "timeout": 5,
    }
    assert isinstance(found["scheduling_strategy"], Scheduling.Strategy)
    given = {
        "scheduling_strategy": 3,
        "psc_interface_config": PscInterfaceConfig(network_attachment="n"),
        "network": "SPOT",
        "timeout": None,
        "unknown": {"a": 1},
    }
    kept = typed(given)
    assert kept == given
    assert all(kept[name] is value for name, value in given.items())
    assert typed({"psc_interface_config": "odd"}) == {"psc_interface_config": "odd"}
    with pytest.raises(KeyError):
        typed({"scheduling_strategy": "NO_SUCH"})


def test_a_pool_has_the_fields_that_a_queue_may_name() -> None:
    """All of the installed library's."""
    pools = argument_names()["shapes"]["worker_pool_specs"]
    assert (pools.kind, pools.repeated) == ("message", True)
    assert pools.fields.keys() == {field.name for field in WorkerPoolSpec.pb(WorkerPoolSpec()).DESCRIPTOR.fields}
