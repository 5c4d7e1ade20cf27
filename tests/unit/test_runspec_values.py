"""Values of YAML for each argument, and the SDK's values that they become, by the shapes of the installed SDK."""

from typing import Any

import pytest
from google.cloud import aiplatform
from google.cloud.aiplatform_v1.types import AcceleratorType, Scheduling

from shared.adapters.vertex.submit import argument_names
from shared.core.errors import Reject
from shared.core.ports import CustomJobCall
from shared.runspec.render import ArgumentNames, render
from tests.unit.specs import SITE, draft_of, put, run_spec

NAMES = ArgumentNames(**argument_names())
SPEC = ("resource_args", "gcp-vertex", "spec")
RUN = ("resource_args", "gcp-vertex", "run")
POOL = (*SPEC, "worker_pool_specs", 0)
PSC = {"network_attachment": "na", "dns_peering_configs": [{"domain": "a.", "target_project": "p"}]}


def rendered(path: tuple[Any, ...], value: Any) -> CustomJobCall:
    """Render a spec with this one value, as the installed SDK wants it."""
    return render(draft_of(put(run_spec(), path, value)), SITE, NAMES)


def test_every_argument_of_the_installed_sdk_has_a_shape() -> None:
    """All but two: credentials, which no queue may have, and labels, which are checked for themselves."""
    arguments = NAMES.constructor | NAMES.run | NAMES.submit
    assert {name for name in arguments if NAMES.shapes[name].kind == "any"} == {"credentials", "labels"}
    assert NAMES.submit <= NAMES.run
    assert NAMES.run - NAMES.submit == {"sync"}


def test_the_names_of_enums_are_the_installed_sdks() -> None:
    """Of an argument and, in a worker pool, of a message's field."""
    machine = NAMES.shapes["worker_pool_specs"].fields["machine_spec"]
    assert set(NAMES.shapes["scheduling_strategy"].choices) == set(Scheduling.Strategy.__members__)
    assert set(machine.fields["accelerator_type"].choices) == set(AcceleratorType.__members__)


@pytest.mark.parametrize(
    ("name", "written", "sent"),
    [
        ("scheduling_strategy", "SPOT", "SPOT"),
        ("scheduling_strategy", "flex_start", "FLEX_START"),
        ("scheduling_strategy", " Flex-Start ", "FLEX_START"),
        ("scheduling_strategy", "Scheduling.Strategy.STANDARD", "STANDARD"),
        ("scheduling_strategy", "on_demand", "ON_DEMAND"),
        ("scheduling_strategy", 4, "SPOT"),
        ("timeout", 3600, 3600),
        ("timeout", "3600", 3600),
        ("timeout", "3600s", 3600),
        ("timeout", 90.0, 90),
        ("max_wait_duration", "0s", 0),
        ("max_wait_duration", 0, 0),
        ("create_request_timeout", "7.5", 7.5),
        ("create_request_timeout", "30s", 30),
        ("enable_web_access", "True", True),
        ("restart_job_on_worker_restart", "false", False),
        ("disable_retries", True, True),
        ("psc_interface_config", PSC, PSC),
        ("network", "projects/1/global/networks/n", "projects/1/global/networks/n"),
        ("experiment", "cats", "cats"),
        ("experiment_run", "cats-1", "cats-1"),
    ],
)
def test_values_of_yaml_become_values_of_the_sdk(name: str, written: Any, sent: Any) -> None:
    """Texts, numbers in quotes, objects; the type is right too."""
    got = rendered((*RUN, name), written).submit[name]
    assert (got, type(got)) == (sent, type(sent))


@pytest.mark.parametrize("name", ["timeout", "scheduling_strategy", "network", "psc_interface_config"])
def test_null_is_as_if_it_were_not_there(name: str) -> None:
    """So is an enum's empty text, which a form leaves."""
    assert name not in rendered((*RUN, name), None).submit
    assert "scheduling_strategy" not in rendered((*RUN, "scheduling_strategy"), "").submit


@pytest.mark.parametrize(
    ("field", "written", "sent"),
    [
        ("accelerator_type", "nvidia_tesla_t4", "NVIDIA_TESLA_T4"),
        ("accelerator_type", 5, "NVIDIA_TESLA_T4"),
        ("accelerator_count", "2", 2),
        ("accelerator_count", 2.0, 2),
        (
            "reservation_affinity",
            {"reservation_affinity_type": "specific_reservation", "key": "k", "values": ["v"]},
            {"reservation_affinity_type": "SPECIFIC_RESERVATION", "key": "k", "values": ["v"]},
        ),
    ],
)
def test_values_inside_a_worker_pool_too(field: str, written: Any, sent: Any) -> None:
    """At any depth; and the installed SDK builds its message of it."""
    call = rendered((*POOL, "machine_spec", field), written)
    pool = call.constructor["worker_pool_specs"][0]
    assert pool["machine_spec"][field] == sent
    assert aiplatform.gapic.WorkerPoolSpec(pool).machine_spec.machine_type == "n1-standard-4"


