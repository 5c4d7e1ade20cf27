"""`vertex-launch migrate`: explain an agent's configuration file, and list the next steps."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deploy.cloud.bootstrap import submit_command
from deploy.cloud.deployment import ACCOUNTS, Deployment
from deploy.cloud.iam import Binding, bindings
from deploy.operate.agent_config import AgentFile, lines, read
from shared.config.launch_config import CONFIG_FILE, LaunchConfig
from shared.config.settings import KINDS, variables
from shared.core.errors import SettingsError

UNCUT = 10_000  # columns, if the output is no terminal
WHERE = {
    "WANDB_API_KEY": "bootstrap asks for it, and stores it in Secret Manager",
    "GOOGLE_CLOUD_PROJECT": "environment.project in this file, or --project of the commands below",
    "VERTEX_LOCATION": "environment.region in this file, or --region of the commands below",
    "LEDGER_BUCKET": "bootstrap creates it, and the build sets it: gs://{ledger}",
    "LAUNCH_ENTITY": "entity in this file; the agent used the default entity of its API key",
    "LAUNCH_QUEUES": "queues in this file",
}
ELSEWHERE = {
    "--queue, --entity, --max-jobs, WANDB_ENTITY, WANDB_LAUNCH_MAX_JOBS": (
        "queues, entity and max_jobs in this file"
    ),
    "--verbose": "LOG_LEVEL, in _SETTINGS of the build",
    "WANDB_BASE_URL": "_WANDB_BASE_URL of the build",
    "REQUESTS_CA_BUNDLE, for a self-hosted W&B": "WANDB_CA_FILE, in _SETTINGS of the build",
    "WANDB_LAUNCH_START_TIMEOUT": "the same, in _SETTINGS of the build",
    "variables that queues use as ${NAME}": (
        "NAME=VALUE, and LAUNCH_MACROS=NAME, in _SETTINGS of the build"
    ),
    "no builder, but Docker on its machine": (
        "builder in this file; without it, a job's code runs in a base image"
    ),
}
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
STOP = (
    "Stop the agent (Ctrl-C, or its service) when its jobs have ended: no other program reports "
    "them. Until then both can serve a queue: W&B gives each item to the first that pops it, and "
    "each counts max_jobs for itself. If the agent never idles, stop it anyway. Its jobs and their "
    "runs in W&B continue, but nobody reports a failure before wandb.init, and Stop in W&B does "
    "not cancel them. These jobs of the agent still run:"
)


@click.command()
@click.argument("launch_config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def migrate(launch_config: Path) -> None:
    """Explain an agent's configuration file, and list the next steps. Calls and changes nothing.

    LAUNCH_CONFIG is the file of a `wandb launch-agent` that serves queues of type GCP Vertex. The
    agent's default is ~/.config/wandb/launch-config.yaml.

    Prints each key with its meaning here and the setting that replaces it. Then come problems of
    the file, required settings that it lacks, permissions before and after, and the next commands.
    It prints no secret. If the output is not a terminal, each key is one line.

    \b
    Example:
      vertex-launch migrate ~/.config/wandb/launch-config.yaml

    Exit code 1 if the file has problems that you must fix first.
    """  # noqa: D301 - \b is click's
    try:
        file = read(launch_config)
    except SettingsError as exc:
        raise click.ClickException(str(exc)) from exc
    where = file.config.environment
    deployment = Deployment(
        where.project or "PROJECT", where.region or "REGION", number="NUMBER", config=file.config
    )
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = UNCUT
    _keys(console, file)
    _problems(console, file)
    needed = missing(file.config, deployment)
    _settings(console, needed)
    _permissions(console, deployment)
    _next(console, launch_config, needed, deployment)
    if file.problems:
        raise click.ClickException(f"{launch_config} cannot be used yet: fix the problems above")


def missing(config: LaunchConfig, deployment: Deployment) -> dict[str, str]:
    """Return the required settings that a file lacks, and where to set each."""
    given = config.model_dump()
    given |= {f"environment.{key}": value for key, value in config.environment}
    needed = {}
    for kind in KINDS:
        for field, names in variables(kind).items():
            variable = names[0]
            key = names[-1].partition(":")[2]  # in the file; empty if only the variable exists
            if kind.model_fields[field].is_required() and not given.get(key):
                needed[variable] = WHERE[variable].format(ledger=deployment.ledger_bucket)
    return needed


def _keys(console: Console, file: AgentFile) -> None:
    console.print("Key by key", style="bold")
    if file.written:
        rows = [
            (line.key, line.value, line.effect, line.meaning, line.setting) for line in lines(file)
        ]
        _print(console, ("key", "value", "effect", "meaning", "setting"), rows)
    else:
        console.print("  None: the file is empty.")


def _problems(console: Console, file: AgentFile) -> None:
    console.print("\nProblems", style="bold")
    for problem in file.problems:
        console.print(f"  {problem}", style="red")
    if not file.problems:
        console.print("  None: the file works here.")


def _settings(console: Console, needed: Mapping[str, str]) -> None:
    console.print("\nRequired settings that the file lacks", style="bold")
    _print(console, ("setting", "where to set it"), needed.items())
    console.print("\nSettings that the agent may have had elsewhere", style="bold")
    _print(console, ("agent", "here"), ELSEWHERE.items())


def _permissions(console: Console, deployment: Deployment) -> None:
    console.print("\nPermissions", style="bold")
    console.print(f"  {BEFORE}\n  {AFTER}")
    rows: dict[tuple[str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for binding in bindings(deployment):
        accounts, on = rows.setdefault((_may(binding), binding.why), ({}, {}))
        accounts[_account(binding.member, deployment)] = on[_on(binding, deployment)] = None
    _print(
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


def _next(console: Console, file: Path, needed: Mapping[str, str], deployment: Deployment) -> None:
    console.print("\nNext", style="bold")
    for number, (why, *commands) in enumerate(_steps(file, needed, deployment), 1):
        console.print(f"  {number}. {why}")
        for command in commands:
            console.print(f"       {command}", style="cyan")


def _steps(
    file: Path, needed: Mapping[str, str], deployment: Deployment
) -> Iterator[tuple[str, ...]]:
    """Yield the steps in order: the reason, then the commands."""
    where = ("--project", deployment.project, "--region", deployment.region)
    if file.resolve() != Path(CONFIG_FILE).resolve():
        yield (
            "The build reads the file from the source's root:",
            shlex.join(("cp", str(file), CONFIG_FILE)),
        )
    settings = " ".join(f"{name}=…" for name in needed if name != "LEDGER_BUCKET")
    yield (
        "Shadow mode: show the outcome of the items that wait. It pops nothing:",
        f"{settings} vertex-launch plan",
    )
    yield (
        "Once, as an owner of the project (if the queues have a bucket of their own, add "
        "--staging-bucket BUCKET):",
        shlex.join(("vertex-launch", "bootstrap", *where)),
    )
    yield "Build, test and deploy:", submit_command(deployment)
    yield "Check the deployment:", shlex.join(("vertex-launch", "doctor", *where))
    running = "labels.wandb-run-id:* AND NOT labels.launch_agent:* AND NOT endTime:*"
    yield (
        STOP,
        shlex.join(("gcloud", "ai", "custom-jobs", "list", *where, "--filter", running)),
    )


def _print(console: Console, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table: folded to the width of a terminal, else one line for each row."""
    table = Table(*head, box=None, padding=(0, 0, 0, 2), header_style="dim")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*row)
    with console.capture() as printed:
        console.print(table)
    for line in printed.get().splitlines():
        print(line.rstrip())  # rich fills the table with blanks
