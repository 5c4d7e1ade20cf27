"""`python -m deploy doctor`: what is wrong with a deployment, and how to mend it."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import click
from rich.console import Console

from deploy.cloud.deployment import Deployment, deployment_options
from deploy.cloud.doctor import access, project, running, wandb
from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.finding import Check, Finding, Outcome

AT_ONCE = 8
GROUPS: dict[str, tuple[str, Callable[[Case], Iterator[Check]]]] = {
    "project": ("Project: APIs, buckets, the secret", project.checks),
    "access": ("Access: who may do what", access.checks),
    "wandb": ("W&B: the key, the queues, what they launch", wandb.checks),
    "running": ("Running: functions, schedule, trigger, agent", running.checks),
}
WORDS = {
    Outcome.OK: "fine",
    Outcome.WARNING: "to be looked at",
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
    """Check a deployment for what goes wrong in practice, and say how to mend it. Nothing is changed.

    \b
    ✓ is as it shall be
    ! works, but should be looked at
    ✗ does not work
    ? could not be seen: W&B or Google did not answer, or a permission is missing, which is then named

    Below each line but the first kind stands what mends it: commands to copy. No check depends on another.

    Google is asked as your application-default credentials (`gcloud auth application-default login`), W&B with
    WANDB_API_KEY, or else with the key in the deployment's own secret.

    \b
    project  APIs, buckets and their regions, the secret
    access   every binding of deploy/cloud/iam.yaml, the custom roles, the accounts that the queues' jobs run as
    wandb    the key, the queues, their configurations, their images
    running  functions, schedule, topics and the trigger, dead letters, the agent

    Exit code 1 if anything has failed.
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
        raise SystemExit(1)


def _examined(case: Case, check: Check) -> list[Finding]:
    return list(case.examined(check))


def _print(console: Console, finding: Finding) -> None:
    console.print(f"{finding.outcome} ", style=STYLES[finding.outcome], end="")
    console.print(f"{finding.name}: {finding.said}")
    for line in finding.mend.splitlines():
        console.print(f"    {line}")
