"""Jobs as peers build them, written as queues: the shapes that public test suites cover, in our own words.

`job` is the part of the CustomJob that Vertex AI has to receive, in the words of its message; `agent` tells whether
`wandb launch-agent` can send the queue at all.
"""

from dataclasses import dataclass, field
from typing import Any

IMAGE = "us-docker.pkg.dev/p/r/train:1"  # of the item
NETWORK = "projects/123/global/networks/vpc"
ACCOUNT = "trainer@p.iam.gserviceaccount.com"


@dataclass(frozen=True)
class PeerJob:
    """A queue's spec and run, overrides of its item, and the job_spec that Vertex AI receives."""

    source: str
    job: dict[str, Any]
    spec: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)
    agent: bool = True

    @property
    def configuration(self) -> dict[str, Any]:
        """Return the Vertex part of its queue."""
        written = {"spec": {"staging_bucket": "gs://staging", "worker_pool_specs": [pool()], **self.spec}}
        return {**written, "run": self.run} if self.run else written


def pool(machine: dict[str, Any] | None = None, /, replicas: Any = 1, **container: Any) -> dict[str, Any]:
    """Return a pool as a queue writes it."""
    return {
        "machine_spec": machine or {"machine_type": "n1-standard-4"},
        "replica_count": replicas,
        "container_spec": {"image_uri": "${image_uri}", **container},
    }


def sent(machine: dict[str, Any] | None = None, /, replicas: int = 1, **container: Any) -> dict[str, Any]:
    """Return a pool as it arrives: 64-bit numbers are texts in JSON."""
    return {
        "machine_spec": machine or {"machine_type": "n1-standard-4"},
        "replica_count": str(replicas),
        "container_spec": {"image_uri": IMAGE, **container},
    }


def machines(source: str, *written: dict[str, Any], arrives: dict[str, Any] | None = None, **more: Any) -> PeerJob:
    """Return a job of one pool of each machine, as it arrives if that differs."""
    expected = [arrives] * len(written) if arrives else written
    return PeerJob(
        source,
        {"worker_pool_specs": [sent(machine) for machine in expected]},
        {"worker_pool_specs": [pool(machine) for machine in written]},
        **more,
    )


def scheduled(source: str, run: dict[str, Any], scheduling: dict[str, Any], *, agent: bool) -> PeerJob:
    """Return a job whose run arguments become `scheduling`."""
    return PeerJob(source, {"scheduling": scheduling}, run=run, agent=agent)


AIPLATFORM = "python-aiplatform, tests/unit/aiplatform/test_custom_job.py"
PREFECT = "prefect-gcp, tests/test_vertex_worker.py"
ZENML = "zenml, integrations/gcp: step operator and custom job parameters"
AIRFLOW = "airflow, providers/google: vertex_ai custom_job operators"
SKYPILOT = "skypilot, managed jobs: nodes, envs, spot"
WANDB = "wandb, tests/unit_tests/test_launch: vertex runner, LaunchProject"

RESERVATION = "projects/p/zones/us-central1-a/reservations/r"
RESERVED: dict[str, Any] = {"key": "compute.googleapis.com/reservation-name", "values": [RESERVATION]}
A100: dict[str, Any] = {
    "machine_type": "a2-highgpu-1g",
    "accelerator_type": "NVIDIA_TESLA_A100",
    "accelerator_count": 1,
}
PSC = {"network_attachment": "projects/p/regions/us-central1/networkAttachments/na"}
PEERING = {"domain": "corp.internal.", "target_project": "p", "target_network": "vpc"}
MOUNT = {"server": "10.0.0.2", "path": "/share", "mount_point": "data"}
DISK = {"boot_disk_type": "pd-ssd", "boot_disk_size_gb": 100}


def reserved(affinity: dict[str, Any]) -> dict[str, Any]:
    """Return a machine with a reservation."""
    return {**A100, "reservation_affinity": affinity}


