"""Attacks on the operator's limits: through submit's door, a launch outside the policy is refused by its rule."""

import copy
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from shared.adapters.gcs import GcsLedger
from shared.adapters.vertex.submit import argument_names
from shared.config.ladder import Ladder
from shared.config.launch_config import LaunchConfig
from shared.config.policy import AdmissionPolicy
from shared.core.errors import Reject
from shared.core.jobsource import JobSource, Kind, read_job
from shared.core.launch import Launch, Outcome, State
from shared.core.message import Request, Ticket, encode
from shared.core.placement import Placement
from shared.core.shape import Shape
from shared.runspec.policy import POOL, REPLICAS, RULES
from shared.runspec.prepare import Preparation, PreparedJob
from shared.runspec.render import ArgumentNames, render
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import eventarc, polled
from tests.fakes import FakeJobs, FakeQueueConfigs, FakeSweeps
from tests.unit.specs import NAMES, SITE, draft_of, launch_of, put, run_spec

ACCOUNT = "trainer@p.iam.gserviceaccount.com"
DIGEST = "sha256:" + "a" * 64
POLICY: dict[str, Any] = {
    "service_accounts": [ACCOUNT],
    "images": ["us-docker.pkg.dev/p/team", "gcr.io/p/x:1", "docker.io/library"],
    "machine_types": ["n1-standard-4"],
    "accelerator_types": ["NVIDIA_TESLA_T4"],
    "tpu_topologies": [],
    "max_replicas": 2,
    "boot_disk_types": ["pd-ssd"],
    "max_boot_disk_gb": 200,
    "nfs_mounts": ["10.0.0.2:/data"],
    "lustre_mounts": [],
    "environment_variables": ["TRAIN_*"],
    "buckets": ["gs://staging", "gs://shared/team"],
    "enable_web_access": False,
    "projects": ["p", "123"],
    "regions": ["us-central1"],
    "wandb_entities": ["team"],
    "wandb_projects": ["team/cats"],
}
VERTEX = ("resource_args", "vertex")
SPEC, RUN = (*VERTEX, "spec"), (*VERTEX, "run")
POOL_0, POOL_1 = ((*SPEC, "worker_pool_specs", number) for number in (0, 1))
MACHINE, CONTAINER, DISK = ((*POOL_0, part) for part in ("machine_spec", "container_spec", "disk_spec"))
IMAGE = (*CONTAINER, "image_uri")
PSC = {"network_attachment": "na"}


def asked(*changes: tuple[tuple[Any, ...], Any]) -> dict[str, Any]:
    """Return a run spec that the policy allows, with these places changed."""
    pool = {
        "machine_spec": {
            "machine_type": "n1-standard-4",
            "accelerator_type": "NVIDIA_TESLA_T4",
            "accelerator_count": 1,
        },
        "replica_count": 1,
        "disk_spec": {"boot_disk_type": "pd-ssd", "boot_disk_size_gb": 200},
        "nfs_mounts": [{"server": "10.0.0.2", "path": "/data", "mount_point": "data"}],
        "container_spec": {"image_uri": "${image_uri}", "env": [{"name": "TRAIN_LR", "value": "1"}]},
    }
    second = {
        "machine_spec": {"machine_type": "n1-standard-4"},
        "replica_count": 1,
        "container_spec": {"image_uri": "${image_uri}"},
    }
    spec: dict[str, Any] = {
        "entity": "team",
        "project": "cats",
        "name": "one",
        "docker": {"docker_image": "us-docker.pkg.dev/p/team/train:1"},
        "resource_args": {
            "vertex": {
                "spec": {
                    "worker_pool_specs": [pool, second],
                    "staging_bucket": "gs://staging",
                    "base_output_dir": "gs://shared/team/out",
                },
                "run": {
                    "service_account": ACCOUNT,
                    "network": "projects/123/global/networks/n",
                    "enable_web_access": False,
                },
            }
        },
    }
    for place, value in changes:
        spec = put(spec, place, copy.deepcopy(value))
    return spec


