"""`vertex-launch doctor`: find the faults of a deployment, and name the fixes."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import click
from rich.console import Console

from deploy.cloud.deployment import Deployment, deployment_options
from deploy.cloud.doctor import access, monitoring, project, running, wandb
from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.finding import Check, Finding, Outcome
from deploy.exit_codes import FAILURE, UNKNOWN

AT_ONCE = 8
GROUPS: dict[str, tuple[str, Callable[[Case], Iterator[Check]]]] = {
    "project": ("Project: APIs, buckets, the secret", project.checks),
    "access": ("Access: roles and bindings", access.checks),
    "wandb": ("W&B: the key, the queues, their configurations", wandb.checks),
    "running": ("Running: functions, schedule, trigger, agent", running.checks),
    "monitoring": ("Monitoring: metrics, alerts, dashboard, notifications", monitoring.checks),
}
WORDS = {
    Outcome.OK: "OK",
    Outcome.WARNING: "to look at",
    Outcome.FAILED: "failed",
    Outcome.UNKNOWN: "unknown",
}
STYLES = {
    Outcome.OK: "green",
    Outcome.WARNING: "yellow",
    Outcome.FAILED: "red",
    Outcome.UNKNOWN: "cyan",
}


@click.command()
@deployment_options
@click.option(
    "--only",
    "only",
    type=click.Choice(list(GROUPS)),
    multiple=True,
    help="Only this group of checks; repeatable.",
)
@click.pass_context
def doctor(ctx: click.Context, deployment: Deployment, only: tuple[str, ...]) -> None:
    """Check a deployment for common faults, and print the fixes. Changes nothing.

    \b
    ✓ OK
    ! works, but needs attention
    ✗ does not work
    ? could not be seen: no answer, or the named permission is missing

    Commands to copy follow each finding that has a fix. No check depends on another.

    The command calls Google with your application-default credentials
    (`gcloud auth application-default login`). It calls W&B with WANDB_API_KEY, or else with the
    key in the deployment's own secret.

    \b
    Groups of checks:
      project     APIs, buckets and their regions, the secret
      access      bindings of deploy/cloud/iam.yaml, custom roles, the jobs' accounts
      wandb       the key, the queues, their configurations, their images
      running     functions, schedule, topics, the trigger, dead letters, the agent
      monitoring  metrics, alerts, the dashboard, notification channels

    \b
    Example:
      vertex-launch doctor --project=my-project --region=us-central1 --only=access

    Exit codes: 1 if anything failed (✗), else 4 if anything could not be seen (?).
    """  # noqa: D301 - \b is click's
    case = Case(deployment, config=str(ctx.params["config"]))
    console = Console(highlight=False, soft_wrap=True, markup=False)
    outcomes: Counter[Outcome] = Counter()
    groups = {name: group for name, group in GROUPS.items() if name in only or not only}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        pending = {
            title: [pool.submit(_examined, case, check) for check in checks(case)]
            for title, checks in groups.values()
        }
        for title, futures in pending.items():
            console.print(title, style="bold")
            for finding in (finding for future in futures for finding in future.result()):
                outcomes[finding.outcome] += 1
                _print(console, finding)
    console.print(
        ", ".join(
            f"{outcomes[outcome]} {word}" for outcome, word in WORDS.items() if outcomes[outcome]
        )
    )
    if outcomes[Outcome.FAILED]:
        raise SystemExit(FAILURE)
    if outcomes[Outcome.UNKNOWN]:
        raise SystemExit(UNKNOWN)


def _examined(case: Case, check: Check) -> list[Finding]:
    return list(case.examined(check))


def _print(console: Console, finding: Finding) -> None:
    console.print(f"{finding.outcome} ", style=STYLES[finding.outcome], end="")
    console.print(f"{finding.name}: {finding.message}")
    for line in finding.fix.splitlines():
        console.print(f"    {line}")
