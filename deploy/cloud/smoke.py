"""`vertex-launch smoke`: test a deployment from end to end."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

import click
from google.api_core import exceptions as google_errors
from google.cloud import storage
from google.cloud.scheduler_v1 import CloudSchedulerClient
from google.pubsub_v1 import PublisherClient
from rich.console import Console

from deploy.cloud.deployment import SCHEDULED, Deployment, deployment_options
from deploy.cloud.provision.schedule import job_name
from deploy.exit_codes import CouldNotSee
from shared.core.message import Request, encode

T = TypeVar("T")
SOURCE = "smoke-test"
# the test's launch never becomes a job: it has no image, and `requests` may exclude its source
REFUSALS = ("docker.docker_image", "requests.")


@dataclass(frozen=True)
class Patience:
    """How long to wait for one answer, and how often to look, in seconds."""

    timeout: float
    every: float

    def wait(self, look: Callable[[], T | None]) -> T | None:
        """Return what `look` returns, or None after the time-out."""
        deadline = time.monotonic() + self.timeout
        while True:
            if (seen := look()) is not None:
                return seen
            if time.monotonic() > deadline:
                return None
            time.sleep(self.every)


@click.command()
@deployment_options
@click.option("--build", required=True, help="The build's id; it identifies the test's launch.")
@click.option(
    "--timeout", default=300, show_default=True, help="Seconds to wait for each function."
)
@click.option("--every", default=3.0, show_default=True, help="Seconds between two checks.")
def smoke(deployment: Deployment, build: str, timeout: float, every: float) -> None:
    """Call poll and status through Cloud Scheduler, and follow one launch to the ledger.

    The launch names no image, so submit must reject it: no job is created, but Pub/Sub, the
    trigger, submit, the ledger and status all take part. Each build runs this command after it
    deploys.

    Needs the permissions of the account NAME-build.

    \b
    Example:
      vertex-launch smoke --build=by-hand-1 --project=my-project --region=us-central1

    Exit codes: 1 if a function or Google fails, 4 if an answer does not come within --timeout.
    """  # noqa: D301 - \b is click's
    console = Console(highlight=False, soft_wrap=True)
    patience = Patience(timeout, every)
    scheduler = CloudSchedulerClient(transport="rest")
    try:
        for verb in SCHEDULED:
            _call(scheduler, deployment, verb, patience)
            console.print(f"  {deployment.function(verb)}: Cloud Scheduler's call succeeded")
        key = _publish(deployment, build)
        console.print(f"  {deployment.function('submit')}: published launch {key}")
        reason = _closed(deployment, key, partial(_run, scheduler, deployment, "status"), patience)
    except google_errors.GoogleAPICallError as exc:
        raise click.ClickException(str(exc)) from exc
    if not any(expected in reason for expected in REFUSALS):
        raise click.ClickException(
            f"launch {key} was expected to be rejected (no image), but ended as: {reason}"
        )
    console.print(f"  submit rejected the launch and status closed it, as expected: {reason}")


def _call(scheduler: Any, deployment: Deployment, verb: str, patience: Patience) -> None:
    """Run a Scheduler job now, and wait for a successful call; a scheduled one counts too."""
    began = datetime.now(UTC)
    _run(scheduler, deployment, verb)

    def succeeded() -> Any:
        job = scheduler.get_job(name=job_name(deployment, verb))
        recent = job.last_attempt_time and job.last_attempt_time >= began
        return job if recent and job.status.code == 0 else None

    if patience.wait(succeeded) is not None:
        return
    function = deployment.function(verb)
    status = scheduler.get_job(name=job_name(deployment, verb)).status
    answer = f"code {status.code} {status.message}".strip() if status.code else "no answer yet"
    message = (
        f"Cloud Scheduler's call of {function} did not succeed within {patience.timeout:.0f} s: "
        f"{answer}. Its log: gcloud logging read 'resource.labels.service_name=\"{function}\"' "
        f"--project={deployment.project} --limit=20 --freshness=10m"
    )
    raise click.ClickException(message) if status.code else CouldNotSee(message)


def _run(scheduler: Any, deployment: Deployment, verb: str) -> None:
    scheduler.run_job(name=job_name(deployment, verb))


def _publish(deployment: Deployment, build: str) -> str:
    """Publish a request that submit must reject; return its launch key."""
    request = Request(
        source=SOURCE,
        idempotency_key=f"{build} {uuid4()}",  # a second test must not find the first one's launch
        run_spec={
            "entity": deployment.config.entity or SOURCE,
            "project": SOURCE,
            "name": f"{SOURCE} of build {build}",
        },
    )
    topic = f"projects/{deployment.project}/topics/{deployment.topic}"
    PublisherClient(transport="rest").publish(topic=topic, messages=[{"data": encode(request)}])
    return request.launch_key


def _closed(
    deployment: Deployment, key: str, call_status: Callable[[], None], patience: Patience
) -> str:
    """Wait until the launch is closed; return the reason of its end."""
    bucket = storage.Client(project=deployment.project).bucket(deployment.ledger_bucket)

    def look() -> bytes | None:
        try:
            return bytes(bucket.blob(f"closed/{key}").download_as_bytes())
        except google_errors.NotFound:
            return None

    between_calls = Patience(patience.every * 3, patience.every)
    deadline = time.monotonic() + patience.timeout
    while (record := between_calls.wait(look)) is None and time.monotonic() < deadline:
        call_status()  # sooner than its schedule
    if record is None:
        raise CouldNotSee(
            f"launch {key} was not closed within {patience.timeout:.0f} s. Its record: "
            f"gcloud storage cat gs://{deployment.ledger_bucket}/open/{key}. "
            "If the record does not exist, submit has not written it: see submit's log"
        )
    return str(json.loads(record)["reason"])
