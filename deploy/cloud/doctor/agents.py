"""The roles of Google's own service agents, without which its services cannot work for us."""

from collections.abc import Iterator
from functools import partial

from deploy.cloud import gcloud
from deploy.cloud.doctor.case import NUMBER, Case
from deploy.cloud.doctor.finding import Check, Finding, failed, ok, warning

TITLE = "Google's service agents"
# Google gives each agent its role when the API is enabled or first used.
AGENTS = {
    "gcp-sa-cloudbuild": "roles/cloudbuild.serviceAgent",
    "gcf-admin-robot": "roles/cloudfunctions.serviceAgent",
    "gcp-sa-cloudscheduler": "roles/cloudscheduler.serviceAgent",
    "gcp-sa-eventarc": "roles/eventarc.serviceAgent",
    "gcp-sa-pubsub": "roles/pubsub.serviceAgent",
    "serverless-robot-prod": "roles/run.serviceAgent",
}
AT_FIRST_JOB = {"gcp-sa-aiplatform": "roles/aiplatform.serviceAgent"}


def checks(case: Case) -> Iterator[Check]:
    """Yield the check of all agents."""
    yield Check(TITLE, partial(_agents, case), ("resourcemanager.projects.getIamPolicy", NUMBER))


def _agents(case: Case) -> Iterator[Finding]:
    missing = _missing(case, AGENTS)
    unused = _missing(case, AT_FIRST_JOB)
    if missing:
        names = ", ".join(role.removeprefix("roles/") for role in missing.values())
        message = f"they lack {names}: a policy that replaces all bindings, such as Terraform's "
        message += "google_project_iam_policy, removes them"
        give = "\n".join(_bind(case, agent, role) for agent, role in (missing | unused).items())
        yield failed(TITLE, message, give)
    elif unused:
        message = f"Vertex AI's agent lacks {', '.join(unused.values()).removeprefix('roles/')}: "
        message += "no job has run yet, or somebody removed the role"
        give = "\n".join(_bind(case, agent, role) for agent, role in unused.items())
        yield warning(TITLE, message, give)
    else:
        yield ok(TITLE, "each has its role")


def _missing(case: Case, agents: dict[str, str]) -> dict[str, str]:
    bound = {
        (member, one["role"])
        for one in case.project_policy().get("bindings", ())
        if not one.get("condition")
        for member in one.get("members", ())
    }
    deployment = case.numbered
    return {
        agent: role
        for agent, role in agents.items()
        if (f"serviceAccount:{deployment.agent(agent)}", role) not in bound
    }


def _bind(case: Case, agent: str, role: str) -> str:
    member = f"--member=serviceAccount:{case.numbered.agent(agent)}"
    on = ("projects", "add-iam-policy-binding", case.deployment.project)
    return gcloud.shown((*on, member, f"--role={role}", "--condition=None"))
