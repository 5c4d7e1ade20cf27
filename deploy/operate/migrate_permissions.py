"""The permissions of an agent and those of a deployment, side by side."""

from rich.console import Console

from deploy.cloud.deployment import ACCOUNTS, Deployment
from deploy.cloud.iam import Binding, bindings
from deploy.operate.tables import print_table

BEFORE = (
    "Before: one account, which the agent's credentials name. It can create, get, list and cancel "
    "CustomJobs (aiplatform.customJobs.*), act as any account of the jobs "
    "(iam.serviceAccounts.actAs), and push images if it builds them. The functions use none of its "
    "roles: remove them when the agent has stopped."
)
AFTER = (
    "After: the deployment has its own accounts, one for each task. bootstrap creates them and "
    "binds these roles; the build binds the roles on topics and functions. You grant nothing by "
    "hand; doctor checks the bindings. deploy/cloud/iam.yaml gives the reasons."
)
NO_RUN_AS = (
    "policy.service_accounts lists no account. That is right if no queue names an account under "
    "run.service_account: jobs then run as Vertex AI's own service agent. submit can use no other "
    "account until the deployed file lists it: "
    "policy: {service_accounts: [NAME@PROJECT.iam.gserviceaccount.com]}. "
    "The agent does not start with that key."
)


def print_permissions(console: Console, deployment: Deployment) -> None:
    """Print the roles of a deployment's accounts, in place of the agent's."""
    console.print("\nPermissions", style="bold")
    console.print(f"  {BEFORE}\n  {AFTER}")
    rows: dict[tuple[str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for binding in bindings(deployment):
        accounts, on = rows.setdefault((_may(binding), binding.why), ({}, {}))
        accounts[_account(binding.member, deployment)] = on[_on(binding, deployment)] = None
    print_table(
        console,
        ("account", "may", "on"),
        [(", ".join(accounts), may, ", ".join(on)) for (may, _), (accounts, on) in rows.items()],
    )
    if deployment.run_as:
        jobs = f"Jobs may run as {', '.join(deployment.run_as)} (policy.service_accounts)"
        agent = "If their queue names no account, they run as Vertex AI's own service agent."
        console.print(f"  {jobs}. {agent}")
    else:
        console.print(f"  {NO_RUN_AS}")


def _account(member: str, deployment: Deployment) -> str:
    """Return an account's address, or the short name of the deployment's own account."""
    email = member.removeprefix("serviceAccount:")
    ours = {deployment.account(role): f"{deployment.name}-{role}" for role in ACCOUNTS}
    return ours.get(email, email)


def _may(binding: Binding) -> str:
    """Return a role of Google, the permissions of ours on jobs, or else the name of ours."""
    if binding.role.startswith("roles/"):
        return binding.role
    on_jobs = " ".join(p for p in binding.permissions if p.startswith("aiplatform."))
    return on_jobs or binding.role.rpartition("/")[2]


def _on(binding: Binding, deployment: Deployment) -> str:
    """Return the name of a resource, or a description of one that Google will name."""
    words = {"sources": "the functions' sources", "trigger": "submit's subscription"}
    return words.get(binding.kind) or _account(
        binding.resource.rpartition("/topics/")[2], deployment
    )