def one(place: tuple[Any, ...], *values: Any) -> Iterator[list[tuple[tuple[Any, ...], Any]]]:
    """Yield one attack for each value of a place."""
    for value in values:
        yield [(place, value)]


# by rule: the attacks, each a list of places and values
ATTACKS: dict[str, list[list[tuple[tuple[Any, ...], Any]]]] = {
    "service_accounts": [
        *one(
            (*RUN, "service_account"), "other@p.iam.gserviceaccount.com", f" {ACCOUNT}", ACCOUNT.upper(), "${run_name}"
        ),
        [((*RUN, "service_account"), None), ((*SPEC, "service_account"), "other@p.iam.gserviceaccount.com")],
        [((*SPEC, "service_account"), ACCOUNT), ((*RUN, "service_account"), "other@p.iam.gserviceaccount.com")],
    ],
    "images": [
        *one(
            ("docker",), *({"docker_image": image} for image in ("evil.io/x", "us-docker.pkg.dev/p/team-b/x", "evil/x"))
        ),
        *one(IMAGE, "evil.io/us-docker.pkg.dev/p/team/x", "us-docker.pkg.dev:443/p/team/x", "index.docker.io/evil/x"),
        *one(IMAGE, f"gcr.io/p/x:1@{DIGEST}", "gcr.io/p/x", "gcr.io/p/x:1.2", f"gcr.io/p/x@{DIGEST}"),
        [((*POOL_1, "container_spec", "image_uri"), "evil.io/x")],
        [(IMAGE, "${run_name}"), (("name",), "evil.io/x")],
    ],
    "machine_types": [
        *one((*MACHINE, "machine_type"), "a3-megagpu-8g", "n1-standard-4 ", "N1-STANDARD-4", "", None, "${author}"),
        [((*POOL_1, "machine_spec"), {})],
        [((*POOL_1, "machine_spec"), None)],
    ],
    "accelerator_types": [*one((*MACHINE, "accelerator_type"), "NVIDIA_L4", "nvidia l4", "nvidia-l4", 8, 9)],
    "tpu_topologies": [*one((*MACHINE, "tpu_topology"), "16x16")],
    "max_replicas": [
        *one((*POOL_0, "replica_count"), 2, "2", 2.0, "2.0", " 2 ", 10**6),
        [((*POOL_0, "replica_count"), 2), ((*POOL_1, "replica_count"), 0)],
        [((*POOL_0, "replica_count"), 2), ((*POOL_1, "replica_count"), None)],
    ],
    "boot_disk_types": [*one((*DISK, "boot_disk_type"), "hyperdisk-balanced", "PD-SSD", "pd-ssd ")],
    "max_boot_disk_gb": [*one((*DISK, "boot_disk_size_gb"), 201, "64000", 1e4, "1e4")],
    "nfs_mounts": [
        *one(
            (*POOL_0, "nfs_mounts"),
            [{}],
            [{"server": "10.0.0.2", "path": "/"}],
            [{"server": "10.0.0.9", "path": "/data"}],
        ),
        *one((*POOL_0, "nfs_mounts"), [{"server": "10.0.0.2", "path": "/data/../etc"}], [{"path": "10.0.0.2:/data"}]),
    ],
    "lustre_mounts": [*one((*POOL_0, "lustre_mounts"), [{"instance_ip": "10.0.0.3", "filesystem": "f"}], [{}])],
    "environment_variables": [
        *one(
            (*CONTAINER, "env"), *([{"name": name, "value": "/x"}] for name in ("LD_PRELOAD", "PYTHONPATH", "train_lr"))
        ),
        [((*POOL_1, "container_spec", "env"), [{"name": "TRAIN_LR"}, {"name": "BASH_ENV", "value": "/x"}])],
        [((*CONTAINER, "env"), [{"name": "${run_name}", "value": "/x"}]), (("name",), "LD_PRELOAD")],
    ],
    "buckets": [
        *one(
            (*SPEC, "staging_bucket"), "gs://other", "other", "gs://staging-b", "gs://staging/../other", "gs://shared"
        ),
        *one((*SPEC, "base_output_dir"), "gs://other/out", "gs://shared/team-b", "gs://shared/team/../../other"),
        [((*SPEC, "base_output_dir"), "gs://${run_name}"), (("name",), "other")],
    ],
    "enable_web_access": [*one((*RUN, "enable_web_access"), True, "true", " TRUE ")],
    "projects": [
        *one((*SPEC, "project"), "q", "124"),
        *one((*RUN, "network"), "projects/q/global/networks/n", "projects/123/../q/global/networks/n", "q/n"),
        *one((*RUN, "network"), "https://www.googleapis.com/compute/v1/projects/q/global/networks/n", "projects/"),
        *one((*RUN, "network"), "//compute.googleapis.com/projects/q/global/networks/n", "projects/123/projects/q/x"),
        *one((*RUN, "tensorboard"), "projects/q/locations/us-central1/tensorboards/1"),
        *one((*RUN, "experiment"), "projects/q/locations/us-central1/metadataStores/default/contexts/x"),
        *one((*RUN, "persistent_resource_id"), "projects/q/locations/us-central1/persistentResources/x"),
        *one((*SPEC, "persistent_resource_id"), "projects/q/locations/us-central1/persistentResources/x"),
        *one(
            (*POOL_0, "lustre_mounts"),
            [{"volume_handle": "projects/q/locations/l/instances/i"}],
            [{"volume_handle": "q/l/i"}],
        ),
        *one((*SPEC, "encryption_spec_key_name"), "projects/q/locations/us-central1/keyRings/r/cryptoKeys/k"),
        *one(
            (*MACHINE, "reservation_affinity"),
            {"reservation_affinity_type": 3, "values": ["projects/p/zones/z/reservations/r", "projects/q/zones/z/r/r"]},
        ),
        *one((*RUN, "psc_interface_config"), {"network_attachment": "projects/q/regions/r/networkAttachments/n"}),
        *one((*RUN, "psc_interface_config"), {**PSC, "dns_peering_configs": [{"domain": "a.", "target_project": "q"}]}),
        [((*RUN, "network"), "projects/${run_name}/global/networks/n"), (("name",), "q")],
    ],
    "regions": [*one((*SPEC, "location"), "europe-west4", "EUROPE-WEST4", " europe-west4")],
    "wandb_entities": [*one(("entity",), "other", "Team", " team")],
    "wandb_projects": [*one(("project",), "dogs", "cats/x", " cats")],
}


