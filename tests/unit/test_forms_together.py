"""The documented forms within a whole job: each check by its path, and the edges of the tables."""

from typing import Any

import pytest

from shared.core.errors import Reject
from shared.core.ports import CustomJobCall
from shared.runspec.forms import hardware
from shared.runspec.forms.check import check
from shared.runspec.forms.machines import check_machine, machine_warnings
from shared.runspec.forms.scheduling import check_strategy

L4 = {"machine_type": "g2-standard-8", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1}
N1 = {"machine_type": "n1-standard-4"}
AT = "x.spec.worker_pool_specs"


def call(*machines: dict[str, Any], spec: dict[str, Any] | None = None, **submit: Any) -> CustomJobCall:
    """Return a job of pools with these machines; an empty one is skipped."""
    image = {"image_uri": "i"}
    pools = [{"machine_spec": one, "container_spec": image} if one else {} for one in machines or (N1,)]
    return CustomJobCall("p", "us-central1", {"worker_pool_specs": pools, **(spec or {})}, submit, ("first",))


def refusal(job: CustomJobCall) -> str:
    """Return the refusal of a job; empty without one."""
    try:
        check(job, "x")
    except Reject as exc:
        return str(exc)
    return ""


KEY = "projects/p/locations/{}/keyRings/r/cryptoKeys/k"


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (call(), ""),
        (call(spec={"persistent_resource_id": "a"}, persistent_resource_id="a"), ""),
        (call(spec={"persistent_resource_id": "a"}), ""),
        (call(persistent_resource_id="b"), ""),
        (
            call(spec={"persistent_resource_id": "a"}, persistent_resource_id="b"),
            "x.run.persistent_resource_id: is 'b', but spec.persistent_resource_id is 'a'. Leave one of them out.",
        ),
        (call(spec={"encryption_spec_key_name": KEY.format("us-central1")}), ""),
        (
            call(spec={"encryption_spec_key_name": KEY.format("europe-west4")}),
            f"x.spec.encryption_spec_key_name: is '{KEY.format('europe-west4')}' in europe-west4, but the job runs in "
            "us-central1. Write one of us-central1, or set spec.location.",
        ),
        (
            call(network="n"),
            "x.run.network: is 'n', which Vertex AI does not accept. Write projects/NUMBER/global/netw",
        ),
        (call(timeout=0), "x.run.timeout: is 0. Write a number of seconds above zero, such as 3600."),
        (call(timeout=1, max_wait_duration=0), ""),
        (
            call(N1, {}, {"machine_type": "a2-megagpu-1g"}),
            f"{AT}[2].machine_spec.machine_type: is 'a2-megagpu-1g', which does not exist. Valid: a2-megagpu-16g.",
        ),
        (call(N1, {}, {}), ""),
        (
            call({"machine_type": ""}),
            f"{AT}[0].machine_spec.machine_type: is missing. Write a machine type in lower case, "
            "such as n1-standard-4. On a persistent resource, write that of one of its pools.",
        ),
        (
            call({"machine_type": "N1_Standard_4"}),
            f"{AT}[0].machine_spec.machine_type: is 'N1_Standard_4', which Vertex AI "
            "does not accept. Did you mean n1-standard-4? Write a machine type",
        ),
        (
            call(N1, {}, L4, scheduling_strategy="FLEX_START"),
            f"{AT}[0].machine_spec.machine_type: is n1-standard-4, and",
        ),
        (
            call(L4, {}, N1, scheduling_strategy="FLEX_START"),
            f"{AT}[2].machine_spec: differs from that of the first pool.",
        ),
        (call(L4, {}, L4, scheduling_strategy="FLEX_START"), ""),
        (call(experiment_run="r"), "x.run.experiment: is missing beside experiment_run."),
        (
            call({**N1, "reservation_affinity": {"reservation_affinity_type": "SPECIFIC_RESERVATION"}}),
            f"{AT}[0].machine_spec.reservation_affinity.key: is missing. Write "
            f"compute.googleapis.com/reservation-name.",
        ),
    ],
    ids=lambda value: str(value)[-60:],
)
def test_a_job_fits_together(job: CustomJobCall, why: str) -> None:
    """Each value by its path in the run spec."""
    shown = refusal(job)
    assert shown.startswith(why)
    assert bool(shown) == bool(why)


def test_warnings_stand_after_those_of_the_call() -> None:
    """A pool that is skipped has none, and the others keep their numbers."""
    tpu = {"machine_type": "ct6e-standard-1t"}
    assert check(call(N1, {}, tpu), "x").warnings == (
        "first",
        "worker_pool_specs[2]: Google documents a TPU as one pool of one replica",
        "worker_pool_specs[2].machine_spec names no tpu_topology: Vertex AI documents ct6e-standard-1t with one",
    )
    assert check(call(N1, {}), "x").warnings == ("first",)


