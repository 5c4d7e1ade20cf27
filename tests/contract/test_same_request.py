"""The request that leaves submit is the one that the SDK itself sends, and the agent's but for what the page lists.

Compared is the CreateCustomJobRequest as it arrives at the Vertex AI stand-in.
"""

import copy
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.api_core.exceptions import BadRequest
from google.cloud import aiplatform
from google.cloud.aiplatform_v1.types import PscInterfaceConfig
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import Reject
from tests.contract.sending import CONTAINERS, NAMES, Sent, Vertex, differing, vertex
from tests.unit.specs import SITE, launch_of, put, run_spec

PAGE = Path("docs/explanation/differences-from-launch-agent.md")
OUR_LABELS = {"wandb-run-id", "launch_key", "launch_attempt", "launch_agent"}
IMAGE = "us-docker.pkg.dev/p/r/train:1"
Strategy = aiplatform.gapic.Scheduling.Strategy


@pytest.fixture(scope="module")
def server() -> Iterator[Vertex]:
    """Serve one stand-in for all."""
    with vertex() as serving:
        yield serving


def queue_item(configuration: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the run spec of an item on a queue that is configured so."""
    return run_spec(copy.deepcopy(configuration), **{"name": "blue", "run_id": "r1", **changes})


def as_python(configuration: dict[str, Any], typed: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write a queue's configuration as Python: what has no default is given, and what is typed is of its type."""
    spec, run = copy.deepcopy(configuration["spec"]), copy.deepcopy(configuration.get("run", {}))
    spec.setdefault("display_name", "blue")
    spec.setdefault("base_output_dir", f"{spec['staging_bucket']}/team/cats/r1")
    for pool in spec["worker_pool_specs"]:
        if pool and pool["container_spec"]["image_uri"] == "${image_uri}":
            pool["container_spec"]["image_uri"] = IMAGE
    if "service_account" in spec:
        run["service_account"] = spec.pop("service_account")
    run.pop("sync", None)
    return spec, {**run, **typed}


def without_ours(sent: Sent) -> tuple[dict[str, Any], list[str]]:
    """Take out of a request what we add: return the rest, and the names of our variables in each container."""
    job = copy.deepcopy(sent.job)
    assert job["labels"].keys() >= OUR_LABELS
    job["labels"] = {name: value for name, value in job["labels"].items() if name not in OUR_LABELS}
    names = []
    for pool in job["job_spec"]["worker_pool_specs"]:
        if "container_spec" in pool:
            env = pool["container_spec"].pop("env")
            names.append(",".join(one["name"] for one in env if one["name"].startswith("WANDB_")))
            pool["container_spec"]["env"] = [one for one in env if not one["name"].startswith("WANDB_")]
    return job, names


def assert_as_the_sdk_sends(server: Vertex, configuration: dict[str, Any], typed: dict[str, Any] | None = None) -> None:
    """Compare what we send for a queue's configuration with what Python code with the same arguments sends."""
    ours = server.ours(queue_item(configuration))
    plain = server.plain(*as_python(configuration, typed or {}))
    rest, names = without_ours(ours)
    expected = {**plain.job, "labels": plain.job.get("labels", {})}
    for pool in expected["job_spec"]["worker_pool_specs"]:
        if "container_spec" in pool:
            pool["container_spec"].setdefault("env", [])
    assert rest == expected
    assert ours.parent == plain.parent
    assert len(set(names)) == 1
    assert {"WANDB_API_KEY", "WANDB_RUN_ID", "WANDB_LAUNCH", "WANDB_RESUME"} <= set(names[0].split(","))


BASE = """
spec:
  staging_bucket: gs://staging
  worker_pool_specs:
  - machine_spec: {machine_type: n1-standard-4}
    replica_count: 1
    container_spec: {image_uri: "${image_uri}"}
"""
MANY_POOLS = """
spec:
  staging_bucket: gs://staging/folder
  labels: {team: vision, tier: "1"}
  worker_pool_specs:
  - machine_spec:
      machine_type: a2-highgpu-1g
      accelerator_type: NVIDIA_TESLA_A100
      accelerator_count: 1
      reservation_affinity:
        reservation_affinity_type: SPECIFIC_RESERVATION
        key: compute.googleapis.com/reservation-name
        values: [projects/p/zones/us-central1-a/reservations/r]
    replica_count: 1
    disk_spec: {boot_disk_type: pd-ssd, boot_disk_size_gb: 200}
    nfs_mounts: [{server: 10.0.0.2, path: /share, mount_point: data}]
    container_spec:
      image_uri: us-docker.pkg.dev/p/r/own:2
      command: [python, -m, train]
      args: [--lr, "0.1"]
      env: [{name: A, value: b}, {name: EMPTY, value: ""}]
  - {}
  - machine_spec: {machine_type: n1-highmem-2}
    replica_count: 3
    container_spec: {image_uri: "${image_uri}"}
"""
EVERYTHING = """
run:
  service_account: trainer@p.iam.gserviceaccount.com
  network: projects/1/global/networks/n
  timeout: 3600
  restart_job_on_worker_restart: true
  enable_web_access: true
  tensorboard: projects/p/locations/us-central1/tensorboards/1
  disable_retries: true
  persistent_resource_id: pr-1
  max_wait_duration: 0
  create_request_timeout: 30
"""
SDK_ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "the least": (BASE, {}),
    "pools": (MANY_POOLS, {}),
    "every argument of run": (BASE + EVERYTHING, {}),
    "every argument of the constructor": (
        BASE + "  display_name: own\n  base_output_dir: gs://other/out\n  project: other-project\n"
        "  location: europe-west4\n  encryption_spec_key_name: projects/p/locations/l/keyRings/r/cryptoKeys/k\n"
        "  persistent_resource_id: pr-2\n  labels: {a: b}\n",
        {},
    ),
    "spot": (BASE + "run: {scheduling_strategy: SPOT}", {"scheduling_strategy": Strategy.SPOT}),
    "standard": (BASE + "run: {scheduling_strategy: standard}", {"scheduling_strategy": Strategy.STANDARD}),
    "on demand": (BASE + "run: {scheduling_strategy: On-Demand}", {"scheduling_strategy": Strategy.ON_DEMAND}),
    "flex start": (
        BASE + "run: {scheduling_strategy: flex_start, max_wait_duration: 7200s, timeout: '60'}",
        {"scheduling_strategy": Strategy.FLEX_START, "max_wait_duration": 7200, "timeout": 60},
    ),
    "private service connect": (
        BASE + "run: {psc_interface_config: {network_attachment: na, dns_peering_configs: [{domain: a.b.,"
        " target_project: p, target_network: n}]}}",
        {
            "psc_interface_config": PscInterfaceConfig(
                network_attachment="na",
                dns_peering_configs=[{"domain": "a.b.", "target_project": "p", "target_network": "n"}],
            )
        },
    ),
    "flags as texts": (
        BASE + "run: {enable_web_access: 'true', disable_retries: 'false'}",
        {"enable_web_access": True, "disable_retries": False},
    ),
    "an experiment": (BASE + "run: {experiment: cats}", {}),
    "a run of an experiment": (BASE + "run: {experiment: cats, experiment_run: blue}", {}),
    "misplaced": (BASE + "  service_account: a@p.iam.gserviceaccount.com\nrun: {sync: true}", {}),
}


