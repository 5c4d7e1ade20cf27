"""Values as people write them for the fields of a CustomJob: what is sent, and what is refused with which words.

The source of each is that of its field in FORMS, which docs/reference/values.md shows.
"""

import copy
from typing import Any

from tests.unit.specs import PAGE_DEFAULT, put

POOL = ("spec", "worker_pool_specs", 0)
SECOND = ("spec", "worker_pool_specs", 1)
MACHINE = (*POOL, "machine_spec")
DISK = (*POOL, "disk_spec")
CONTAINER = (*POOL, "container_spec")
PSC = ("run", "psc_interface_config")
KEY = "projects/p/locations/{}/keyRings/r/cryptoKeys/k"
BOARD = "projects/p/locations/{}/tensorboards/1"
CONTEXT = "projects/p/locations/{}/metadataStores/default/contexts/cats"
ATTACHMENT = "projects/p/regions/{}/networkAttachments/n"
RESERVATION = "projects/p/zones/us-central1-a/reservations/r"
ACCOUNT = "trainer@p.iam.gserviceaccount.com"
NFS = {"server": "10.0.0.2", "path": "/share", "mount_point": "data"}
LUSTRE = {"instance_ip": "10.0.0.3", "filesystem": "f", "volume_handle": "v", "mount_point": "data"}
PEERING = {"domain": "a.b.", "target_project": "p", "target_network": "n"}

Change = tuple[tuple[Any, ...], Any]


def machine(name: str, accelerator: Any = None, count: Any = None, **more: Any) -> dict[str, Any]:
    """Return a machine spec without the parts that are None."""
    given = {"machine_type": name, "accelerator_type": accelerator, "accelerator_count": count, **more}
    return {key: value for key, value in given.items() if value is not None}


def affinity(**more: Any) -> dict[str, Any]:
    """Return a machine with a reservation."""
    return machine("n1-standard-4", reservation_affinity={"reservation_affinity_type": "SPECIFIC_RESERVATION", **more})


def pool(**more: Any) -> dict[str, Any]:
    """Return a pool of one machine."""
    container = {"image_uri": "${image_uri}"}
    return {"machine_spec": machine("n1-standard-4"), "replica_count": 1, "container_spec": container, **more}


def flex(spec: dict[str, Any], *others: dict[str, Any], **run: Any) -> tuple[Change, ...]:
    """Return a job that asks for FLEX_START on these machines."""
    pools = [pool(machine_spec=each) for each in (spec, *others)]
    return (("spec", "worker_pool_specs"), pools), (("run",), {"scheduling_strategy": "FLEX_START", **run})


def configured(*changes: Change) -> dict[str, Any]:
    """Return a queue's configuration for Vertex AI with these places changed."""
    config = put(PAGE_DEFAULT, ("spec", "staging_bucket"), "gs://staging")
    config = put(config, ("spec", "worker_pool_specs"), [pool()])
    for place, value in changes:
        if place[: len(SECOND)] == SECOND:
            config["spec"]["worker_pool_specs"].append(pool())
        config = put(config, place, copy.deepcopy(value))
    return dict(config)


def each(place: tuple[Any, ...], **values: Any) -> dict[str, tuple[tuple[Change, ...], Any]]:
    """Return a row for each value: the same value is sent."""
    return {f"{place[-1]} {name}": (((place, value),), value) for name, value in values.items()}


