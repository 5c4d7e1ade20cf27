"""`vertex-launch publish`: publish a request for a launch, as other systems do."""

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

import click
import yaml

from deploy.cloud.names import Names
from deploy.exit_codes import OF_OUTCOMES, REJECTED
from deploy.operate.fleet.target import Target, target_options
from deploy.operate.plain import plain
from deploy.operate.request_file import Given, read_request
from deploy.operate.steering.follow import Follow, wait_options
from shared.config.settings import SubmitSettings, load
from shared.core.errors import NotAMessage
from shared.core.launch import Outcome
from shared.core.message import Request, encode
from shared.core.redaction import hiding, redacted, secrets_in


class Refused(click.ClickException):
    """Submit would refuse the request."""

    exit_code = REJECTED


class DryRunSettings(SubmitSettings):
    """The settings of submit; a dry run opens no bucket, so each bucket is optional."""

    ledger_bucket: str = ""
    contexts_bucket: str = "PROJECT-NAME-contexts"


@click.command()
@target_options
@click.option("--source", default="", help="The publishing system.  [default: vertex-launch]")
@click.option("--key", default="", help="The request's own id.  [default: a hash of its content]")
@click.option("--queue", default="", metavar="ENTITY/NAME", help="The W&B queue it belongs to.")
@click.option(
    "--topic", envvar="LAUNCH_TOPIC", default="", help="The topic.  [default: NAME-requests]"
)
@click.option("--dry-run", is_flag=True, help="Show the CustomJob; publish nothing.")
@wait_options
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The launch-config, for --dry-run.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("file", type=click.File("rb"))
def publish(
    target: Target,
    file: BinaryIO,
    source: str,
    key: str,
    queue: str,
    topic: str,
    dry_run: bool,
    wait: bool,
    timeout: float,
    config: Path | None,
    as_json: bool,
) -> None:
    """Publish a request for a launch. FILE is JSON or YAML, - reads the standard input.

    FILE contains a W&B run spec, or a whole request: `run_spec`, and `source`, `idempotency_key`
    and `queue`. The command checks it as submit does, publishes it, and prints the launch key. The
    same source and key mean the same launch for 30 days: a repeated command launches nothing twice.

    --dry-run publishes nothing. It prints the CustomJob, or the refusal, from the same settings as
    `vertex-launch plan`: needs WANDB_API_KEY, GOOGLE_CLOUD_PROJECT (environment.project) and
    VERTEX_LOCATION (environment.region).

    --json prints one object: `launch_key`, `source`, `idempotency_key`, `topic`, `message_id`, and
    with --wait `outcome`, `reason` and `job`.

    Needs roles/pubsub.publisher on the topic; --wait also needs roles/storage.objectViewer on the
    ledger's bucket.

    \b
    Examples:
      vertex-launch publish train.yaml --source=ci --key=build-42 --project=my-project
      vertex-launch publish train.yaml --queue=team/vertex --wait --project=my-project

    Exit codes: 1 if a permission or the topic is missing; 3 if the request is refused; 4 if
    Pub/Sub, the ledger or W&B does not answer, or the time is over. With --wait: 0 succeeded, 3
    rejected, 5 failed, 6 cancelled.
    """  # noqa: D301 - \b is click's
    with hiding():
        try:
            request = read_request(
                file, plain(getattr(file, "name", "-")), Given(source, key, queue)
            )
        except NotAMessage as exc:
            raise Refused(plain(exc)) from exc
        if dry_run:
            _plan(request, config)
            return
        path = f"projects/{target.project}/topics/{topic or _names(target).topic}"
        document: dict[str, Any] = {
            "launch_key": request.launch_key,
            "source": request.source,
            "idempotency_key": request.idempotency_key,
            "topic": path,
            "message_id": _published(target, path, request),
        }
        if not as_json:
            named = f"{request.source}/{request.idempotency_key}"
            click.echo(f"{request.launch_key}  is published as {plain(named)}")
        if not wait:
            if as_json:
                click.echo(json.dumps(redacted(document), indent=2))
            return
        follow = Follow(target, timeout, lambda text: click.echo(text, err=True))
        launch = follow.until_ended([request.launch_key])[request.launch_key]
        outcome = launch.entry.outcome or Outcome.FAILED
        document |= {
            "outcome": str(outcome),
            "reason": launch.reason or None,
            "job": launch.entry.job_name or None,
        }
        if as_json:
            click.echo(json.dumps(redacted(document), indent=2))
        else:
            click.echo(
                f"{request.launch_key}  has ended: {outcome}. {plain(launch.reason)}".rstrip()
            )
    raise SystemExit(OF_OUTCOMES[outcome])


def _names(target: Target) -> Names:
    return Names(target.project, target.region, target.name)


def _published(target: Target, path: str, request: Request) -> str:
    """Publish a request; return its message id."""
    # Google's SDK takes a second to import: --help does not wait for it
    from deploy.operate.messaging import PUBLISHER, TIMEOUT, explaining, publisher

    with explaining(PUBLISHER, path, target.region, target.name):
        messages = [{"data": encode(request)}]
        answer = publisher().publish(topic=path, messages=messages, timeout=TIMEOUT)
    return str(answer.message_ids[0])


def _plan(request: Request, config: Path | None) -> None:
    """Print what submit would create, or the refusal."""
    from deploy.planner import REFUSED, build_planner
    from shared.adapters.wandb import Graphql

    if config:
        os.environ["LAUNCH_CONFIG"] = str(config)
    settings = load(DryRunSettings)
    macros = {name: os.environ[name] for name in settings.launch_macros if name in os.environ}
    graphql = Graphql(settings.wandb_base_url, settings.api_key, ca_file=settings.wandb_ca_file)
    planned = build_planner(settings, graphql, settings.entity, macros).request(request)
    document = redacted(planned.document(), secrets_in(request.run_spec))
    click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120), nl=False)
    click.echo("Nothing was published.", err=True)
    if planned.outcome == REFUSED:
        raise SystemExit(REJECTED)