@pytest.mark.parametrize("row", SDK_ROWS)
def test_it_is_what_the_sdk_sends(server: Vertex, row: str) -> None:
    """Plus our labels and environment."""
    written, typed = SDK_ROWS[row]
    assert_as_the_sdk_sends(server, yaml.safe_load(written), typed)


@pytest.mark.parametrize("row", ["pools", "every argument of run", "spot"])
def test_a_secret_changes_the_commands_and_takes_the_key_out(server: Vertex, row: str) -> None:
    """The rest of the request is equal."""
    spec = queue_item(yaml.safe_load(SDK_ROWS[row][0]), overrides={"entry_point": ["python", "x.py"]})
    plain = server.ours(spec)
    secured = server.ours(spec, replace(SITE, key_secret="projects/p/secrets/s"))
    for sent in (plain, secured):
        for pool in sent.job["job_spec"]["worker_pool_specs"]:
            if "container_spec" in pool:
                container = pool["container_spec"]
                assert (SITE.api_key in str(container)) == (sent is plain)
                container["command"] = container["command"][-2:]
                container["env"] = [one for one in container["env"] if one["name"] != "WANDB_API_KEY"]
    assert secured == plain


def test_the_rows_name_every_argument() -> None:
    """Of the installed SDK: a new one fails here until there is a row for it."""
    named: set[str] = set()
    for written, _ in SDK_ROWS.values():
        configuration = yaml.safe_load(written)
        named |= configuration["spec"].keys() | configuration.get("run", {}).keys()
    assert (NAMES.constructor | NAMES.run | NAMES.submit) - named == {"credentials"}  # which are refused


