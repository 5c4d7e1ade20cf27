"""The documented forms: each bound, and the whole refusal of each value."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.core.errors import Reject
from shared.core.ports import CustomJobCall
from shared.runspec.forms import guesses, hardware
from shared.runspec.forms.check import MAX_WORD, check
from shared.runspec.forms.form import Form
from shared.runspec.forms.machines import accelerator_of, check_generation, check_machine, machine_warnings
from shared.runspec.forms.scheduling import check_strategy

T4, A100 = "NVIDIA_TESLA_T4", "NVIDIA_TESLA_A100"
N1 = {"machine_type": "n1-standard-4"}
POOLS = "x.spec.worker_pool_specs"
DAY = 24 * 60 * 60


def call(*pools: dict[str, Any], **submit: Any) -> CustomJobCall:
    """Return a job of these pools; without any, of a small one."""
    image = {"image_uri": "x"}
    specs = [{"machine_spec": N1, "container_spec": image, **pool} if pool else {} for pool in pools or ({"a": 1},)]
    for spec in specs:
        spec.pop("a", None)
    return CustomJobCall("p", "us-central1", {"worker_pool_specs": specs}, submit)


def refusal(act: Callable[[], object]) -> str:
    """Return the refusal of a call; empty without one."""
    try:
        act()
    except Reject as exc:
        return str(exc)
    return ""


def form(**changed: Any) -> Form:
    """Return a form with these parts."""
    return Form("spec.x", "a name", "abc", "SDK: x", **changed)


@pytest.mark.parametrize(
    ("written", "value", "wanted"),
    [
        (form(), None, ""),
        (form(required=True), None, "at: is missing. Write a name, such as abc."),
        (form(required=True, note="Or not."), "", "at: is missing. Write a name, such as abc. Or not."),
        (form(required=True, pattern="a+"), "aa", ""),
        (form(pattern="a+"), "", ""),
        (form(), "anything", ""),
        (form(pattern="a+"), "b", "at: is 'b', which Vertex AI does not accept. Write a name, such as abc."),
        (
            form(pattern="a+", meant=lambda value, _: value.lower()),
            "AA",
            "at: is 'AA', which Vertex AI does not accept. Did you mean aa? Write a name, such as abc.",
        ),
        (
            form(pattern="a+", meant=lambda _, __: "b"),
            "AA",
            "at: is 'AA', which Vertex AI does not accept. Write a name, such as abc.",
        ),
        (form(pattern="(?P<region>[a-z0-9-]+)"), "us-central1", ""),
        (
            form(pattern="(?P<region>[a-z0-9-]+)"),
            "europe-west4",
            "at: is 'europe-west4' in europe-west4, but the job runs in us-central1. "
            "Write one of us-central1, or set spec.location.",
        ),
        (form(pattern="x(?P<region>[a-z]+)?"), "x", ""),
        (form(pattern=r"\d"), "٣", "at: is '٣', which Vertex AI does not accept. Write a name, such as abc."),
        (form(least=1, most=3), 0, "at: is 0. Write a name, such as abc."),
        (form(least=1, most=3), 1, ""),
        (form(least=1, most=3), 3, ""),
        (form(least=1, most=3), 4, "at: is 4. Write a name, such as abc."),
        (form(least=1, most=3), 3.5, "at: is 3.5. Write a name, such as abc."),
        (form(most=3), -1, ""),
        (form(least=1), 10**9, ""),
        (form(least=1), [0], ""),
    ],
)
def test_a_form_refuses_what_is_outside(written: Form, value: object, wanted: str) -> None:
    """With the value and the fix; a guess only if it has the form."""
    assert refusal(lambda: written.check(value, "at", call())) == wanted


def at_zero(count: int, number: int = 0) -> tuple[dict[str, Any], ...]:
    """Return pools of which one has this count."""
    return tuple({"replica_count": count if each == number else 1} for each in range(number + 1))


@pytest.mark.parametrize(
    ("pools", "wanted"),
    [
        (at_zero(1), ""),
        (at_zero(0), f"{POOLS}[0].replica_count: is 0. Write 1: the first pool is the primary replica."),
        (at_zero(0, 1), f"{POOLS}[1].replica_count: is 0. Write 1 or more, or {{}} for the whole pool."),
        (({"a": 1}, {}, {"replica_count": 0}), f"{POOLS}[2].replica_count: is 0. Write 1 or more, or {{}} for"),
        (
            ({"a": 1}, {"machine_spec": {"machine_type": "n1-standard-3"}}),
            f"{POOLS}[1].machine_spec.machine_type: is 'n1-standard-3', which does not exist.",
        ),
    ],
)
def test_pools_are_counted(pools: tuple[dict[str, Any], ...], wanted: str) -> None:
    """The refusal names the pool, also after an empty one."""
    shown = refusal(lambda: check(call(*pools), "x"))
    assert shown.startswith(wanted) if wanted else shown == ""


@pytest.mark.parametrize(
    ("container", "at", "size"),
    [
        ({"args": ["a" * MAX_WORD]}, "", 0),
        ({"args": ["a", "a" * (MAX_WORD + 1)]}, "args[1]", MAX_WORD + 1),
        ({"command": ["é" * (MAX_WORD // 2 + 1)]}, "command[0]", MAX_WORD + 1),
        ({"env": [{"name": "N", "value": "a" * (MAX_WORD - 2)}]}, "", 0),
        ({"env": [{"name": "N", "value": "a" * (MAX_WORD - 1)}]}, "env[N]", MAX_WORD + 1),
        ({"args": ["\ud800"]}, "", 0),
    ],
)
def test_a_word_is_no_longer_than_linux_allows(container: dict[str, Any], at: str, size: int) -> None:
    """In bytes, with the name of a variable."""
    wanted = (
        f"{POOLS}[0].container_spec.{at}: has {size} bytes, and Linux starts no program with more than 131071. "
        "Write it to a bucket, and let the program read it."
    )
    job = call({"container_spec": {"image_uri": "x", **container}})
    assert refusal(lambda: check(job, "x")) == (wanted if at else "")


@pytest.mark.parametrize(
    ("run", "wanted"),
    [
        ({}, ""),
        ({"experiment": "e", "experiment_run": "r", "service_account": "a@p.iam.gserviceaccount.com"}, ""),
        (
            {"experiment_run": "r"},
            "x.run.experiment: is missing beside experiment_run. "
            "Write the experiment too, or leave experiment_run out.",
        ),
        (
            {"experiment": "e"},
            "x.run.service_account: is missing. "
            "Write a service account: Vertex AI requires it for a job with an experiment.",
        ),
    ],
)
def test_an_experiment_is_whole(run: dict[str, Any], wanted: str) -> None:
    """A run needs its experiment, and that needs an account."""
    assert refusal(lambda: check(call(**run), "x")) == wanted


TPU = {"machine_type": "ct5lp-hightpu-4t", "tpu_topology": "4x4"}
A_TPU = "Google documents a TPU as one pool of one replica"


@pytest.mark.parametrize(
    ("pools", "warnings"),
    [
        (({"machine_spec": TPU},), []),
        (({"machine_spec": TPU, "replica_count": 2},), [f"worker_pool_specs[0]: {A_TPU}"]),
        (({"a": 1}, {"machine_spec": TPU}), [f"worker_pool_specs[1]: {A_TPU}"]),
        (
            ({"replica_count": 2},),
            [
                "worker_pool_specs[0].replica_count is 2: Google documents one replica for the first pool, and "
                "other pools for further replicas"
            ],
        ),
        (({"a": 1}, {"replica_count": 2}), []),
        (
            ({"machine_spec": {"machine_type": "g2-standard-24"}},),
            [
                "worker_pool_specs[0].machine_spec names no accelerator: Vertex AI documents g2-standard-24 with "
                "accelerator_type: NVIDIA_L4 and accelerator_count: 2"
            ],
        ),
    ],
)
def test_what_google_does_not_show_is_a_warning(pools: tuple[dict[str, Any], ...], warnings: list[str]) -> None:
    """After those that the call has already."""
    assert list(check(call(*pools), "x").warnings) == warnings


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (
            {"machine_type": "v5litepod-4"},
            "machine_type: is 'v5litepod-4', a name of Cloud TPU's own API. Write ct5lp-",
        ),
        ({"machine_type": "v3-8"}, "machine_type: is 'v3-8', a name of Cloud TPU's own API. Write cloud-tpu, and acc"),
        ({"machine_type": "a2-highgpu-3g"}, "machine_type: is 'a2-highgpu-3g', which does not exist. Valid: a2-high"),
        ({**N1, "gpu_partition_size": "1g.5gb"}, "accelerator_type: is missing beside gpu_partition_size. Write the t"),
        ({**N1, "accelerator_count": -1}, "accelerator_count: is -1. Write a number above zero, or leave it out."),
        ({**N1, "accelerator_type": T4}, f"accelerator_count: is missing beside {T4}. Write 1, 2 or 4."),
        (
            {"machine_type": "zz9-new", "accelerator_type": "NEW"},
            "accelerator_count: is missing beside NEW. Write the number of accelerators.",
        ),
        (
            {"machine_type": "cloud-tpu", "accelerator_type": "TPU_V2"},
            "accelerator_count: is missing beside TPU_V2. Write 8, or a multiple of 32 for a pod.",
        ),
        ({**N1, "accelerator_count": 1}, "accelerator_type: is missing beside accelerator_count: 1. Write NVIDIA_T"),
        (
            {"machine_type": "zz9-new", "accelerator_count": 1},
            "accelerator_type: is missing beside accelerator_count: 1. Write its type, such as NVIDIA_TESLA_T4.",
        ),
        (
            {"machine_type": "e2-standard-4", "accelerator_count": 1},
            "accelerator_type: is missing beside accelerator_count: 1. Leave the count out.",
        ),
        (
            {**TPU, "accelerator_count": 1},
            "accelerator_type: is missing beside accelerator_count: 1. Leave the count out.",
        ),
        ({**N1, "tpu_topology": "2x2"}, "tpu_topology: is '2x2', but n1-standard-4 has no TPU. Leave it out, or wri"),
        (
            {**N1, "accelerator_type": A100, "accelerator_count": 1},
            f"accelerator_type: is {A100}, which n1-standard-4 cannot have. Write NVIDIA_TESLA_T4, NVIDIA_TESLA_P4, "
            f"NVIDIA_TESLA_P100, NVIDIA_TESLA_V100 or NVIDIA_TESLA_K80, or machine_type: a2-highgpu-1g for {A100}.",
        ),
        (
            {"machine_type": "zz9-new", "accelerator_type": T4, "accelerator_count": 1},
            f"accelerator_type: is {T4}, which zz9-new cannot have. Write machine_type: n1-standard-4 for {T4}.",
        ),
        (
            {"machine_type": "e2-standard-4", "accelerator_type": "NEW", "accelerator_count": 1},
            "accelerator_type: is NEW, which e2-standard-4 cannot have. Write another machine.",
        ),
        ({"machine_type": "zz9-new", "accelerator_type": "NEW", "accelerator_count": 1}, ""),
        ({**N1, "accelerator_type": T4, "accelerator_count": 4}, ""),
        (
            {**N1, "accelerator_type": T4, "accelerator_count": 3},
            f"accelerator_count: is 3, but n1-standard-4 can have 1, 2 or 4 of {T4}. Write 1, 2 or 4.",
        ),
        (
            {"machine_type": "a2-highgpu-2g", "accelerator_type": A100, "accelerator_count": 1},
            f"accelerator_count: is 1, but a2-highgpu-2g can have 2 of {A100}. Write 2.",
        ),
        (
            {
                "machine_type": "a2-highgpu-2g",
                "accelerator_type": A100,
                "accelerator_count": 1,
                "gpu_partition_size": "1g",
            },
            "",
        ),
        ({"machine_type": "cloud-tpu"}, "accelerator_type: is missing. Write TPU_V2 or TPU_V3."),
        (
            {"machine_type": "cloud-tpu", "accelerator_type": "TPU_V5_LITEPOD", "accelerator_count": 8},
            "accelerator_type: is TPU_V5_LITEPOD, which cloud-tpu cannot have. "
            "Write machine_type: ct5lp-hightpu-4t and tpu_topology, without an accelerator.",
        ),
        ({"machine_type": "cloud-tpu", "accelerator_type": "TPU_V3", "accelerator_count": 8}, ""),
        ({"machine_type": "cloud-tpu", "accelerator_type": "TPU_V3", "accelerator_count": 64}, ""),
        (
            {"machine_type": "cloud-tpu", "accelerator_type": "TPU_V3", "accelerator_count": 16},
            "accelerator_count: is 16, which is no number of cores of TPU_V3. Write 8, or a multiple of 32 for a pod.",
        ),
        (
            {**TPU, "accelerator_type": "TPU_V3", "accelerator_count": 4},
            "accelerator_type: is TPU_V3, but the machine type ct5lp-hightpu-4t is the TPU. "
            "Leave accelerator_type and accelerator_count out; write tpu_topology.",
        ),
        ({**TPU, "accelerator_type": "TPU_V5_LITEPOD", "accelerator_count": 4}, ""),
        ({**TPU, "accelerator_type": "ACCELERATOR_TYPE_UNSPECIFIED"}, ""),
        (
            {"machine_type": "ct5lp-hightpu-1t", "tpu_topology": "2x2"},
            "tpu_topology: is '2x2', which ct5lp-hightpu-1t cannot have. Write 1x1.",
        ),
        ({"machine_type": "ct9-new", "tpu_topology": "9x9"}, ""),
        ({**N1, "reservation_affinity": {"reservation_affinity_type": "ANY_RESERVATION"}}, ""),
        (
            {**N1, "reservation_affinity": {"reservation_affinity_type": "SPECIFIC_RESERVATION", "values": ["v"]}},
            "reservation_affinity.key: is missing. Write compute.googleapis.com/reservation-name.",
        ),
        (
            {**N1, "reservation_affinity": {"reservation_affinity_type": "SPECIFIC_RESERVATION", "key": "k"}},
            "reservation_affinity.values: is missing. Write [projects/PROJECT/zones/ZONE/reservations/NAME].",
        ),
    ],
    ids=str,
)
def test_a_machine_fits_together(spec: dict[str, Any], wanted: str) -> None:
    """Its type, its accelerators, its topology and its reservation."""
    shown = refusal(lambda: check_machine(spec, "at"))
    assert shown.startswith(f"at.{wanted}") if wanted else shown == ""


@pytest.mark.parametrize(
    ("spec", "warnings"),
    [
        ({**N1, "accelerator_type": "NVIDIA_TESLA_K80"}, ["at.accelerator_type is NVIDIA_TESLA_K80, which Google"]),
        ({**N1, "accelerator_type": T4}, []),
        ({"machine_type": "g2-standard-96", "accelerator_type": "NVIDIA_L4"}, []),
        ({"machine_type": "ct6e-standard-1t"}, ["at names no tpu_topology: Vertex AI documents ct6e-standard-1t with"]),
        (TPU, []),
    ],
)
def test_what_a_machine_is_documented_with(spec: dict[str, Any], warnings: list[str]) -> None:
    """A warning only: such a machine may work."""
    shown = list(machine_warnings(spec, "at"))
    assert [one[: len(known)] for one, known in zip(shown, warnings, strict=True)] == warnings


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (
            {"accelerator_type": "TPU_V5E"},
            "at.accelerator_type: is 'TPU_V5E', but this TPU is a machine type. Write ma",
        ),
        (
            {"accelerator_type": "tpu v6e"},
            "at.accelerator_type: is 'tpu v6e', but this TPU is a machine type. Write ma",
        ),
        ({"accelerator_type": " TPU_V5_LITEPOD "}, ""),
        ({"accelerator_type": "tpu-v2"}, ""),
        ({"accelerator_type": "TPU_V3"}, ""),
        ({"accelerator_type": T4}, ""),
        ("a text", ""),
        ({}, ""),
    ],
    ids=str,
)
def test_a_new_tpu_is_no_accelerator(spec: object, wanted: str) -> None:
    """The SDK's enum does not know it."""
    shown = refusal(lambda: check_generation(spec, "at"))
    assert shown.startswith(wanted) if wanted else shown == ""