def sent(outside: Outside, *specs: dict[str, Any], **settings: Any) -> list[Launch]:
    """Send requests through submit's door; return their records."""
    written = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    # without an entity of its own, submit leaves entities to the policy
    submit, ledger = (
        outside.client("submit", **{"LAUNCH_ENTITY": "", **written}),
        GcsLedger(os.environ["LEDGER_BUCKET"]),
    )
    launches = []
    for number, spec in enumerate(specs):
        request = Request(source="ci", idempotency_key=str(number), run_spec=spec)
        assert submit.post(**eventarc(encode(request))).status_code == 200
        launch = ledger.read(request.launch_key)
        assert launch
        launches.append(launch)
    return launches


def test_every_rule_is_attacked() -> None:
    """A new rule needs attacks here."""
    assert ATTACKS.keys() == POLICY.keys() == AdmissionPolicy.model_fields.keys()


def test_what_the_policy_allows_becomes_a_job(outside: Outside) -> None:
    """The spec that the attacks change is launched."""
    [launch] = sent(outside, asked(), LAUNCH_POLICY=POLICY)
    assert (launch.entry.state, launch.reason) == (State.SUBMITTED, "")
    assert len(outside.vertex.jobs()) == 1


@pytest.mark.parametrize("rule", ATTACKS)
def test_a_launch_outside_the_policy_is_refused_by_its_rule(outside: Outside, rule: str) -> None:
    """Nothing is sent to Vertex AI, and the author reads the rule."""
    attacks = ATTACKS[rule]
    launches = sent(outside, *(asked(*attack) for attack in attacks), LAUNCH_POLICY=POLICY)
    assert outside.vertex.jobs() == []
    words = (
        f"which the rule policy.{rule} does not allow. Allowed: ",
        "with a folder named `.` or `..`",
        "Write a machine type",  # a pool without one is refused before
    )
    refused = [(attack, one.reason) for attack, one in zip(attacks, launches, strict=True)]
    assert [each for each in refused if not any(each_words in each[1] for each_words in words)] == []
    assert {launch.entry.outcome for launch in launches} == {Outcome.REJECTED}