WORD = st.text(st.characters(codec="utf-8", exclude_characters="$\0"), max_size=12)
NAME = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True).filter(lambda name: not name.startswith("WANDB"))
LABEL = st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True)
CONTAINER = st.fixed_dictionaries(
    {"image_uri": st.sampled_from(["${image_uri}", "python:3.12", "gcr.io/p/x@sha256:" + "0" * 64])},
    optional={
        "command": st.lists(WORD, max_size=3),
        "args": st.lists(WORD, max_size=3),
        "env": st.lists(
            st.fixed_dictionaries({"name": NAME, "value": WORD}), max_size=3, unique_by=lambda e: e["name"]
        ),
    },
)
MACHINE = st.sampled_from(
    [
        {"machine_type": "n1-standard-4"},
        {"machine_type": "g2-standard-4", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1},
        {"machine_type": "ct5lp-hightpu-1t", "tpu_topology": "1x1"},
        {"machine_type": "cloud-tpu", "accelerator_type": "TPU_V3", "accelerator_count": 32},
        {"machine_type": "n1-standard-4", "reservation_affinity": {"reservation_affinity_type": "ANY_RESERVATION"}},
    ]
)
MOUNT = {"server": "10.0.0.2", "path": "/share", "mount_point": "data"}
WORKERS = st.fixed_dictionaries(
    {"machine_spec": MACHINE, "replica_count": st.integers(1, 9), "container_spec": CONTAINER},
    optional={
        "disk_spec": st.fixed_dictionaries({"boot_disk_size_gb": st.integers(100, 64_000)}),
        "nfs_mounts": st.just([MOUNT]),
    },
)
CONFIGURATION = st.fixed_dictionaries(
    {
        "spec": st.fixed_dictionaries(
            {
                "staging_bucket": st.sampled_from(["gs://staging", "gs://staging/folder"]),
                "worker_pool_specs": st.builds(
                    lambda first, others: [first, *others], WORKERS, st.lists(WORKERS | st.just({}), max_size=2)
                ),
            },
            optional={
                "display_name": st.text(
                    st.characters(codec="utf-8", exclude_characters="$", categories=["L", "N"]),
                    min_size=1,
                    max_size=128,
                ),
                "base_output_dir": st.just("gs://other/out"),
                "labels": st.dictionaries(LABEL, LABEL, max_size=3),
                "project": st.just("other-project"),
                "location": st.sampled_from(["us-central1", "europe-west4"]),
                "persistent_resource_id": LABEL,
            },
        ),
        "run": st.fixed_dictionaries(
            {},
            optional={
                "service_account": st.just("trainer@p.iam.gserviceaccount.com"),
                "network": st.just("projects/1/global/networks/n"),
                "psc_interface_config": st.just({"network_attachment": "na"}),
                "timeout": st.integers(0, 604_800),
                "max_wait_duration": st.integers(0, 86_400),
                "restart_job_on_worker_restart": st.booleans(),
                "enable_web_access": st.booleans(),
                "disable_retries": st.booleans(),
                "persistent_resource_id": LABEL,
                "scheduling_strategy": st.sampled_from(sorted(Strategy.__members__)),
            },
        ),
    }
)