L4 = machine("g2-standard-8", "NVIDIA_L4", 1)
# by name: the changes, and what is sent at the place of the last one
SENT: dict[str, tuple[tuple[Change, ...], Any]] = {
    **each(("spec", "encryption_spec_key_name"), of_the_region=KEY.format("us-central1")),
    **each(("spec", "persistent_resource_id"), id="my-resource", short="r"),
    **each(("run", "persistent_resource_id"), id="my-resource-2"),
    **each(
        ("run", "service_account"),
        own=ACCOUNT,
        compute="123-compute@developer.gserviceaccount.com",
        engine="p@appspot.gserviceaccount.com",
        of_a_domain="t@p.example.com.iam.gserviceaccount.com",
    ),
    **each(("run", "network"), peered="projects/12345/global/networks/my-vpc"),
    **each(("run", "timeout"), week=604_800, month=2_592_000, second=1),
    **each(("run", "max_wait_duration"), for_ever=0, hour=3600),
    **each(PSC, by_name={"network_attachment": "na"}, in_full={"network_attachment": ATTACHMENT.format("us-central1")}),
    **each((*PSC, "dns_peering_configs"), complete=[PEERING]),
    "a strategy by its number": (((("run", "scheduling_strategy"), 4),), "SPOT"),
    "a strategy by its number as text": (((("run", "scheduling_strategy"), "4"),), "SPOT"),
    "a strategy in lower case": (((("run", "scheduling_strategy"), "spot"),), "SPOT"),
    "a tensorboard": (
        ((("run", "service_account"), ACCOUNT), (("run", "tensorboard"), BOARD.format("us-central1"))),
        BOARD.format("us-central1"),
    ),
    "an experiment": (((("run", "service_account"), ACCOUNT), (("run", "experiment"), "cats")), "cats"),
    "an experiment in full": (
        ((("run", "service_account"), ACCOUNT), (("run", "experiment"), CONTEXT.format("us-central1"))),
        CONTEXT.format("us-central1"),
    ),
    "a replica count": (((("spec", "worker_pool_specs", 0, "replica_count"), "1"),), 1),
    "a replica count with a point": (((("spec", "worker_pool_specs", 0, "replica_count"), 1.0),), 1),
    "no replica count": (
        ((POOL, {k: v for k, v in pool().items() if k != "replica_count"}), ((*POOL, "replica_count"), None)),
        1,
    ),
    "no replica count of the second pool": ((((*SECOND, "replica_count"), None),), 1),
    "many replicas of the second pool": ((((*SECOND, "replica_count"), 64),), 64),
    "an empty pool": (((("spec", "worker_pool_specs"), [pool(), {}, pool(), {}]),), None),
    **each((*DISK, "boot_disk_size_gb"), least=100, most=64_000),
    **each((*DISK, "boot_disk_type"), ssd="pd-ssd", standard="pd-standard", hyper="hyperdisk-balanced"),
    **each(
        (*POOL, "nfs_mounts"), share=[NFS], v6=[{**NFS, "server": "fd00::2"}], inner=[{**NFS, "mount_point": "a/b"}]
    ),
    **each((*POOL, "lustre_mounts"), volume=[LUSTRE]),
    **each(
        MACHINE,
        t4=machine("n1-standard-4", "NVIDIA_TESLA_T4", 4),
        v100=machine("n1-standard-32", "NVIDIA_TESLA_V100", 4),
        p100=machine("n1-highcpu-64", "NVIDIA_TESLA_P100", 4),
        k80=machine("n1-standard-4", "NVIDIA_TESLA_K80", 1),
        l4=machine("g2-standard-24", "NVIDIA_L4", 2),
        a100=machine("a2-megagpu-16g", "NVIDIA_TESLA_A100", 16),
        h100=machine("a3-highgpu-2g", "NVIDIA_H100_80GB", 2),
        partition=machine("a2-highgpu-8g", "NVIDIA_TESLA_A100", 1, gpu_partition_size="1g.5gb"),
        v3=machine("cloud-tpu", "TPU_V3", 32),
        v2=machine("cloud-tpu", "TPU_V2", 8),
        v5e=machine("ct5lp-hightpu-4t", tpu_topology="16x16"),
        v7=machine("tpu7x-standard-4t", tpu_topology="2x2x2"),
        v7_cubes=machine("tpu7x-standard-4t", tpu_topology="4x4x12"),
        partition_me=machine("a3-ultragpu-8g", "NVIDIA_H200_141GB", 1, gpu_partition_size="1g.18gb+me"),
        new=machine("z9-hypergpu-4g", "NVIDIA_B200", 3),
        new_tpu=machine("ct9-standard-4t", tpu_topology="4x4x32"),
        new_size=machine("c9-standard-1024"),
        any_reservation=machine("n1-standard-4", reservation_affinity={"reservation_affinity_type": "ANY_RESERVATION"}),
        reserved=affinity(key="compute.googleapis.com/reservation-name", values=[RESERVATION]),
        block=affinity(
            key="compute.googleapis.com/reservation-name",
            values=[f"{RESERVATION}/reservationBlocks/b/reservationSubBlocks/s"],
        ),
        ai_zone=affinity(key="compute.googleapis.com/reservation-name", values=[RESERVATION.replace("1-a", "1-ai1a")]),
    ),
    "an accelerator by its number": (
        (((*MACHINE, "accelerator_count"), 1), ((*MACHINE, "accelerator_type"), "5")),
        "NVIDIA_TESLA_T4",
    ),
    "flex start": (flex(L4, L4), {"scheduling_strategy": "FLEX_START"}),
    "flex start of a new machine": (flex(machine("z9-hypergpu-4g")), {"scheduling_strategy": "FLEX_START"}),
}

