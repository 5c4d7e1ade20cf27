"""`vertex-launch doctor`: find the faults of a deployment, and name the fixes."""

import json
import os
from collections.abc import Callable, Iterator

import click

from deploy.cloud.deployment import Deployment, deployment_options
from deploy.cloud.doctor import access, monitoring, project, running, wandb
from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.finding import Check
from deploy.cloud.doctor.report import Report
from deploy.local.record import FOLDER, find

GROUPS: dict[str, tuple[str, Callable[[Case], Iterator[Check]]]] = {
    "project": ("Project: APIs, buckets, the secret", project.checks),
    "access": ("Access: roles and bindings", access.checks),
    "wandb": ("W&B: the key, the queues, their configurations", wandb.checks),
    "running": ("Running: functions, schedule, trigger, agent", running.checks),
    "monitoring": ("Monitoring: metrics, alerts, dashboard, notifications", monitoring.checks),
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(
    ctx: click.Context, deployment: Deployment, only: tuple[str, ...], as_json: bool
) -> None:
    """Check a deployment for common faults, and print the fixes. Changes nothing.

    \b
    ✓ OK
    ! works, but needs attention
    ✗ does not work
    ? could not be seen: no answer, or the named permission is missing

    Commands to copy follow each finding that has a fix. No check depends on another. If several
    checks fail for one cause, it is printed once, and the others are named below it.

    The command calls Google with your application-default credentials
    (`gcloud auth application-default login`). It calls W&B with WANDB_API_KEY, or else with the
    key in the deployment's own secret.

    --json prints one object: `findings`, a list of objects with `group`, `check`, `result`,
    `message`, `fix` and `same_cause`; then `checks_not_made` and `checks_not_made_on_stack`.

    The stack of `make up` is checked if it runs here and --project is missing. It has no roles,
    buckets and schedules, so most checks are not made; the last line counts them.

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
    record = find()
    stack: dict[str, str] = {}
    if record and record.project == deployment.project:
        stack = {**record.environment, FOLDER: record.folder}
        os.environ.update(record.environment)  # the stand-ins' addresses, for Google's clients
    case = Case(deployment, config=str(ctx.params["config"]), stack=stack)
    groups = {name: group for name, group in GROUPS.items() if name in only or not only}
    report = Report.of(case, groups)
    if as_json:
        click.echo(json.dumps(report.document(), indent=2, ensure_ascii=False))
    else:
        report.print()
    raise SystemExit(report.exit_code)