# names that Docker refuses too, in each place where a launch can name an image
NOT_IMAGES = [
    "us-docker.pkg.dev/p/team/%2e%2e/other/x",
    "us-docker.pkg.dev/p/team\\..\\x",
    "us-docker.pkg.dev/p/team/../other/x",
    "us-docker.pkg.dev/p/team/x\n",
    "us-docker.pkg.dev/p/team/x y",
    " us-docker.pkg.dev/p/team/x",
    "us-docker.pkg.dev/p/Team/x",
    "us-docker.pkg.dev/p//x",
    "us-docker.pkg.dev/p/team/x@sha256:00",
    "us-docker.pkg.dev/p/team/x:1:2",
    "ubuntu:22.04 as base",
    "https://us-docker.pkg.dev/p/team/x",
    "$(id)",
]


@pytest.mark.parametrize("place", [("docker", "docker_image"), ("image_uri",), IMAGE], ids=lambda place: place[-1])
def test_a_name_that_is_no_image_is_refused(outside: Outside, place: tuple[Any, ...]) -> None:
    """Also without a policy: no other reader of the name can understand it differently."""
    base = asked() if place == IMAGE else asked((("docker",), {}))
    launches = sent(outside, *(put(base, place, name) for name in NOT_IMAGES))
    assert outside.vertex.jobs() == []
    assert [one.reason for one in launches if "REGISTRY/PATH:TAG" not in one.reason] == []


@pytest.mark.parametrize("written", [3, True, False, 0, [], ["python"], {"a": 1}, *NOT_IMAGES], ids=repr)
def test_a_base_image_that_is_no_image_is_refused(written: object) -> None:
    """In a W&B job, in a queue, and in the settings."""
    source = {"artifact": "wandb-artifact://_id/1", "entrypoint": ["python", "x.py"], "base_image": written}
    content = json.dumps({"source_type": "artifact", "source": source}).encode()
    site = replace(SITE, destination="us-docker.pkg.dev/p/launch/jobs")
    with pytest.raises(Reject, match=r"base_image that is not a text|has the base image"):
        render(draft_of(run_spec(docker=None, job="team/cats/j:v1")), site, NAMES, read_job("team/cats/j:v1", content))
    with pytest.raises(ValidationError, match=r"is not the name|no image can have|hexadecimal|not a host|valid string"):
        LaunchConfig.model_validate({"builder": {"base_image": written}, "scheduler": {"image": written}})


SECURE = [
    (("overrides", "entry_point"), ["sh"]),
    (("overrides", "dockerfile"), "Other"),
    (("overrides", "working_dir"), "other"),
    (("overrides", "args"), ["sh", "-c", "true"]),
    ((*CONTAINER, "command"), ["sh"]),
    ((*CONTAINER, "command"), [""]),
    ((*CONTAINER, "args"), ["sh"]),
    ((*POOL_1, "container_spec", "command"), ["sh"]),
    ((*POOL_1, "container_spec", "args"), [1]),
]