@given(CONFIGURATION)
@settings(max_examples=60, deadline=None)
@pytest.mark.slow
def test_it_is_what_the_sdk_sends_for_any_configuration(server: Vertex, configuration: dict[str, Any]) -> None:
    """Whatever a queue says, in any combination."""
    strategy = configuration["run"].get("scheduling_strategy")
    assert_as_the_sdk_sends(server, configuration, {"scheduling_strategy": Strategy[strategy]} if strategy else {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9) | st.just("7" * 5000),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every part of a configuration."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*path, key)
        yield from places(one, (*path, key))


ANYTHING = yaml.safe_load(MANY_POOLS + EVERYTHING)
ANYTHING["run"] |= {"scheduling_strategy": "SPOT", "psc_interface_config": {"network_attachment": "na"}, "network": "n"}


@given(st.sampled_from(list(places(ANYTHING))), JSON)
@settings(max_examples=150, deadline=None)
def test_one_odd_value_is_sent_or_refused(server: Vertex, place: tuple[Any, ...], value: Any) -> None:
    """The SDK never trips over it on its way to Vertex AI, of which nobody could tell whether there is a job."""
    with suppress(Reject):
        server.ours(queue_item(put(ANYTHING, place, value)))


# --- the agent


def listed() -> list[str]:
    """Return the paths that the page lists."""
    in_the_request = PAGE.read_text(encoding="utf-8").partition("\n## In accepted")[0]
    rows = re.findall(r"^\| `([^`]+)` \|", in_the_request, re.MULTILINE)
    return [path.replace("CONTAINER", CONTAINERS) for path in rows]


def listing(path: str) -> str:
    """Return the listed path that covers this one, empty where none does."""
    return next((known for known in listed() if fnmatchcase(path, known.replace("[]", "[[]]"))), "")


ALWAYS = {  # of an item that has a name and a run id, on a queue that has nothing of its own
    "labels.launch_key",
    "labels.launch_attempt",
    "labels.launch_agent",
    "job_spec.base_output_directory.output_uri_prefix",
    f"{CONTAINERS}.env.WANDB_RESUME",
}
PAGE_SETTINGS: dict[str, Any] = run_spec()["resource_args"]["gcp-vertex"]  # what W&B's page fills in, and a bucket
AGENT_ROWS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "the page's own": (yaml.safe_dump(PAGE_SETTINGS), {}, set()),
    "after a requeue": (BASE, {"_resume_count": 2}, {f"-{CONTAINERS}.env.WANDB_RESUME"}),
    "no name": (BASE, {"name": None}, {"display_name"}),
    "a long name": (BASE, {"name": "n" * 128}, set()),
    "its own folder": (BASE + "  base_output_dir: gs://two", {}, {"-job_spec.base_output_directory.output_uri_prefix"}),
    "its own name": (BASE + "  display_name: own", {}, {"display_name"}),
    "no run id": (BASE, {"run_id": None}, {"labels.wandb-run-id", f"{CONTAINERS}.env.WANDB_RUN_ID"}),
    "labels and a key": (BASE + "  labels: {a: b}\n  encryption_spec_key_name: projects/p/k", {}, set()),
    "its own project": (BASE + "  project: other-project", {}, {"parent"}),
    "its own region": (BASE + "  location: europe-west4", {}, {"parent"}),
    "persistent": (BASE + "  persistent_resource_id: pr", {}, {"job_spec.persistent_resource_id"}),
    "its own command": (
        BASE.replace('"${image_uri}"}', '"${image_uri}", command: [a], args: [b]}'),
        {},
        {f"{CONTAINERS}.command"},
    ),
    "args": (BASE, {"overrides": {"args": ["--x"]}}, {f"{CONTAINERS}.command", f"{CONTAINERS}.args"}),
    "an entry point": (BASE, {"overrides": {"entry_point": ["python", "x.py"]}}, set()),
    "an entry point and args": (
        BASE,
        {"overrides": {"entry_point": ["python"], "args": ["x.py"]}},
        {f"{CONTAINERS}.command", f"{CONTAINERS}.args"},
    ),
    "variables": (BASE.replace('"${image_uri}"}', '"${image_uri}", env: [{name: A, value: "${run_id}"}]}'), {}, set()),
    "a variable of ours": (
        BASE.replace('"${image_uri}"}', '"${image_uri}", env: [{name: WANDB_PROJECT, value: mine}]}'),
        {},
        {f"{CONTAINERS}.env.WANDB_PROJECT", f"{CONTAINERS}.env.WANDB_PROJECT.twice"},
    ),
    "run, as the agent knows it": (
        BASE + "run: {service_account: a@p, network: n, timeout: 60, enable_web_access: true,"
        " restart_job_on_worker_restart: true, tensorboard: projects/p/locations/l/tensorboards/1}",
        {},
        set(),
    ),
    "run, as it does not": (
        BASE + "run: {scheduling_strategy: FLEX_START, max_wait_duration: 60, disable_retries: true,"
        " persistent_resource_id: pr, psc_interface_config: {network_attachment: na}}",
        {},
        {
            "job_spec.scheduling.strategy",
            "job_spec.scheduling.max_wait_duration",
            "job_spec.scheduling.disable_retries",
            "job_spec.persistent_resource_id",
            "job_spec.psc_interface_config.network_attachment",
        },
    ),
    "a service account under spec": (BASE + "  service_account: a@p", {}, {"job_spec.service_account"}),
    "what a person sets": (
        BASE,
        {"author": "ann", "overrides": {"run_config": {"lr": 0.1}, "files": {"a": 1}, "artifacts": {"d": "e/p/a:v1"}}},
        set(),
    ),
}


