"""`python -m deploy smoke`: see with one's own eyes that what was just deployed works, from end to end."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from google.api_core import exceptions as google_errors
from google.cloud import storage
from google.cloud.scheduler_v1 import CloudSchedulerClient
from google.pubsub_v1 import PublisherClient
from rich.console import Console

from deploy.cloud.deployment import SCHEDULED, Deployment, deployment_options
from deploy.cloud.provision.schedule import job_name
from shared.core.message import Request, encode

T = TypeVar("T")
SOURCE = "smoke-test"
REFUSED_FIELD = (
    "docker.docker_image"  # what the launch of the smoke test lacks, so that it never becomes a job
)


@click.command()
@deployment_options
@click.option(
    "--build", required=True, help="The build's id: each build asks for a launch of its own."
)
@click.option(
    "--timeout", default=300, show_default=True, help="Seconds to wait for each of the three."
)
@click.option("--every", default=3.0, show_default=True, help="Seconds between two looks.")
def smoke(deployment: Deployment, build: str, timeout: float, every: float) -> None:
    """Call poll and status through Cloud Scheduler, and follow one launch through submit into the ledger.

    The launch names no image, so it has to end REJECTED: no job is made, but Pub/Sub, the trigger, submit, the ledger
    and status have all done their part.
    """
    console = Console(highlight=False, soft_wrap=True)
    scheduler = CloudSchedulerClient(transport="rest")
    try:
        for verb in SCHEDULED:
            _call(scheduler, deployment, verb, timeout, every)
            console.print(
                f"  {deployment.function(verb)}: Cloud Scheduler called it, and it answered well"
            )
        key = _ask(deployment, build)
        console.print(f"  {deployment.function('submit')}: asked for launch {key}")
        reason = _closed(
            deployment, key, lambda: _run(scheduler, deployment, "status"), timeout, every
        )
    except google_errors.GoogleAPICallError as exc:
        raise click.ClickException(str(exc)) from exc
    if REFUSED_FIELD not in reason:
        raise click.ClickException(
            f"launch {key} ended otherwise than it should, for want of an image: {reason}"
        )
    console.print(
        f"  it came through submit, the ledger and status, and was refused as it should be: {reason}"
    )


def _call(scheduler: Any, deployment: Deployment, verb: str, timeout: float, every: float) -> None:
    """Run a Scheduler job now, and wait for a call since then that went well; the next minute's is as good."""
    began = datetime.now(UTC)
    _run(scheduler, deployment, verb)

    def answered() -> Any:
        job = scheduler.get_job(name=job_name(deployment, verb))
        return (
            job
            if job.last_attempt_time and job.last_attempt_time >= began and job.status.code == 0
            else None
        )

    if _wait(answered, timeout, every) is None:
        job = scheduler.get_job(name=job_name(deployment, verb))
        said = (
            f"code {job.status.code} {job.status.message}".strip()
            if job.status.code
            else "no answer yet"
        )
        raise click.ClickException(
            f"{deployment.function(verb)} did not answer Cloud Scheduler well within {timeout:.0f} s: {said}. Its log: "
            f"gcloud logging read 'resource.labels.service_name=\"{deployment.function(verb)}\"' "
            f"--project={deployment.project} --limit=20 --freshness=10m"
        )


def _run(scheduler: Any, deployment: Deployment, verb: str) -> None:
    scheduler.run_job(name=job_name(deployment, verb))


def _ask(deployment: Deployment, build: str) -> str:
    """Publish a request that submit has to refuse; return its launch key."""
    request = Request(
        source=SOURCE,
        idempotency_key=build,
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
    deployment: Deployment, key: str, nudge: Callable[[], None], timeout: float, every: float
) -> str:
    """Wait until the launch is closed, and return why it ended."""
    bucket = storage.Client(project=deployment.project).bucket(deployment.ledger_bucket)

    def look() -> bytes | None:
        try:
            return bytes(bucket.blob(f"closed/{key}").download_as_bytes())
        except google_errors.NotFound:
            return None

    deadline = time.monotonic() + timeout
    while (record := _wait(look, every * 3, every)) is None and time.monotonic() < deadline:
        nudge()  # status closes it; the schedule calls it each minute
    if record is None:
        raise click.ClickException(
            f"launch {key} was not closed within {timeout:.0f} s: `gcloud storage cat gs://{deployment.ledger_bucket}/"
            f"open/{key}` shows how far it came; where there is none, submit never wrote it"
        )
    return str(json.loads(record)["reason"])


def _wait(look: Callable[[], T | None], timeout: float, every: float) -> T | None:
    deadline = time.monotonic() + timeout
    while True:
        if (seen := look()) is not None:
            return seen
        if time.monotonic() > deadline:
            return None
        time.sleep(every)
