"""`python -m deploy migrate`: what the configuration file of a `wandb launch-agent` means here, and what to do next."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deploy.cloud.bootstrap import submit_command
from deploy.cloud.deployment import ACCOUNTS, Deployment
from deploy.cloud.iam import Binding, bindings
from deploy.operate.agent_config import KINDS, AgentFile, lines, read
from shared.config.launch_config import CONFIG_FILE, LaunchConfig
from shared.config.settings import variables
from shared.core.errors import SettingsError

UNCUT = 10_000  # columns, where no terminal has to show them
WHERE = {
    "WANDB_API_KEY": "bootstrap asks for it, and keeps it in Secret Manager",
    "GOOGLE_CLOUD_PROJECT": "environment.project in this file, or --project of the commands below",
    "VERTEX_LOCATION": "environment.region in this file, or --region of the commands below",
    "LEDGER_BUCKET": "bootstrap makes it, and the build tells the functions: gs://{ledger}",
    "LAUNCH_ENTITY": "entity in this file; the agent took the default one of its API key",
    "LAUNCH_QUEUES": "queues in this file",
}
ELSEWHERE = {
    "--queue, --entity, --max-jobs, WANDB_ENTITY, WANDB_LAUNCH_MAX_JOBS": "queues, entity and max_jobs in this file",
    "--verbose": "LOG_LEVEL, in _SETTINGS of the build",
    "WANDB_BASE_URL": "_WANDB_BASE_URL of the build",
    "REQUESTS_CA_BUNDLE, for a W&B of your own": "WANDB_CA_FILE, in _SETTINGS of the build",
    "WANDB_LAUNCH_START_TIMEOUT": "the same, in _SETTINGS of the build",
    "what a queue's ${NAME} stands for": "NAME=VALUE, and LAUNCH_MACROS=NAME, in _SETTINGS of the build",
    "no builder, but Docker on its machine": "it built images; here a job's code runs in a base image",
}
BEFORE = (
    "Before: one account, whichever the agent's credentials name. It may create, get, list and cancel CustomJobs "
    "(aiplatform.customJobs.*), act as any account that jobs run as (iam.serviceAccounts.actAs), and push images where "
    "it builds them. None of its roles is used here: they can go when it has stopped."
)
AFTER = (
    "After: accounts of the deployment's own, and one task each. bootstrap makes them and binds this; what is on a "
    "topic or a function, the build. Nothing has to be granted by hand; doctor compares. Why each: deploy/cloud/iam.yaml."
)
NO_RUN_AS = (
    "policy.service_accounts lists no account. That is right where no queue names one under run.service_account: jobs "
    "run as Vertex AI's own service agent then. Any other is denied until it is listed: "
    "policy: {service_accounts: [NAME@PROJECT.iam.gserviceaccount.com]}, in what is deployed; the agent does not start "
    "with that key."
)
STOP = (
    "Stop the agent (Ctrl-C, or its service) when the jobs that it started have ended: it alone reports them. Until "
    "then both may serve a queue: W&B gives an item to the one that pops it first; each counts max_jobs for itself. "
    "Where it never idles, stop it all the same: its jobs go on, and their runs in W&B too; only a failure before "
    "wandb.init is not reported, and Stop in W&B does not cancel them. Of its jobs there still run:"
)


@click.command()
@click.argument("launch_config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def migrate(launch_config: Path) -> None:
    """Say what the configuration file of an agent means here, and what to do next. Nothing is called or changed.

    LAUNCH_CONFIG is the file of a `wandb launch-agent` that serves queues of type GCP Vertex; the agent's own default
    is ~/.config/wandb/launch-config.yaml.

    Prints its keys one by one, with what they mean here and the setting that takes their place; what keeps it from
    moving over; required settings that it does not give; who may do what, before and after; and the next commands. No
    secret is printed. Not to a terminal, each key is one line.

    Exit code 1 if something keeps the file from moving over.
    """
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
        raise click.ClickException(
            f"{launch_config} cannot move over yet: solve its problems first"
        )


def missing(config: LaunchConfig, deployment: Deployment) -> dict[str, str]:
    """Return what the functions require and a file does not give, with where to set it."""
    given = {
        **config.model_dump(),
        **{f"environment.{key}": one for key, one in config.environment},
    }
    needed = {}
    for kind in KINDS:
        for name, names in variables(kind).items():
            if kind.model_fields[name].is_required() and not given.get(names[-1].partition(":")[2]):
                needed[names[0]] = WHERE[names[0]].format(ledger=deployment.ledger_bucket)
    return needed


def _keys(console: Console, file: AgentFile) -> None:
    console.print("Key by key", style="bold")
    if file.written:
        rows = (
            (line.key, line.value, line.effect, line.meaning, line.setting) for line in lines(file)
        )
        _print(console, ("key", "value", "effect", "meaning", "setting"), rows)
    else:
        console.print("  None: the file is empty.")


def _problems(console: Console, file: AgentFile) -> None:
    console.print("\nProblems", style="bold")
    for problem in file.problems:
        console.print(f"  {problem}", style="red")
    if not file.problems:
        console.print("  None: it can move over.")


def _settings(console: Console, needed: Mapping[str, str]) -> None:
    console.print("\nRequired settings that the file does not give", style="bold")
    _print(console, ("setting", "where to set it"), needed.items())
    console.print("\nWhat the agent may have been told elsewhere", style="bold")
    _print(console, ("of the agent", "here"), ELSEWHERE.items())


def _permissions(console: Console, deployment: Deployment) -> None:
    console.print("\nPermissions", style="bold")
    console.print(f"  {BEFORE}\n  {AFTER}")
    rows: dict[tuple[str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for binding in bindings(deployment):
        accounts, on = rows.setdefault((_may(binding), binding.why), ({}, {}))
        accounts[_account(binding.member, deployment)] = on[_on(binding, deployment)] = None
    said = ((", ".join(accounts), may, ", ".join(on)) for (may, _), (accounts, on) in rows.items())
    _print(console, ("account", "may", "on"), said)
    if deployment.run_as:
        jobs = f"Jobs may run as {', '.join(deployment.run_as)} (policy.service_accounts)"
        console.print(f"  {jobs}; where their queue names none, as Vertex AI's own service agent.")
    else:
        console.print(f"  {NO_RUN_AS}")


def _account(member: str, deployment: Deployment) -> str:
    """Return an account's address, one of the deployment's own by its name."""
    email = member.removeprefix("serviceAccount:")
    ours = {deployment.account(role): f"{deployment.name}-{role}" for role in ACCOUNTS}
    return ours.get(email, email)


def _may(binding: Binding) -> str:
    """Return a role; of our own those permissions that matter to jobs."""
    if binding.role.startswith("roles/"):
        return binding.role
    return (
        " ".join(p for p in binding.permissions if p.startswith("aiplatform."))
        or binding.role.rpartition("/")[2]
    )


def _on(binding: Binding, deployment: Deployment) -> str:
    """Return a resource by its own name, with a word for what has none yet."""
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
    """Yield what to do, in order: why, and the commands."""
    where = ("--project", deployment.project, "--region", deployment.region)
    if file.resolve() != Path(CONFIG_FILE).resolve():
        yield (
            "The build takes the file from the source's root:",
            shlex.join(("cp", str(file), CONFIG_FILE)),
        )
    told = " ".join(f"{name}=…" for name in needed if name != "LEDGER_BUCKET")
    yield (
        "Shadow mode: what would become of what waits. Nothing is popped:",
        f"{told} python -m deploy plan",
    )
    yield (
        "Once, as an owner of the project (with --staging-bucket BUCKET where the queues have one of their own):",
        shlex.join(("python", "-m", "deploy", "bootstrap", *where)),
    )
    yield "Build, test, deploy, and launch one job to see:", submit_command(deployment)
    yield "Is everything as it has to be?", shlex.join(("python", "-m", "deploy", "doctor", *where))
    running = "labels.wandb-run-id:* AND NOT labels.launch_agent:* AND NOT endTime:*"
    yield (
        STOP,
        shlex.join(("gcloud", "ai", "custom-jobs", "list", *where, "--filter", running)),
    )


def _print(console: Console, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table: in a terminal folded into its width, elsewhere a line for each row."""
    table = Table(*head, box=None, padding=(0, 0, 0, 2), header_style="dim")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*row)
    with console.capture() as printed:
        console.print(table)
    for line in printed.get().splitlines():
        print(line.rstrip())  # a table is filled with blanks up to its edge