REFUSED: list[tuple[tuple[Any, ...], Any, str]] = [
    (
        (*RUN, "scheduling_strategy"),
        "FLEXSTART",
        "run.scheduling_strategy: is 'FLEXSTART', which Vertex AI does not know",
    ),
    (
        (*RUN, "scheduling_strategy"),
        "FLEXSTART",
        "Did you mean FLEX_START? Valid: ON_DEMAND, LOW_COST, STANDARD, SPO",
    ),
    ((*RUN, "scheduling_strategy"), 77, "run.scheduling_strategy: is '77'"),
    (
        (*RUN, "scheduling_strategy"),
        ["SPOT"],
        "run.scheduling_strategy: should be one of the names below, but is a list",
    ),
    ((*RUN, "timeout"), "2h", "run.timeout: is '2h', but Vertex AI counts in seconds. Write 7200 or \"7200s\"."),
    (
        (*RUN, "max_wait_duration"),
        "1 d",
        "run.max_wait_duration: is '1 d', but Vertex AI counts in seconds. Write 86400",
    ),
    ((*RUN, "timeout"), "9" * 5000, "run.timeout: should be a number of seconds, but is '99999"),
    ((*RUN, "timeout"), "soon", "run.timeout: should be a number of seconds, but is 'soon'. Write 3600"),
    ((*RUN, "timeout"), 1.5, "run.timeout: is 1.5. Write a whole number."),
    ((*RUN, "timeout"), True, "run.timeout: should be a number of seconds, but is true or false"),
    ((*RUN, "timeout"), -1, "run.timeout: is -1 seconds"),
    ((*RUN, "timeout"), 10**14, "run.timeout: is 100000000000000 seconds"),
    ((*RUN, "timeout"), [1], "run.timeout: should be a number, but is a list"),
    ((*RUN, "create_request_timeout"), 0, "run.create_request_timeout: is 0. Write a number of seconds from 1."),
    (
        (*RUN, "create_request_timeout"),
        1e-308,
        "run.create_request_timeout: is 1e-308. Write a number of seconds from 1.",
    ),
    ((*RUN, "create_request_timeout"), "x", "run.create_request_timeout: should be a number, but is 'x'"),
    ((*RUN, "enable_web_access"), "maybe", "run.enable_web_access: should be true or false, but is a text"),
    ((*RUN, "network"), 5, "run.network: should be a text, but is a number"),
    ((*RUN, "psc_interface_config"), "na", "run.psc_interface_config: should be an object, but is a text"),
    (
        (*RUN, "psc_interface_config"),
        {"networkAttachment": "n"},
        "networkAttachment: is not known here",
    ),
    ((*RUN, "psc_interface_config"), {"networkAttachment": "n"}, "Did you mean network_attachment?"),
    ((*RUN, "psc_interface_config"), {"dns_peering_configs": [None]}, "dns_peering_configs[0]: should be an object"),
    (
        (*RUN, "shedule_strategy"),
        "SPOT",
        "run.shedule_strategy: is not known here; its value is a text. Did you mean schedu",
    ),
    ((*SPEC, "base_output_directory"), "gs://x", "Did you mean base_output_dir?"),
    ((*POOL, "machineSpec"), {}, "worker_pool_specs[0].machineSpec: is not known here. Did you mean machine_spec?"),
    ((*POOL, "replica_count"), "two", "worker_pool_specs[0].replica_count: should be a number, but is 'two'"),
    ((*POOL, "replica_count"), 1.5, "worker_pool_specs[0].replica_count: is 1.5. Write a whole number."),
    (
        (*POOL, "machine_spec", "accelerator_type"),
        "T4",
        "machine_spec.accelerator_type: is 'T4', which Vertex AI does not",
    ),
    ((*POOL, "machine_spec", "accelerator_type"), "NVIDIA_T4", "Did you mean NVIDIA_"),
    (
        (*POOL, "machine_spec", "machine_typ"),
        "n1",
        "machine_spec.machine_typ: is not known here; its value is a text. Did you mean m",
    ),
    (
        (*SPEC, "worker_pool_specs", 0),
        {"machineSpec": {"machineType": "n1-standard-4"}, "container_spec": {"image_uri": "x"}},
        "Did you mean machine_spec?",
    ),
    ((*POOL, "machine_spec", "machine_type"), 5, "machine_spec.machine_type: should be a text, but is a number"),
    ((*POOL, "zzz"), "n1", "Known: container_spec, disk_spec"),
    ((*POOL, "container_spec", "volume"), "s3cret", "container_spec.volume: is not known here; its value is a text."),
]


@pytest.mark.parametrize(("path", "value", "message"), REFUSED)
def test_the_author_reads_the_field_the_value_and_what_fits(path: tuple[Any, ...], value: Any, message: str) -> None:
    """Before anything is sent; of a text that may be secret, not the value."""
    with pytest.raises(Reject) as refused:
        rendered(path, value)
    assert message in str(refused.value)
    assert "s3cret" not in str(refused.value)
