"""The names and settings of the local project: what a deployment chooses, the stack fixes here."""

from typing import Any

PROJECT = "local-project"
NAME = "launch"  # of the deployment
LOCATION = "us-central1"
BUCKET = "launch-ledger"
TOPIC = "launch-requests"
EVENTS = "launch-events"
DEAD_LETTERS = "launch-dead-letters"
WAKE_UP = "launch-wake-up"
CONTEXTS = "local-contexts"  # the bucket of build contexts
ENTITY, QUEUE = "local-team", "vertex"
API_KEY = "local" * 8  # 40 characters, as W&B's clients require; the stand-in accepts any
FUNCTIONS = ("poll", "submit", "status")
TIMEOUTS = {"poll": 120, "submit": 540, "status": 120}  # seconds, as in cloudbuild.yaml
BUILDING = {  # settings of a deployment that builds images of jobs' code
    "LAUNCH_BUILDER": "cloud-build",
    "LAUNCH_BUILD_DESTINATION": f"{LOCATION}-docker.pkg.dev/{PROJECT}/launch/jobs",
    "CONTEXTS_BUCKET": CONTEXTS,
}

DEFAULT_CONFIG: dict[str, Any] = {
    "resource_args": {
        "gcp-vertex": {
            "spec": {
                "worker_pool_specs": [
                    {
                        "machine_spec": {
                            "machine_type": "n1-standard-4",
                            "accelerator_type": "ACCELERATOR_TYPE_UNSPECIFIED",
                            "accelerator_count": 0,
                        },
                        "replica_count": 1,
                        "container_spec": {"image_uri": "${image_uri}"},
                    }
                ],
                "staging_bucket": "gs://local-staging",
            },
            "run": {"restart_job_on_worker_restart": False},
        }
    }
}
"""The configuration that W&B's page proposes for a Vertex queue, with its bucket filled in."""
