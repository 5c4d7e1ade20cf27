"""The steps of `bootstrap` that turn on Google's services: APIs and service agents."""

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.cloud.deployment import Deployment
from deploy.cloud.gcloud import Step

APIS = (
    "aiplatform",
    "artifactregistry",
    "cloudbuild",
    "cloudfunctions",
    "cloudresourcemanager",
    "cloudscheduler",
    "eventarc",
    "iam",
    "logging",
    "monitoring",
    "pubsub",
    "run",
    "secretmanager",
    "storage",
)
AGENTS = {  # the service agents that must exist before the first build
    "eventarc": "gcp-sa-eventarc",
    "pubsub": "gcp-sa-pubsub",
}
ENCRYPTING_AGENTS = {  # and, with a KMS key, before the key's bindings
    "aiplatform": "gcp-sa-aiplatform",
    "artifactregistry": "gcp-sa-artifactregistry",
    "cloudfunctions": "gcf-admin-robot",
    "run": "serverless-robot-prod",
    "secretmanager": "gcp-sa-secretmanager",
}


def enable_apis(deployment: Deployment) -> Step:
    """Return the step that enables the APIs that are not enabled yet."""
    names = [f"{api}.googleapis.com" for api in APIS]

    def updates(enabled: list[Mapping[str, Any]] | None) -> Iterator[tuple[str, ...]]:
        there = {service["name"].rpartition("/")[2] for service in enabled or ()}
        if missing := [name for name in names if name not in there]:
            yield ("services", "enable", *missing, f"--project={deployment.project}")

    look = ("services", "list", "--enabled", f"--project={deployment.project}")
    return Step(f"{len(names)} APIs", command=(), describe=look, updates=updates)


def service_agents(deployment: Deployment) -> Step:
    """Return the step that creates the service agents that Google creates at first use only.

    That is too late: the first deployment of submit fails without Eventarc's agent, and a binding
    on the KMS key fails without the others.
    """
    project = f"--project={deployment.project}"
    agents = AGENTS | (ENCRYPTING_AGENTS if deployment.kms_key else {})

    def updates(policy: Mapping[str, Any] | None) -> Iterator[tuple[str, ...]]:
        bindings = (policy or {}).get("bindings", ())
        members = {member for each in bindings for member in each.get("members", ())}
        if deployment.kms_key or deployment.ladder_keys:
            yield ("storage", "service-agent", project)
        for api, agent in agents.items():
            if f"serviceAccount:{deployment.agent(agent)}" not in members:
                service = f"--service={api}.googleapis.com"
                yield ("beta", "services", "identity", "create", service, project)

    return Step(
        f"service agents of {', '.join(agents)}",
        command=(),
        describe=("projects", "get-iam-policy", deployment.project),
        updates=updates,
        without="The first build fails if they do not exist: an owner must run bootstrap",
    )