def test_secure_mode_lets_no_item_choose_what_runs(outside: Outside) -> None:
    """Neither by an override nor by a container of any pool; arguments could be the program of an image."""
    launches = sent(outside, *(asked(attack) for attack in SECURE), LAUNCH_SECURE_MODE="true")
    assert outside.vertex.jobs() == []
    fields = [f"overrides.{place[-1]}" if place[0] == "overrides" else f".{place[-1]}" for place, _ in SECURE]
    for field, launch in zip(fields, launches, strict=True):
        assert f"{field}: is refused: this deployment is in secure mode" in launch.reason


def test_secure_mode_keeps_the_arguments_of_a_jobs_entry_point() -> None:
    """Sweeps pass hyperparameters as arguments; the W&B job decides the program."""
    job = JobSource("team/cats/j:v1", Kind.IMAGE, ("python", "train.py"), image="us-docker.pkg.dev/p/team/train:1")
    draft = draft_of(run_spec(docker=None, job=job.path, overrides={"args": ["--lr", "0.1"]}))
    call = render(draft, replace(SITE, secure_mode=True), NAMES, job)
    container = call.constructor["worker_pool_specs"][0]["container_spec"]
    assert (container["command"], container["args"]) == (["python", "train.py"], ["--lr", "0.1"])


LADDER = {"regions": [{"region": "europe-west4", "staging_bucket": "gs://eu"}], "strategies": ["SPOT", "STANDARD"]}


def prepared(policy: dict[str, Any], climb: Placement | None = None, **changes: Any) -> PreparedJob:
    """Prepare a launch that can go to Europe, at the place that its record names."""
    names = ArgumentNames(NAMES.constructor, NAMES.run, NAMES.submit | {"scheduling_strategy"})
    preparation = Preparation(
        FakeQueueConfigs(),
        FakeJobs(),
        FakeSweeps(),
        SITE,
        names,
        AdmissionPolicy(**policy),
        ladder=Ladder.model_validate(LADDER),
    )
    launch = launch_of(run_spec(**changes)).move(State.SUBMITTING, attempt=1)
    return preparation.prepare(replace(launch, climb=climb or Placement()))


@pytest.mark.parametrize(
    ("policy", "europe"),
    [
        ({}, True),
        ({"regions": ["us-central1", "europe-west4"], "buckets": ["gs://staging", "gs://eu"]}, True),
        ({"regions": ["us-central1"]}, False),
        ({"buckets": ["gs://staging"]}, False),
    ],
)
def test_the_ladder_leads_to_no_place_outside_the_policy(policy: dict[str, Any], europe: bool) -> None:
    """Neither to its region nor to its bucket."""
    job = prepared(policy)
    assert any("europe-west4" in place for place in job.next_places) is europe
    assert ("europe-west4 with STANDARD is left out: " in job.launch.climb.left_out) is not europe


def test_a_resumed_run_keeps_no_folder_outside_the_policy() -> None:
    """Its record names the folder of its last job, which the policy may have allowed at that time."""
    climb = Placement(output_dir="gs://old/out")
    resumed = {"_resume_count": 1}
    assert prepared({}, climb, **resumed).call.constructor["base_output_dir"] == "gs://old/out"
    with pytest.raises(Reject, match=r"spec\.base_output_dir: is 'gs://old/out', which the rule policy\.buckets"):
        prepared({"buckets": ["gs://staging"]}, climb, **resumed)