def flex(*specs: object, **submit: Any) -> CustomJobCall:
    """Return a job of these machines that waits for them."""
    pools = [{"machine_spec": spec} for spec in specs]
    return CustomJobCall("p", "r", {"worker_pool_specs": pools}, {"scheduling_strategy": "FLEX_START", **submit})


L4 = {"machine_type": "g2-standard-8"}


@pytest.mark.parametrize(
    ("job", "wanted"),
    [
        (flex(L4), ""),
        (flex(L4, timeout=7 * DAY), ""),
        (
            flex(L4, timeout=7 * DAY + 1),
            "x.run.timeout: is 604801 seconds, more than the seven days of FLEX_START. Write at most 604800.",
        ),
        (flex(L4, timeout=7 * DAY + 1, scheduling_strategy="SPOT"), ""),
        (flex(L4, dict(L4)), ""),
        (
            flex(L4, {"machine_type": "g2-standard-4"}),
            "x.spec.worker_pool_specs[1].machine_spec: differs from that of the first pool. "
            "Write the same machine_spec in each pool: FLEX_START needs it.",
        ),
        (
            flex(N1),
            "x.spec.worker_pool_specs[0].machine_spec.machine_type: is n1-standard-4, and FLEX_START needs L4, A100, "
            "H100, H200 or B200 GPUs. Write such a machine, or run.scheduling_strategy: SPOT.",
        ),
        (flex({"machine_type": "cloud-tpu"}), "x.spec.worker_pool_specs[0].machine_spec.machine_type: is cloud-tpu, a"),
        (flex({"machine_type": "zz9-new"}), ""),
        (flex({"machine_type": "zz9-new", "accelerator_type": T4}), "x.spec.worker_pool_specs[0].machine_spec.machine"),
        (flex({"machine_type": "zz9-new", "accelerator_type": "NVIDIA_H100_80GB"}), ""),
        (flex("a text"), ""),
    ],
)
def test_flex_start_is_for_some_machines(job: CustomJobCall, wanted: str) -> None:
    """For seven days at most, and with the same machines in all pools."""
    shown = refusal(lambda: check_strategy(job, "x."))
    assert shown.startswith(wanted) if wanted else shown == ""


KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k"


@pytest.mark.parametrize(
    ("guess", "written", "meant"),
    [
        (guesses.lower, " My_Own name ", "my-own-name"),
        (guesses.account, "serviceAccount:Me@x.test ", "me@x.test"),
        (guesses.account, "projects/-/serviceAccounts/me@p.iam.gserviceaccount.com", "me@p.iam.gserviceaccount.com"),
        (guesses.account, "runner-1", "runner-1@p.iam.gserviceaccount.com"),
        (guesses.account, "1runner", "1runner"),
        (guesses.machine, "zones/us/machineTypes/N1_standard_4", "n1-standard-4"),
        (guesses.machine, "v5litepod-4", "ct5lp-hightpu-4t"),
        (guesses.machine, "ct6e", "ct6e-standard-4t"),
        (guesses.machine, "ct5lp", "ct5lp-hightpu-4t"),
        (guesses.machine, "tpu7x", "tpu7x-standard-4t"),
        (guesses.network, "https://x/projects/12/global/networks/n ", "projects/12/global/networks/n"),
        (guesses.network, "projects/p/global/networks/n", ""),
        (guesses.attachment, "https://x/projects/p/regions/r/networkAttachments/n ", "projects/p/regions/r/networkAt"),
        (guesses.attachment, "n", ""),
        (guesses.last_part, "projects/p/locations/l/x/My_ID/", "my-id"),
        (guesses.key, f" https://x/{KEY}/cryptoKeyVersions/1 ", KEY),
        (guesses.key, "k", ""),
        (guesses.dotted, " Example.COM.. ", "example.com."),
    ],
)
def test_another_programs_form_is_guessed(guess: Callable[..., str], written: str, meant: str) -> None:
    """Empty if nothing is certain."""
    assert guess(written, call()).startswith(meant)
    assert bool(meant) == bool(guess(written, call()))