# by name: the place, the value, and words of the refusal
REFUSED: dict[str, tuple[tuple[Change, ...], str]] = {
    f"{'.'.join(str(part) for part in place[-2:])} {value!r:.60}": (((place, value),), words)
    for place, value, words in (
        (("spec", "project"), "projects/p", "spec.project: is 'projects/p', which is not a project. Did you mean p?"),
        (("spec", "project"), "p/locations/us-central1", "Did you mean p?"),
        (("spec", "project"), "My-Project", "Did you mean my-project?"),
        (
            ("spec", "location"),
            "us-central1-a",
            "spec.location: is 'us-central1-a', which is a zone. Did you mean us-central1?",
        ),
        (("spec", "location"), "us-east9", "which is not a region of Vertex AI. Did you mean us-east"),
        (("spec", "location"), "us_east1", "Did you mean us-east1?"),
        (("spec", "location"), "global", "Valid: africa-south1, asia-east1, asia-east2, "),
        (("spec", "location"), "us", "Valid: africa-south1, "),
        (("spec", "location"), "eu", "Valid: africa-south1, "),
        (
            ("spec", "encryption_spec_key_name"),
            "k",
            "Write projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY",
        ),
        (
            ("spec", "encryption_spec_key_name"),
            KEY.format("europe-west4"),
            "in europe-west4, but the job runs in us-central1",
        ),
        (("spec", "encryption_spec_key_name"), KEY.format("global"), "in global, but the job runs in us-central1"),
        (
            ("spec", "encryption_spec_key_name"),
            KEY.format("us-central1") + "/cryptoKeyVersions/1",
            "Did you mean projects/p/locations/us-central1/keyRings/r/cryptoKeys/k?",
        ),
        (
            ("spec", "persistent_resource_id"),
            "projects/p/locations/us-central1/persistentResources/pr",
            "Did you mean pr?",
        ),
        (
            ("run", "persistent_resource_id"),
            "projects/p/locations/us-central1/persistentResources/pr",
            "Did you mean pr?",
        ),
        (("run", "persistent_resource_id"), "My_Resource", "Did you mean my-resource?"),
        (("run", "persistent_resource_id"), "a" * 64, "Write the id of a persistent resource"),
        (("run", "service_account"), "trainer", "Did you mean trainer@p.iam.gserviceaccount.com?"),
        (("run", "service_account"), f"serviceAccount:{ACCOUNT}", f"Did you mean {ACCOUNT}?"),
        (("run", "service_account"), f"projects/p/serviceAccounts/{ACCOUNT}", f"Did you mean {ACCOUNT}?"),
        (("run", "service_account"), f" {ACCOUNT}", f"Did you mean {ACCOUNT}?"),
        (("run", "service_account"), "ann@gmail.com", "Write the address of a service account"),
        (
            ("run", "service_account"),
            "service-1@gcp-sa-aiplatform-cc.iam.gserviceaccount.com",
            "Google's own service agents run no job",
        ),
        (("run", "service_account"), "1@cloudservices.gserviceaccount.com", "run.service_account: is "),
        (("run", "network"), "default", "Write projects/NUMBER/global/networks/NAME"),
        (
            ("run", "network"),
            "projects/p/global/networks/n",
            "`gcloud projects describe PROJECT` shows the project's number",
        ),
        (
            ("run", "network"),
            "https://www.googleapis.com/compute/v1/projects/1/global/networks/n",
            "Did you mean projects/1/global/networks/n?",
        ),
        (("run", "network"), "projects/1/regions/us-central1/subnetworks/n", "run.network: is "),
        (("run", "tensorboard"), "1", "run.tensorboard: is '1'"),
        (("run", "timeout"), 0, "run.timeout: is 0. Write a number of seconds above zero"),
        (("run", "timeout"), "7d", "Write 604800"),
        (("run", "timeout"), -1, "run.timeout: is -1"),
        (("run", "max_wait_duration"), "-5", "run.max_wait_duration: is -5"),
        (("run", "create_request_timeout"), 0, "run.create_request_timeout: is 0"),
        (("run", "scheduling_strategy"), "FLEX", "Did you mean FLEX_START?"),
        (("run", "scheduling_strategy"), "99", "run.scheduling_strategy: is '99'"),
        (("run", "scheduling_strategy"), "PREEMPTIBLE", "Valid: ON_DEMAND, LOW_COST, STANDARD, SPOT, FLEX_START."),
        (("run", "experiment_run"), "one", "run.experiment: is missing beside experiment_run"),
        (("run", "experiment"), "cats", "run.service_account: is missing"),
        (("run", "experiment"), "My Cats", "Did you mean my-cats?"),
        (
            PSC,
            {"network_attachment": ATTACHMENT.format("europe-west4")},
            "in europe-west4, but the job runs in us-central1",
        ),
        (
            PSC,
            {"network_attachment": f"https://www.googleapis.com/compute/v1/{ATTACHMENT.format('us-central1')}"},
            f"Did you mean {ATTACHMENT.format('us-central1')}?",
        ),
        (PSC, {"network_attachment": "Not A Name"}, "psc_interface_config.network_attachment: is 'Not A Name'"),
        (
            PSC,
            {"dns_peering_configs": [{**PEERING, "domain": "a.b"}]},
            "dns_peering_configs[0].domain: is 'a.b', which Vertex AI does not accept. Did you mean a.b.?",
        ),
        (PSC, {"dns_peering_configs": [{"domain": "a."}]}, "dns_peering_configs[0].target_project: is missing"),
        (
            PSC,
            {"dns_peering_configs": [{**PEERING, "target_network": "projects/1/global/networks/n"}]},
            "Did you mean n?",
        ),
        (PSC, {"dns_peering_configs": [{}]}, "dns_peering_configs[0].domain: is missing"),
        (("spec", "staging_bucket"), "s3://b", "spec.staging_bucket: is 's3://b', not a bucket"),
        (("spec", "staging_bucket"), "https://storage.googleapis.com/b", "Write gs://BUCKET or gs://BUCKET/FOLDER."),
        (("spec", "staging_bucket"), "gs://My_Bucket", "not a bucket"),
        (("spec", "base_output_dir"), "/gcs/b/out", "Write gs://BUCKET/FOLDER"),
        (("spec", "labels"), {"Team": "a"}, "is not a valid label: 'Team'"),
        (("spec", "labels"), {"a": "b" * 65}, "at most 64 of them"),
        (("spec", "labels"), {f"l{n}": "x" for n in range(61)}, "has 61 labels. Write at most 60"),
        (("spec", "display_name"), "n" * 129, "has 129 characters"),
        (("spec", "worker_pool_specs"), [pool()] * 5, "has 5 worker pools. Vertex AI has four roles"),
        (
            (*POOL, "replica_count"),
            0,
            "worker_pool_specs[0].replica_count: is 0. Write 1: the first pool is the primary",
        ),
        ((*POOL, "replica_count"), -1, "replica_count: is -1"),
        ((*POOL, "replica_count"), "0", "replica_count: is 0"),
        ((*POOL, "replica_count"), True, "replica_count: should be a number, but is true or false"),
        ((*POOL, "replica_count"), 1.5, "replica_count: is 1.5. Write a whole number"),
        ((*POOL, "replica_count"), "one", "replica_count: should be a number"),
        ((*SECOND, "replica_count"), 0, "worker_pool_specs[1].replica_count: is 0. Write 1 or more"),
        ((*SECOND, "machine_spec"), {}, "worker_pool_specs[1].machine_spec.machine_type: is missing"),
        (MACHINE, {}, "machine_spec.machine_type: is missing. Write a machine type"),
        (MACHINE, None, "machine_spec.machine_type: is missing"),
        ((*MACHINE, "machine_type"), None, "machine_spec.machine_type: is missing"),
        ((*MACHINE, "machine_type"), "", "machine_spec.machine_type: is missing"),
        ((*MACHINE, "machine_type"), " ", "machine_spec.machine_type: is ' '"),
        ((*MACHINE, "machine_type"), "large", "machine_spec.machine_type: is 'large'"),
        (MACHINE, machine("N1-Standard-4"), "Did you mean n1-standard-4?"),
        (MACHINE, machine("n1_standard_4"), "Did you mean n1-standard-4?"),
        (MACHINE, machine("n1"), "machine_type: is 'n1'"),
        (MACHINE, machine("n1-standard-3"), "which does not exist. Valid: n1-standard-1, n1-standard-2, "),
        (MACHINE, machine("zones/us-central1-a/machineTypes/n1-standard-4"), "machine_type: is 'zones/"),
        (
            MACHINE,
            machine("n1-standard-4", "NVIDIA_TESLA_T4"),
            "accelerator_count: is missing beside NVIDIA_TESLA_T4. Write 1, 2 or 4.",
        ),
        (
            MACHINE,
            machine("n1-standard-4", "NVIDIA_TESLA_T4", 0),
            "accelerator_count: is missing beside NVIDIA_TESLA_T4",
        ),
        (
            MACHINE,
            machine("n1-standard-4", None, 1),
            "accelerator_type: is missing beside accelerator_count: 1. Write NVIDIA_TESLA_T4,",
        ),
        (MACHINE, machine("n1-standard-4", "ACCELERATOR_TYPE_UNSPECIFIED", 1), "accelerator_type: is missing"),
        (MACHINE, machine("g2-standard-8", None, 1), "Write NVIDIA_L4."),
        (MACHINE, machine("e2-standard-4", None, 1), "Leave the count out."),
        (MACHINE, machine("n1-standard-4", "NVIDIA_TESLA_T4", -1), "accelerator_count: is -1"),
        (
            MACHINE,
            machine("n1-standard-4", "NVIDIA_TESLA_T4", 3),
            "n1-standard-4 can have 1, 2 or 4 of NVIDIA_TESLA_T4",
        ),
        (MACHINE, machine("n1-standard-32", "NVIDIA_TESLA_V100", 2), "Write 4 or 8."),
        (
            MACHINE,
            machine("n1-standard-64", "NVIDIA_TESLA_P100", 4),
            "accelerator_type: is NVIDIA_TESLA_P100, which n1-standard-64 cannot have",
        ),
        (MACHINE, machine("n1-standard-4", "T4", 1), "Did you mean NVIDIA_TESLA_T4?"),
        (MACHINE, machine("n1-standard-4", "nvidia-tesla-a10g", 1), "which Vertex AI does not know"),
        (MACHINE, machine("n1-standard-4", "NVIDIA_L4", 1), "which n1-standard-4 cannot have. Write NVIDIA_TESLA_T4,"),
        (
            MACHINE,
            machine("e2-standard-4", "NVIDIA_TESLA_T4", 1),
            "Write machine_type: n1-standard-4 for NVIDIA_TESLA_T4.",
        ),
        (MACHINE, machine("g2-standard-8", "NVIDIA_TESLA_T4", 1), "Write NVIDIA_L4, or machine_type: n1-standard-4"),
        (MACHINE, machine("g2-standard-8", "NVIDIA_L4", 2), "Write 1."),
        (MACHINE, machine("a2-highgpu-1g", "NVIDIA_TESLA_A100", 2), "a2-highgpu-1g can have 1 of NVIDIA_TESLA_A100"),
        (
            MACHINE,
            machine("a2-highgpu-1g", "NVIDIA_A100_80GB", 1),
            "or machine_type: a2-ultragpu-1g for NVIDIA_A100_80GB",
        ),
        (MACHINE, machine("a3-megagpu-8g", "NVIDIA_H100_80GB", 8), "Write NVIDIA_H100_MEGA_80GB,"),
        (MACHINE, machine("z9-hypergpu-4g", "NVIDIA_TESLA_T4", 1), "which z9-hypergpu-4g cannot have"),
        (MACHINE, machine("cloud-tpu"), "accelerator_type: is missing. Write TPU_V2 or TPU_V3."),
        (
            MACHINE,
            machine("cloud-tpu", "TPU_V3"),
            "accelerator_count: is missing beside TPU_V3. Write 8, or a multiple of 32 for",
        ),
        (MACHINE, machine("cloud-tpu", "TPU_V3", 16), "accelerator_count: is 16"),
        (MACHINE, machine("cloud-tpu", "TPU_V5_LITEPOD", 8), "Write machine_type: ct5lp-hightpu-4t and tpu_topology"),
        (MACHINE, machine("n1-standard-4", "TPU_V2", 8), "machine_type: cloud-tpu for TPU_V2"),
        (MACHINE, machine("n1-standard-4", "TPU v5e", 8), "is 'TPU v5e', but this TPU is a machine type"),
        (MACHINE, machine("n1-standard-4", "v6e-8", 8), "Write machine_type: ct6e-standard-4t"),
        (MACHINE, machine("n1-standard-4", "tpu-v5-lite-podslice", 8), "Write machine_type: ct5lp-hightpu-4t"),
        (MACHINE, machine("n1-standard-4", "tpu-v6e-slice", 8), "Write machine_type: ct6e-standard-4t"),
        (MACHINE, machine("n1-standard-4", "TPU_V7X", 8), "Write machine_type: tpu7x-standard-4t"),
        (
            MACHINE,
            machine("a3-highgpu-8g", "NVIDIA_H100", 8),
            "Did you mean NVIDIA_H100_80GB or NVIDIA_H100_MEGA_80GB? Valid: ",
        ),
        (MACHINE, machine("g2-standard-8", "NVIDIA_TESLA_L4", 1), "Did you mean NVIDIA_L4? Valid: "),
        (MACHINE, machine("a4-highgpu-8g", "NVIDIA_B300", 8), "which Vertex AI does not know. Valid: "),
        (MACHINE, machine("v5litepod-4"), "a name of Cloud TPU's own API. Write ct5lp-hightpu-4t"),
        (MACHINE, machine("ct5lp-hightpu-4t", "NVIDIA_L4", 1), "but the machine type ct5lp-hightpu-4t is the TPU"),
        (MACHINE, machine("ct5lp-hightpu-4t", None, 4), "Leave the count out."),
        (
            MACHINE,
            machine("ct5lp-hightpu-4t", tpu_topology="3x3"),
            "tpu_topology: is '3x3', which ct5lp-hightpu-4t cannot have",
        ),
        (MACHINE, machine("ct5lp-hightpu-4t", tpu_topology="v5litepod-16"), "Write a topology of the TPU machine type"),
        (MACHINE, machine("n1-standard-4", tpu_topology="2x2"), "n1-standard-4 has no TPU"),
        (MACHINE, affinity(values=[RESERVATION]), "reservation_affinity.key: is missing"),
        (MACHINE, affinity(key="compute.googleapis.com/reservation-name"), "reservation_affinity.values: is missing"),
        (MACHINE, affinity(key="projects/q/global/networks/n", values=[RESERVATION]), "reservation_affinity.key: is "),
        (
            MACHINE,
            affinity(key="compute.googleapis.com/reservation-name", values=["r"]),
            "Write projects/PROJECT/zones/ZONE/reservations/NAME",
        ),
        (
            MACHINE,
            affinity(
                key="compute.googleapis.com/reservation-name",
                values=[f"https://www.googleapis.com/compute/v1/{RESERVATION}"],
            ),
            f"Did you mean {RESERVATION}?",
        ),
        (
            MACHINE,
            affinity(
                key="compute.googleapis.com/reservation-name",
                values=[RESERVATION.replace("us-central1", "europe-west4")],
            ),
            "in europe-west4, but the job runs in us-central1. Write one of us-central1",
        ),
        (MACHINE, machine("tpu7x-standard-4t", tpu_topology="4x4x6"), "which tpu7x-standard-4t cannot have"),
        (MACHINE, machine("Standard_NC6"), "which Vertex AI does not accept. Write a machine type in lower case"),
        (
            MACHINE,
            machine("a2-highgpu-1g", "NVIDIA_TESLA_A100", 7, gpu_partition_size="1g.5gb"),
            "can have 1 of NVIDIA_TESLA_A100. Write 1.",
        ),
        (("spec", "project"), 123456789012, "should be a text, but is a number. Write it in quotes."),
        (("spec", "location"), "projects/p/locations/us-central1", "Did you mean us-central1?"),
        (("spec", "project"), "my_project", "Did you mean my-project?"),
        (("spec", "location"), "eu-west-1", "Did you mean europe-west1?"),
        (("spec", "location"), "europe", "Valid: africa-south1, "),
        (("spec", "staging_bucket"), "gs://ab", "no bucket can have this name"),
        (("spec", "staging_bucket"), "gs://goog-x/y", "no bucket can have this name"),
        (("spec", "staging_bucket"), "gs://" + "a" * 64, "no bucket can have this name"),
        (("spec", "base_output_dir"), "gs://10.0.0.1/x", "no bucket can have this name"),
        (MACHINE, machine("tpu-v3-8"), "a name of Cloud TPU's own API. Write cloud-tpu, and accelerator_type."),
        (MACHINE, machine("TPU_V2"), "Did you mean cloud-tpu?"),
        (MACHINE, machine("ct6e"), "Did you mean ct6e-standard-4t?"),
        (MACHINE, machine("a2-highgpu-1g", gpu_partition_size="1g.5gb"), "is missing beside gpu_partition_size"),
        ((*POOL, "replica_count"), 1e20, "replica_count: is not a number that Vertex AI can hold"),
        ((*POOL, "nfs_mounts"), [{**NFS, "server": "999.1.1.1"}], "Write the server's IP address"),
        (
            ("spec", "encryption_spec_key_name"),
            "//cloudkms.googleapis.com/" + KEY.format("us-central1"),
            "Did you mean projects/p/locations/us-central1/keyRings/r/cryptoKeys/k?",
        ),
        ((*DISK, "boot_disk_type"), "pd-balanced", "Valid: pd-ssd, pd-standard, hyperdisk-balanced."),
        ((*DISK, "boot_disk_type"), "PD_SSD", "Did you mean pd-ssd?"),
        ((*DISK, "boot_disk_size_gb"), 99, "boot_disk_size_gb: is 99. Write a whole number from 100 to 64000"),
        ((*DISK, "boot_disk_size_gb"), 64_001, "boot_disk_size_gb: is 64001"),
        ((*DISK, "boot_disk_size_gb"), "100GB", "boot_disk_size_gb: should be a number"),
        ((*POOL, "nfs_mounts"), [{}], "nfs_mounts[0].server: is missing"),
        ((*POOL, "nfs_mounts"), [{**NFS, "server": "filer"}], "Write the server's IP address"),
        ((*POOL, "nfs_mounts"), [{**NFS, "path": "share"}], "Write the exported path, which begins with /"),
        ((*POOL, "nfs_mounts"), [{**NFS, "mount_point": "/mnt/nfs/data"}], "Did you mean data?"),
        ((*POOL, "nfs_mounts"), [{**NFS, "mount_point": "../../etc"}], "Did you mean etc?"),
        ((*POOL, "lustre_mounts"), [{**LUSTRE, "volume_handle": ""}], "lustre_mounts[0].volume_handle: is missing"),
        ((*CONTAINER, "env"), [{"name": "1X", "value": "a"}], "env[0].name: is '1X', which Vertex AI does not accept"),
        ((*CONTAINER, "env"), [{"name": "", "value": "a"}], "env[0].name: is empty"),
        ((*CONTAINER, "env"), [{"name": "A-B", "value": "a"}], "env[0].name: is 'A-B'"),
        ((*CONTAINER, "env"), [{"name": "BIG", "value": "x" * 131_072}], "env[BIG]: has 131076 bytes"),
        (
            (*CONTAINER, "env"),
            [{"name": f"V{n}", "value": "a"} for n in range(100)],
            "Vertex AI accepts 100 in a container",
        ),
        (
            (*CONTAINER, "args"),
            ["x" * 131_072],
            "args[0]: has 131072 bytes, and Linux starts no program with more than 131071",
        ),
        ((*CONTAINER, "command"), ["sh", "-c", "x" * 131_072], "command[2]: has 131072 bytes"),
        ((*CONTAINER, "image_uri"), "not an image", "container_spec.image_uri: is 'not an image'"),
    )
}
REFUSED |= {
    "flex start without a GPU": (flex(machine("n1-standard-4")), "FLEX_START needs L4, A100, H100, H200 or B200 GPUs"),
    "flex start with another GPU": (
        flex(machine("n1-standard-4", "NVIDIA_TESLA_T4", 1)),
        "machine_type: is n1-standard-4",
    ),
    "flex start for long": (
        flex(L4, timeout=604_801),
        "run.timeout: is 604801 seconds, more than the seven days of FLEX_START",
    ),
    "flex start of two machines": (
        flex(L4, machine("g2-standard-24", "NVIDIA_L4", 2)),
        "worker_pool_specs[1].machine_spec: differs from that of the first pool",
    ),
    "a tensorboard of another region": (
        ((("run", "service_account"), ACCOUNT), (("run", "tensorboard"), BOARD.format("europe-west4"))),
        "in europe-west4, but the job runs in us-central1",
    ),
    "an experiment of another region": (
        ((("run", "service_account"), ACCOUNT), (("run", "experiment"), CONTEXT.format("europe-west4"))),
        "in europe-west4, but the job runs in us-central1",
    ),
    "a key of the deployment's region": (
        ((("spec", "location"), "europe-west4"), (("spec", "encryption_spec_key_name"), KEY.format("us-central1"))),
        "in us-central1, but the job runs in europe-west4",
    ),
}