# fields of Vertex AI's message that no rule limits, and why
FREE = {
    "spec.display_name": "a text for people",
    "spec.labels": "texts for people; ours win",
    "spec.credentials": "refused",
    "run.sync": "ignored",
    f"{POOL}.container_spec.command": "secure mode, images",
    f"{POOL}.container_spec.args": "secure mode, images",
    f"{POOL}.container_spec.env[].value": "the code's own; environment_variables limits the names",
    f"{POOL}.python_package_spec": "refused",
    f"{POOL}.machine_spec.accelerator_count": "machine_types and accelerator_types",
    f"{POOL}.machine_spec.gpu_partition_size": "divides an accelerator",
    f"{POOL}.machine_spec.reservation_affinity.reservation_affinity_type": "the names are limited",
    f"{POOL}.machine_spec.reservation_affinity.key": "the names are limited",
    f"{POOL}.nfs_mounts[].mount_point": "a folder of the container",
    f"{POOL}.lustre_mounts[].mount_point": "a folder of the container",
    "run.psc_interface_config.dns_peering_configs[].domain": "within the project",
    "run.psc_interface_config.dns_peering_configs[].target_network": "within the project",
    "run.timeout": "a time",
    "run.max_wait_duration": "a time",
    "run.create_request_timeout": "a time",
    "run.restart_job_on_worker_restart": "a behaviour",
    "run.disable_retries": "a behaviour",
    "run.scheduling_strategy": "the ladder",
}


def test_every_field_of_the_message_is_limited_or_free() -> None:
    """A field that a newer SDK adds fails here until it has a rule or a reason."""
    given = argument_names()
    limited = {field for rule in RULES for field in rule.fields} | {REPLICAS}
    found = set()
    for part, names in (("spec", given["constructor"]), ("run", given["run"] | given["submit"])):
        for name in names:
            found |= set(leaves(f"{part}.{name}", given["shapes"][name]))
    wholes = tuple(f"{field}." for field in limited if field.endswith("_mounts[]"))  # limited as objects
    unknown = {field for field in found - limited - FREE.keys() if not field.startswith(wholes)}
    assert {field for field in unknown if not field.startswith(f"{POOL}.python_package_spec.")} == set()


def leaves(path: str, shape: Shape) -> Iterator[str]:
    """Yield the paths of all values within a shape."""
    at = f"{path}[]" if shape.repeated else path
    if not shape.fields:
        yield path if at.endswith(("command[]", "args[]")) else at
    for name, inner in shape.fields.items():
        yield from leaves(f"{at}.{name}", inner)


def test_a_queues_item_is_refused_in_wandb(outside: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    """From poll's door to the item's author."""
    item = outside.wandb.push("team", "vertex", {**asked(), "project": "dogs"})
    outside.client("poll").post("/")
    submit = outside.client("submit", LAUNCH_POLICY=json.dumps(POLICY))
    assert submit.post(**eventarc(encode(Ticket(launch_key=polled(capsys))))).status_code == 200
    outside.client("status").post("/")
    assert (item.state, outside.vertex.jobs()) == ("FAILED", [])
    assert "rule policy." in str(item.error)


def test_a_variable_of_wandb_that_an_author_sets_is_not_wandbs(outside: Outside) -> None:
    """Only the variables that this launch gets from W&B Launch pass without a rule."""
    names = ("WANDB_USERNAME", "WANDB_SWEEP_ID", "WANDB_CONFIG_0", "WANDB_DIR")
    specs = [asked(((*CONTAINER, "env"), [{"name": name, "value": "x"}])) for name in names]
    launches = sent(outside, *specs, LAUNCH_POLICY={"environment_variables": []})
    assert outside.vertex.jobs() == []
    assert [one.reason for one in launches if "rule policy.environment_variables" not in one.reason] == []


def test_an_account_as_a_resource_name_is_of_an_allowed_project(outside: Outside) -> None:
    """Also if no rule limits the accounts; an address names no project here."""
    names = ("projects/q/serviceAccounts/a@q.iam.gserviceaccount.com", "projects/-/serviceAccounts/a@q.example.com")
    specs = [asked(((*RUN, "service_account"), name)) for name in names]
    launches = sent(outside, *specs, LAUNCH_POLICY={"projects": ["p", "123"]})
    assert outside.vertex.jobs() == []
    assert [one.reason for one in launches if "rule policy.projects" not in one.reason] == []