def test_an_account_needs_a_project_that_is_named() -> None:
    """A number is no domain; one of an organization is after its colon."""
    numbered = CustomJobCall("123", "r", {}, {})
    assert guesses.account("runner", numbered) == "runner"
    of_a_domain = CustomJobCall("org.test:p", "r", {}, {})
    assert guesses.account("runner", of_a_domain) == "runner@p.org.test.iam.gserviceaccount.com"


@pytest.mark.parametrize(
    ("machine", "accelerators"),
    [
        ("n1-standard-16", {"P4": (1, 2, 4), "P100": (1, 2, 4), "T4": (1, 2, 4), "V100": (2, 4, 8), "K80": (2, 4, 8)}),
        (
            "n1-highmem-8",
            {"P4": (1, 2, 4), "P100": (1, 2, 4), "T4": (1, 2, 4), "V100": (1, 2, 4, 8), "K80": (1, 2, 4, 8)},
        ),
        ("n1-highcpu-64", {"P4": (4,), "P100": (4,), "T4": (4,), "V100": (8,)}),
        ("n1-standard-64", {"P4": (4,), "T4": (4,), "V100": (8,)}),
        ("n1-standard-97", {}),
        ("e2-standard-4", {}),
        ("zz9-new", None),
        ("a3-megagpu-8g", {"NVIDIA_H100_MEGA_80GB": (8,)}),
        ("a3-megagpu-8", None),
        ("g2-standard-48", {"NVIDIA_L4": (4,)}),
        ("g2-standard-5", None),
    ],
)
def test_the_accelerators_of_a_machine(machine: str, accelerators: dict[str, Any] | None) -> None:
    """By its series and its size, as the page lists them."""
    known = hardware.accelerators(machine)
    assert (known and {name.removeprefix("NVIDIA_TESLA_"): counts for name, counts in known.items()}) == accelerators


def test_names_of_machines() -> None:
    """Those of TPUs, those that are settled, and the sizes of old series."""
    assert [
        name for name in ("cloud-tpu", "ct5lp-x", "tpu7x-y", "n1-standard-4", "ct5lp") if hardware.is_tpu(name)
    ] == [
        "cloud-tpu",
        "ct5lp-x",
        "tpu7x-y",
    ]
    assert [name for name in (T4, "TPU_V9", A100) if hardware.is_settled(name)] == [T4, "TPU_V9"]
    assert hardware.sizes("a2-megagpu-8g") == ("a2-megagpu-16g",)
    assert hardware.sizes("n1-standard-8") == hardware.sizes("zz9-8") == ()
    assert [hardware.tpu_machine(name) for name in ("Cloud-TPU v2-8", "v6e", "TPU v5 lite pod 4", "v4", "xv2")] == [
        "cloud-tpu",
        "ct6e-standard-4t",
        "ct5lp-hightpu-4t",
        "",
        "",
    ]
    assert accelerator_of({"accelerator_type": None}) == accelerator_of({}) == ""
