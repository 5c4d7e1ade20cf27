"""`vertex-launch migrate`: explain an agent's configuration, and write what it becomes."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from rich.console import Console

from deploy.cloud.bootstrap import submit_command
from deploy.cloud.deployment import Deployment
from deploy.operate.agent_config import AgentFile, lines, read
from deploy.operate.agent_shown import hidden
from deploy.operate.agent_sources import STDIN, read_source
from deploy.operate.migrate_permissions import print_permissions
from deploy.operate.new_config import difference, text_of
from deploy.operate.tables import print_table
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
STOP = (
    "Stop the agent (Ctrl-C, or its service) when its jobs have ended: no other program reports "
    "them. Until then both can serve a queue: W&B gives each item to the first that pops it, and "
    "each counts max_jobs for itself. If the agent never idles, stop it anyway. Its jobs and their "
    "runs in W&B continue, but nobody reports a failure before wandb.init, and Stop in W&B does "
    "not cancel them. These jobs of the agent still run:"
)


@click.command()
@click.argument(
    "source",
    metavar="LAUNCH_CONFIG",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
)
@click.option(
    "--variables",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The agent's environment: NAME=VALUE lines, of `env`, an --env-file or a systemd unit.",
)
@click.option(
    "--write",
    "target",
    is_flag=False,
    flag_value=CONFIG_FILE,
    metavar="[FILE]",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Write the new file, by default {CONFIG_FILE}. An existing file needs --force.",
)
@click.option("--force", is_flag=True, help="Let --write replace an existing file.")
def migrate(source: Path, variables: Path | None, target: Path | None, force: bool) -> None:
    """Explain an agent's configuration, and show the new file.

    LAUNCH_CONFIG is one of: the file of a `wandb launch-agent` that serves queues of type GCP
    Vertex (the agent's default is ~/.config/wandb/launch-config.yaml); the values of its Helm
    chart; a Kubernetes ConfigMap or Secret, also among other objects. `-` reads stdin. --variables
    adds the environment of an agent on a VM.

    Prints each key with its meaning here: kept, moved, changes, no meaning here, or your decision.
    Then come problems, the new file as a difference, required settings that it lacks, permissions
    before and after, and the next commands. It calls nothing, prints no secret, and changes no
    file without --write. If the output is not a terminal, each key is one line.

    \b
    Examples:
      vertex-launch migrate ~/.config/wandb/launch-config.yaml --write
      helm get values launch-agent | vertex-launch migrate - --write new.yaml
      vertex-launch migrate agent.yaml --variables agent.env

    Exit code 1 if there are problems that you must fix first. --write writes the rest all the same.
    """  # noqa: D301 - \b is click's
    if target and target.exists() and not force:
        raise click.ClickException(f"{target} exists: add --force to replace it, or name another")
    try:
        file = read(read_source(source, variables))
    except SettingsError as exc:
        raise click.ClickException(hidden(str(exc))) from exc
    where = file.config.environment
    deployment = Deployment(
        where.project or "PROJECT", where.region or "REGION", number="NUMBER", config=file.config
    )
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = UNCUT
    _keys(console, file)
    _problems(console, file)
    _difference(console, file, str(target or CONFIG_FILE))
    needed = missing(file.config, deployment)
    _settings(console, needed)
    print_permissions(console, deployment)
    if target:
        _write(target, text_of(file.new, file.source.place))
        click.echo(f"Wrote {target}.", err=True)
    _next(console, target or source, needed, deployment)
    if file.problems:
        name = "stdin" if str(source) == STDIN else source
        raise click.ClickException(f"{name} cannot be used yet: fix the problems above")


def _write(target: Path, text: str) -> None:
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise click.ClickException(f"{target} cannot be written: {exc.strerror}") from exc


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
    rows = [(line.key, line.value, line.effect, line.meaning, line.setting) for line in lines(file)]
    if rows:
        print_table(console, ("key", "value", "effect", "meaning", "setting"), rows)
    else:
        console.print("  None: the file is empty.")


def _problems(console: Console, file: AgentFile) -> None:
    console.print("\nProblems", style="bold")
    for problem in file.problems:
        console.print(f"  {problem}", style="red")
    if not file.problems:
        console.print("  None: the file works here.")


def _difference(console: Console, file: AgentFile, target: str) -> None:
    console.print("\nThe new file, as a difference", style="bold")
    changed = difference(file.source.config, file.new, file.source.place, target)
    console.print(changed or "  None: it is the same.")


def _settings(console: Console, needed: Mapping[str, str]) -> None:
    console.print("\nRequired settings that the file lacks", style="bold")
    print_table(console, ("setting", "where to set it"), needed.items())
    console.print("\nSettings that the agent may have had elsewhere", style="bold")
    print_table(console, ("agent", "here"), ELSEWHERE.items())


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
    if str(file) != STDIN and file.resolve() != Path(CONFIG_FILE).resolve():
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