def test_a_strategy_is_checked_without_a_path_on_the_ladder() -> None:
    """A place that is left out says why."""
    with pytest.raises(Reject) as refused:
        check_strategy(call(N1, scheduling_strategy="FLEX_START"))
    assert refused.value.field == "spec.worker_pool_specs[0].machine_spec.machine_type"
    with pytest.raises(Reject) as refused:
        check_strategy(call(L4, scheduling_strategy="FLEX_START", timeout=604_801))
    assert refused.value.field == "run.timeout"
    check_strategy(call(N1, scheduling_strategy="SPOT", timeout=604_801))


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (
            {"machine_type": "v5e"},
            "machine_type: is 'v5e', a name of Cloud TPU's own API. Write ct5lp-hightpu-4t, and tpu_topology.",
        ),
        (
            {"machine_type": "v2"},
            "machine_type: is 'v2', a name of Cloud TPU's own API. Write cloud-tpu, and accelerator_type.",
        ),
        (
            {"machine_type": "zz9", "accelerator_type": "TPU_V9", "accelerator_count": 1},
            "accelerator_type: is TPU_V9, which zz9 cannot have. Write another machine.",
        ),
        (
            {"machine_type": "e2-medium", "accelerator_type": "TPU_V5_LITEPOD", "accelerator_count": 1},
            "accelerator_type: is "
            "TPU_V5_LITEPOD, which e2-medium cannot have. Write machine_type: ct5lp-hightpu-4t and "
            "tpu_topology, without an "
            "accelerator.",
        ),
        (
            {**L4, "accelerator_type": "NVIDIA_TESLA_T4"},
            "accelerator_type: is NVIDIA_TESLA_T4, which g2-standard-8 cannot "
            "have. Write NVIDIA_L4, or machine_type: n1-standard-4 for NVIDIA_TESLA_T4.",
        ),
        (
            {**L4, "accelerator_count": 2},
            "accelerator_count: is 2, but g2-standard-8 can have 1 of NVIDIA_L4. Write 1.",
        ),
        ({**N1, "accelerator_type": "ACCELERATOR_TYPE_UNSPECIFIED", "accelerator_count": 0}, ""),
        ({"machine_type": "zz9", "tpu_topology": "2x2"}, ""),
        (
            {"machine_type": "e2-medium", "tpu_topology": "2x2"},
            "tpu_topology: is '2x2', but e2-medium has no TPU. Leave it "
            "out, or write a machine type such as ct5lp-hightpu-4t.",
        ),
        ({"machine_type": "cloud-tpu", "accelerator_type": "TPU_V2", "accelerator_count": 32}, ""),
        (
            {"machine_type": "cloud-tpu", "accelerator_type": "TPU_V2", "accelerator_count": 4},
            "accelerator_count: is 4, which is no number of cores of TPU_V2. Write 8, or a multiple of 32 for a pod.",
        ),
        (
            {"machine_type": "cloud-tpu", "accelerator_type": "NVIDIA_L4", "accelerator_count": 8},
            "accelerator_type: is "
            "NVIDIA_L4, which cloud-tpu cannot have. Write machine_type: g2-standard-8 for NVIDIA_L4.",
        ),
        (
            {"machine_type": "ct6e-standard-8t", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1},
            "accelerator_type: "
            "is NVIDIA_L4, but the machine type ct6e-standard-8t is the TPU. Leave accelerator_type and "
            "accelerator_count out; "
            "write tpu_topology.",
        ),
        (
            {"machine_type": "ct6e-standard-4t", "accelerator_type": "TPU_V2", "accelerator_count": 4},
            "accelerator_type: is TPU_V2, but the machine type ct6e-standard-4t is the TPU.",
        ),
        (
            {"machine_type": "ct6e-standard-4t", "tpu_topology": "9x9"},
            "tpu_topology: is '9x9', which ct6e-standard-4t cannot have. Write 2x2, 2x4, 4x4, 4x8, 8x8, 8x16 or 16x16.",
        ),
        ({"machine_type": "tpu7x-standard-4t", "tpu_topology": "4x8x12"}, ""),
        (
            {"machine_type": "tpu7x-standard-4t", "tpu_topology": "4x8x10"},
            "tpu_topology: is '4x8x10', which tpu7x-standard-4t cannot have.",
        ),
        ({"machine_type": "ct6e-standard-4t", "tpu_topology": "4x4x4"}, "tpu_topology: is '4x4x4', which"),
        ({**N1, "reservation_affinity": {"reservation_affinity_type": "NO_RESERVATION", "key": ""}}, ""),
    ],
    ids=str,
)
def test_a_machine_has_what_google_documents(spec: dict[str, Any], why: str) -> None:
    """Each branch of its table."""
    shown = ""
    try:
        check_machine(spec, "at")
    except Reject as exc:
        shown = str(exc)
    assert shown.startswith(f"at.{why}" if why else "")
    assert bool(shown) == bool(why)


@pytest.mark.parametrize(
    ("spec", "warnings"),
    [
        (
            {**N1, "accelerator_type": hardware.K80},
            [f"at.accelerator_type is {hardware.K80}, which Google no longer supports"],
        ),
        (
            {"machine_type": "a3-highgpu-8g"},
            [
                "at names no accelerator: Vertex AI documents a3-highgpu-8g with "
                "accelerator_type: NVIDIA_H100_80GB and accelerator_count: 8"
            ],
        ),
        ({"machine_type": "a3-highgpu-8g", "accelerator_type": "NVIDIA_H100_80GB"}, []),
        ({"machine_type": "ct6e-standard-4t", "tpu_topology": "2x2"}, []),
        ({"machine_type": "ct9-x"}, []),
    ],
    ids=str,
)
def test_a_machine_is_documented_with_its_accelerator(spec: dict[str, Any], warnings: list[str]) -> None:
    """Or with its topology."""
    assert list(machine_warnings(spec, "at")) == warnings