@pytest.mark.parametrize("row", AGENT_ROWS)
def test_it_is_what_the_agent_sends_but_for_what_is_listed(server: Vertex, row: str) -> None:
    """Exactly these differences and no other, each of them on the page with its reason; `-` marks one that is not."""
    written, changes, expected = AGENT_ROWS[row]
    item = {name: value for name, value in queue_item(yaml.safe_load(written), **changes).items() if value is not None}
    found = differing(server.ours(item), server.agents(item))
    missing = {path[1:] for path in expected if path.startswith("-")}
    assert found == (ALWAYS - missing) | {path for path in expected if not path.startswith("-")}
    assert all(map(listing, found)), [path for path in found if not listing(path)]


@given(CONFIGURATION, st.fixed_dictionaries({}, optional={"name": LABEL, "author": LABEL, "run_id": LABEL}))
@settings(max_examples=40, deadline=None)
def test_nothing_differs_from_the_agent_that_is_not_listed(
    server: Vertex, configuration: dict[str, Any], changes: dict[str, Any]
) -> None:
    """For any configuration that the agent takes: it knows no empty pool."""
    pools = configuration["spec"]["worker_pool_specs"]
    configured = {**configuration, "spec": {**configuration["spec"], "worker_pool_specs": list(filter(None, pools))}}
    item = run_spec(copy.deepcopy(configured), **changes)
    unlisted = [path for path in differing(server.ours(item), server.agents(item)) if not listing(path)]
    assert unlisted == []


def test_a_run_id_in_capitals_is_no_label(server: Vertex) -> None:
    """Vertex AI refuses the agent's request for it; ours is made a label first."""
    item = queue_item(yaml.safe_load(BASE), run_id="R.1")
    assert server.ours(item).job["labels"]["wandb-run-id"] == "r-1"
    with pytest.raises(BadRequest, match="wandb-run-id"):
        server.agents(item)


def test_the_page_lists_nothing_that_does_not_differ() -> None:
    """Each listed path is one that a row above shows."""
    shown = ALWAYS.union(*(expected for *_, expected in AGENT_ROWS.values()))
    assert {listing(path) for path in shown if not path.startswith("-")} == set(listed())


def test_the_page_names_tests_that_exist() -> None:
    """Of each difference that is not in the request."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 5
    missing = [
        f"{path}::{name}" for path, name in named if f"def {name}(" not in Path(path).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_an_item_on_the_configuration_of_wandbs_page_goes_where_the_deployment_is(server: Vertex) -> None:
    """To the project and region of the deployment, with the labels of its launch."""
    item = queue_item(PAGE_SETTINGS)
    sent = server.ours(item)
    assert sent.parent == f"projects/{SITE.project}/locations/{SITE.location}"
    assert sent.job["labels"]["launch_key"] == launch_of(item).key
