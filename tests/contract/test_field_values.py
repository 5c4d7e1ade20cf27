"""The values of each field: those that are sent, and those that are refused, by the shapes of the installed SDK."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from google.cloud import aiplatform
from google.cloud.aiplatform_v1.types import CustomJob

from deploy.local.servers.vertex.hardware import machine_errors
from shared.adapters.vertex.submit import argument_names
from shared.config.ladder import Ladder, Region
from shared.core.errors import Reject
from shared.core.shape import Shape
from shared.runspec.forms import FORMS
from shared.runspec.forms.hardware import MACHINE_TYPES
from shared.runspec.forms.machines import check_machine
from shared.runspec.prepare import Preparation, PreparedJob
from shared.runspec.render import ArgumentNames
from tests.fakes import FakeJobs, FakeQueueConfigs, FakeSweeps
from tests.unit.field_values import REFUSED, SENT, Change, configured, flex, machine, pool
from tests.unit.specs import SITE, launch_of, run_spec

NAMES = ArgumentNames(**argument_names())
PREPARATION = Preparation(FakeQueueConfigs(), FakeJobs(), FakeSweeps(), replace(SITE, project="p"), NAMES)
# the page lists neither the K80 nor, as accelerators, TPU v4 and v5e
UNSURE = ("NVIDIA_TESLA_K80", "TPU_V4_POD", "TPU_V5_LITEPOD")
PATHS = {form.path for form in FORMS}


def prepared(changes: tuple[Change, ...], preparation: Preparation = PREPARATION) -> PreparedJob:
    """Prepare a queue's item with these changes of its queue's configuration."""
    return preparation.prepare(launch_of(run_spec(configured(*changes))))


@pytest.mark.parametrize("row", SENT)
def test_a_valid_value_is_sent(row: str) -> None:
    """The installed SDK makes its message of it."""
    changes, expected = SENT[row]
    call = prepared(changes).call
    value: Any = {"spec": call.constructor, "run": call.submit}
    for step in changes[-1][0] if expected is not None else ():
        value = value[step]
    assert expected is None or value == expected
    for each in call.constructor["worker_pool_specs"]:
        aiplatform.gapic.WorkerPoolSpec(each)


@pytest.mark.parametrize("row", REFUSED)
def test_an_invalid_value_is_refused(row: str) -> None:
    """Nothing is sent; the author reads the field, the value and what to write."""
    changes, words = REFUSED[row]
    with pytest.raises(Reject) as refused:
        prepared(changes)
    assert words in str(refused.value)
    assert str(refused.value).startswith("resource_args.gcp-vertex.")
    assert "frozenset" not in str(refused.value)


def test_every_field_of_the_installed_sdk_has_a_form() -> None:
    """A field that a newer SDK adds fails here until it has a row with its source."""
    parts = {"spec": NAMES.constructor, "run": NAMES.run | NAMES.submit}
    fields = {
        path for part, names in parts.items() for name in names for path in leaves(f"{part}.{name}", NAMES.shapes[name])
    }
    assert {path for path in fields if ".python_package_spec." not in path} - PATHS == set()
    assert len(PATHS) == len(FORMS)


def leaves(path: str, shape: Shape) -> Iterator[str]:
    """Yield the paths of all values within a shape."""
    at = f"{path}[]" if shape.repeated else path
    if not shape.fields:
        yield at
    for name, inner in shape.fields.items():
        yield from leaves(f"{at}.{name}", inner)


def test_every_form_has_a_source_and_an_example_that_it_accepts() -> None:
    """An example that its own pattern refuses would mislead."""
    call = prepared(()).call
    for form in FORMS:
        assert form.source.startswith(("https://", "SDK: ", "Linux: ")), form.path
        if form.pattern:
            form.check(form.example, form.path, call)


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        (machine("g2-standard-8"), "with accelerator_type: NVIDIA_L4 and accelerator_count: 1"),
        (machine("a3-highgpu-8g"), "with accelerator_type: NVIDIA_H100_80GB and accelerator_count: 8"),
        (machine("ct5lp-hightpu-4t"), "names no tpu_topology"),
        (machine("n1-standard-4", "NVIDIA_TESLA_K80", 1), "which Google no longer supports"),
    ],
)
def test_what_vertex_may_still_accept_is_a_warning(spec: dict[str, Any], warning: str) -> None:
    """Its documentation says otherwise, and such a queue may work today."""
    [shown] = prepared(((("spec", "worker_pool_specs", 0, "machine_spec"), spec),)).call.warnings
    assert warning in shown


@pytest.mark.parametrize(
    ("machine_spec", "replicas", "pools"),
    [
        (machine("n1-standard-4"), 2, 1),
        (machine("ct5lp-hightpu-4t", tpu_topology="4x4"), 4, 1),
        (machine("ct5lp-hightpu-4t", tpu_topology="2x2"), 1, 2),
    ],
)
def test_replicas_that_google_does_not_show_are_sent_with_a_warning(
    machine_spec: dict[str, Any], replicas: int, pools: int
) -> None:
    """No page says that Vertex AI refuses them."""
    specs = [{**pool(), "machine_spec": machine_spec, "replica_count": replicas}] * pools
    call = prepared(((("spec", "worker_pool_specs"), specs),)).call
    assert "Google documents" in call.warnings[0]
    assert [each["replica_count"] for each in call.constructor["worker_pool_specs"]] == [replicas] * pools


@pytest.mark.parametrize("part", ["spec", "run"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_pool_on_a_persistent_resource_names_its_machine_too(part: str, number: int) -> None:
    """As Google's page on persistent resources requires: the machine type of one of the resource's pools."""
    pools = [pool(), pool()]
    del pools[number]["machine_spec"]
    with pytest.raises(Reject) as refused:
        prepared((((part, "persistent_resource_id"), "pr-1"), (("spec", "worker_pool_specs"), pools)))
    assert f"worker_pool_specs[{number}].machine_spec.machine_type: is missing." in str(refused.value)
    assert str(refused.value).endswith("On a persistent resource, write that of one of its pools.")


def test_a_launch_moves_to_flex_start_only_if_it_can_have_it() -> None:
    """Otherwise the ladder goes on without that place, and says why."""
    ladder = Ladder(strategies=("SPOT", "FLEX_START", "STANDARD"))
    preparation = replace(PREPARATION, ladder=ladder)
    spot = (("run",), {"scheduling_strategy": "SPOT"})
    pools, _ = flex(machine("g2-standard-8", "NVIDIA_L4", 1))
    assert prepared((pools, spot), preparation).next_places == (
        "us-central1 with FLEX_START",
        "us-central1 with STANDARD",
    )
    job = prepared((spot,), preparation)
    assert job.next_places == ("us-central1 with STANDARD",)
    assert "FLEX_START needs" in job.launch.climb.left_out


def test_the_stand_in_judges_machines_as_we_do() -> None:
    """Its table is written from the same page, apart from ours."""
    types, different = aiplatform.gapic.AcceleratorType, []
    for name in (*MACHINE_TYPES, "e2-standard-4", "cloud-tpu", "ct5lp-hightpu-4t"):
        for kind in types:
            for count in (1, 2, 3, 4, 8, 16, 32) if kind and kind.name not in UNSURE else ():
                spec = machine(name, kind.name, count)
                message = CustomJob(job_spec={"worker_pool_specs": [pool(machine_spec=spec)]})
                theirs = bool(list(machine_errors(CustomJob.pb(message))))
                if theirs != is_refused(spec):
                    different.append((spec, theirs))
    assert different == []


def is_refused(spec: dict[str, Any]) -> bool:
    """Tell whether submit refuses a machine."""
    try:
        check_machine(spec, "machine_spec")
    except Reject:
        return True
    return False


def test_a_region_of_the_ladder_that_the_sdk_does_not_know_is_left_out() -> None:
    """The launch stays in its own region; it would fail in the other."""
    region = Region(region="us-east99", staging_bucket="gs://other")
    job = prepared((), replace(PREPARATION, ladder=Ladder(regions=(region,))))
    assert job.next_places == ()
    assert job.launch.climb.left_out == "us-east99 is left out: the SDK runs no job there"