PEERS: dict[str, PeerJob] = {
    # --- accelerators and reservations
    "TPU v5e": machines(AIPLATFORM, {"machine_type": "ct5lp-hightpu-4t", "tpu_topology": "2x2"}),
    "TPU v5e on several hosts": PeerJob(
        AIPLATFORM,
        {"worker_pool_specs": [sent({"machine_type": "ct5lp-hightpu-4t", "tpu_topology": "4x4"}, 4)]},
        {"worker_pool_specs": [pool({"machine_type": "ct5lp-hightpu-4t", "tpu_topology": "4x4"}, 4)]},
    ),
    "TPU v6e": machines(AIPLATFORM, {"machine_type": "ct6e-standard-4t", "tpu_topology": "2x2"}),
    "TPU v3": machines(
        AIPLATFORM, {"machine_type": "cloud-tpu", "accelerator_type": "TPU_V3", "accelerator_count": 32}
    ),
    "TPU v2": machines(AIPLATFORM, {"machine_type": "cloud-tpu", "accelerator_type": "TPU_V2", "accelerator_count": 8}),
    "a GPU": machines(AIPLATFORM, A100),
    "a GPU by its number": machines(
        AIPLATFORM,
        {"machine_type": "n1-standard-8", "accelerator_type": 5, "accelerator_count": 2},
        arrives={"machine_type": "n1-standard-8", "accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 2},
    ),
    "a specific reservation": machines(
        AIPLATFORM, reserved({"reservation_affinity_type": "SPECIFIC_RESERVATION", **RESERVED})
    ),
    "any reservation": machines(AIPLATFORM, reserved({"reservation_affinity_type": "ANY_RESERVATION"})),
    "any reservation, with key and values": machines(
        AIPLATFORM, reserved({"reservation_affinity_type": "ANY_RESERVATION", **RESERVED})
    ),
    "a reservation by its number, in lower case": machines(
        AIPLATFORM,
        reserved({"reservation_affinity_type": 3, **RESERVED}),
        reserved({"reservation_affinity_type": "specific_reservation", **RESERVED}),
        arrives=reserved({"reservation_affinity_type": "SPECIFIC_RESERVATION", **RESERVED}),
        agent=False,
    ),
    "no reservation": machines(AIPLATFORM, reserved({"reservation_affinity_type": "NO_RESERVATION"})),
    # --- scheduling
    "SPOT by name": scheduled(AIPLATFORM, {"scheduling_strategy": "SPOT"}, {"strategy": "SPOT"}, agent=True),
    "SPOT by number": scheduled(AIPLATFORM, {"scheduling_strategy": 4}, {"strategy": "SPOT"}, agent=True),
    "SPOT by number, as a text": scheduled(AIPLATFORM, {"scheduling_strategy": "4"}, {"strategy": "SPOT"}, agent=True),
    "SPOT as Python prints it": scheduled(
        AIPLATFORM, {"scheduling_strategy": "Strategy.SPOT"}, {"strategy": "SPOT"}, agent=True
    ),
    "SPOT in lower case": scheduled(SKYPILOT, {"scheduling_strategy": " spot "}, {"strategy": "SPOT"}, agent=True),
    "every argument of scheduling": scheduled(
        AIPLATFORM,
        {
            "timeout": 8000,
            "restart_job_on_worker_restart": True,
            "disable_retries": True,
            "max_wait_duration": 8000,
            "scheduling_strategy": "FLEX_START",
        },
        {
            "timeout": "8000s",
            "restart_job_on_worker_restart": True,
            "disable_retries": True,
            "max_wait_duration": "8000s",
            "strategy": "FLEX_START",
        },
        agent=True,
    ),
    "a wait of zero": scheduled(AIPLATFORM, {"max_wait_duration": 0}, {"max_wait_duration": "0s"}, agent=True),
    "durations as texts": scheduled(
        ZENML,
        {"timeout": "604800s", "max_wait_duration": "86400s", "scheduling_strategy": "STANDARD"},
        {"timeout": "604800s", "max_wait_duration": "86400s", "strategy": "STANDARD"},
        agent=False,
    ),
    # --- networks, persistent resources and the rest of run
    "a PSC interface": PeerJob(AIPLATFORM, {"psc_interface_config": PSC}, run={"psc_interface_config": PSC}),
    "a PSC interface with peering": PeerJob(
        AIPLATFORM,
        {"psc_interface_config": {**PSC, "dns_peering_configs": [PEERING]}},
        run={"psc_interface_config": {**PSC, "dns_peering_configs": [PEERING]}},
    ),
    "a PSC interface beside a network": PeerJob(
        AIPLATFORM,
        {"psc_interface_config": PSC, "network": NETWORK},
        run={"psc_interface_config": PSC, "network": NETWORK},
    ),
    "a network": PeerJob(AIPLATFORM, {"network": NETWORK}, run={"network": NETWORK}),
    "a persistent resource under spec": PeerJob(
        AIPLATFORM, {"persistent_resource_id": "pr-1"}, {"persistent_resource_id": "pr-1"}
    ),
    "a persistent resource under run": PeerJob(
        AIPLATFORM, {"persistent_resource_id": "pr-1"}, run={"persistent_resource_id": "pr-1"}
    ),
    "a persistent resource in both places": PeerJob(
        AIPLATFORM,
        {"persistent_resource_id": "pr-2"},
        {"persistent_resource_id": "pr-1"},
        {"persistent_resource_id": "pr-2"},
    ),
    "account, web access and tensorboard": PeerJob(
        AIPLATFORM,
        {
            "service_account": ACCOUNT,
            "enable_web_access": True,
            "tensorboard": "projects/p/locations/us-central1/tensorboards/1",
        },
        run={
            "service_account": ACCOUNT,
            "enable_web_access": True,
            "tensorboard": "projects/p/locations/us-central1/tensorboards/1",
        },
    ),
    # --- pools
    "pool of the unit tests": PeerJob(
        AIPLATFORM,
        {"worker_pool_specs": [{**sent(A100, args=["-v", "0.1", "--test=arg"]), "disk_spec": DISK}]},
        {"worker_pool_specs": [{**pool(A100, args=["-v", "0.1", "--test=arg"], command=[]), "disk_spec": DISK}]},
    ),
    "chief and workers": PeerJob(
        AIRFLOW,
        {"worker_pool_specs": [sent(A100), sent(A100, 3)]},
        {"worker_pool_specs": [pool(A100), pool(A100, 3)]},
    ),
    "a reduction server": PeerJob(
        AIRFLOW,
        {
            "worker_pool_specs": [
                sent(A100),
                sent(A100, 2),
                sent({"machine_type": "n1-highcpu-16"}, 4, image_uri="us-docker.pkg.dev/v/r/reductionserver:latest"),
            ]
        },
        {
            "worker_pool_specs": [
                pool(A100),
                pool(A100, 2),
                pool({"machine_type": "n1-highcpu-16"}, 4, image_uri="us-docker.pkg.dev/v/r/reductionserver:latest"),
            ]
        },
    ),
    "a share": PeerJob(
        ZENML,
        {"worker_pool_specs": [{**sent(), "nfs_mounts": [MOUNT]}]},
        {"worker_pool_specs": [{**pool(), "nfs_mounts": [MOUNT]}]},
    ),
    "a worker of flows": PeerJob(
        PREFECT,
        {
            "worker_pool_specs": [
                {
                    **sent(command=["python", "-m", "prefect.engine"], env=[{"name": "PREFECT_API_URL", "value": "x"}]),
                    "disk_spec": DISK,
                }
            ],
            "service_account": ACCOUNT,
            "network": NETWORK,
            "scheduling": {"timeout": "3600s"},
        },
        {
            "worker_pool_specs": [
                {
                    **pool(
                        {"machine_type": "n1-standard-4", "accelerator_type": None, "accelerator_count": None},
                        command=["python", "-m", "prefect.engine"],
                        env=[{"name": "PREFECT_API_URL", "value": "x"}],
                    ),
                    "disk_spec": DISK,
                }
            ]
        },
        {"service_account": ACCOUNT, "network": NETWORK, "timeout": 3600},
    ),
    "a step without an accelerator": PeerJob(
        ZENML,
        {"worker_pool_specs": [{**sent(command=["python", "-m", "step"]), "disk_spec": DISK}]},
        {
            "worker_pool_specs": [
                {
                    **pool(
                        {"machine_type": "n1-standard-4", "accelerator_type": None, "accelerator_count": 0},
                        command=["python", "-m", "step"],
                        args=[],
                    ),
                    "disk_spec": DISK,
                }
            ]
        },
        {"service_account": None, "network": None},
    ),
    "a step whose parameters are empty": PeerJob(
        ZENML,
        {"scheduling": {"timeout": "604800s", "strategy": "STANDARD"}},
        {"persistent_resource_id": "", "labels": {}, "encryption_spec_key_name": "", "base_output_dir": ""},
        {
            "service_account": "",
            "network": "",
            "tensorboard": "",
            "persistent_resource_id": "",
            "enable_web_access": False,
            "restart_job_on_worker_restart": False,
            "timeout": 604_800,
            "scheduling_strategy": "STANDARD",
        },
    ),
    "labels that are null": PeerJob(ZENML, {}, {"labels": None}, agent=False),
    "nodes of a cluster": PeerJob(
        SKYPILOT,
        {
            "worker_pool_specs": [
                sent(A100, command=["bash", "-c"], args=["torchrun train.py"], env=[{"name": "NODES", "value": "4"}]),
                sent(
                    A100, 3, command=["bash", "-c"], args=["torchrun train.py"], env=[{"name": "NODES", "value": "4"}]
                ),
            ],
            "scheduling": {"strategy": "SPOT"},
        },
        {
            "worker_pool_specs": [
                pool(A100, env=[{"name": "NODES", "value": "4"}]),
                pool(A100, 3, env=[{"name": "NODES", "value": "4"}]),
            ]
        },
        {"scheduling_strategy": "SPOT"},
        {"entry_point": ["bash", "-c"], "args": ["torchrun train.py"]},
    ),
    "two pools, one with an image of its own": PeerJob(
        WANDB,
        {
            "worker_pool_specs": [
                sent(replicas=2, image_uri="us-docker.pkg.dev/p/r/own:1"),
                sent({"machine_type": "n1-standard-8"}),
            ]
        },
        {
            "worker_pool_specs": [
                pool(replicas=2, image_uri="us-docker.pkg.dev/p/r/own:1"),
                pool({"machine_type": "n1-standard-8"}),
            ]
        },
    ),
    "every macro": PeerJob(
        WANDB,
        {"worker_pool_specs": [sent(env=[{"name": "ALL", "value": f"cats team r1 blue ann {IMAGE} ${{UNKNOWN}}"}])]},
        {
            "worker_pool_specs": [
                pool(
                    env=[
                        {
                            "name": "ALL",
                            "value": "${project_name} ${entity_name} ${run_id} ${run_name} ${author} ${image_uri} "
                            "${UNKNOWN}",
                        }
                    ]
                )
            ]
        },
    ),
    "an override of the entry point": PeerJob(
        WANDB,
        {"worker_pool_specs": [sent(command=["python", "train.py"], args=["--lr", "0.1"])]},
        overrides={"entry_point": ["python", "train.py"], "args": ["--lr", "0.1"]},
    ),
}
