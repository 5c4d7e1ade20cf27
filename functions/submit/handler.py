"""The entry point of submit: decode a message from Pub/Sub, build the parts, launch."""

import logging
import os
from datetime import timedelta
from functools import lru_cache, partial

import flask
import functions_framework

from functions.submit.delivery import received
from functions.submit.submit import Submit, SubmitTimings
from shared import log as logs
from shared.adapters.build.images import CloudBuildImages
from shared.adapters.gcs import Bucket, GcsLedger, GcsPaceBook
from shared.adapters.vertex.submit import VertexCompute, argument_names
from shared.adapters.wandb import (
    Graphql,
    WandbFiles,
    WandbJobs,
    WandbKey,
    WandbQueueConfigs,
    WandbSweeps,
)
from shared.config.settings import SubmitSettings, load
from shared.core.accounts import service_account
from shared.core.budget import Budget
from shared.core.errors import LaunchError, NotAMessage, Retry, described
from shared.core.launch import Backoff
from shared.core.redaction import hiding, is_secret, redacted
from shared.runspec.prepare import Preparation
from shared.runspec.render import ArgumentNames, DeploymentDefaults, job_labels
from shared.runspec.scheduler import SchedulerDefaults

log = logging.getLogger(__name__)


@functions_framework.http
def submit(request: flask.Request) -> str:
    """Launch the job that one Pub/Sub message asks for; Pub/Sub redelivers after an error.

    The framework parses a CloudEvent of any size before a function for CloudEvents sees it.
    """
    logs.follow(request.headers.get("X-Cloud-Trace-Context", ""))
    settings = load(SubmitSettings)
    budget = Budget(settings.submit_budget_seconds)
    parts = build_submit(settings)
    try:
        message = received(request)
    except NotAMessage as exc:
        fields = {"event": request.headers.get("ce-id", ""), "problem": str(exc)}
        log.exception("submit.not_a_message", extra={"fields": fields})
        raise  # Pub/Sub redelivers it until it moves it to the dead-letter topic
    with hiding():
        try:
            parts.launch(message, budget)
        except Exception as exc:  # noqa: BLE001 - raised again
            raise _without_secrets(exc) from None  # the framework logs it, outside of this block
    return "OK"


def _without_secrets(exc: Exception) -> LaunchError:
    """Return an error that the framework may log; it has no cause, whose text may be anything."""
    if not isinstance(exc, LaunchError):
        log.error("submit.failed", exc_info=exc)
        return Retry(redacted(described(exc)))
    exc.args = (redacted(str(exc)),)
    return exc


@lru_cache(maxsize=1)
def build_submit(settings: SubmitSettings) -> Submit:
    """Build the parts, once for the same settings; none connects before its first use."""
    macros = {name: os.environ[name] for name in settings.launch_macros if name in os.environ}
    secret_macros = [value for name, value in macros.items() if is_secret(name)]
    secrets = (settings.api_key, *secret_macros)
    logs.configure(settings.google_cloud_project, settings.log_level, secrets)
    defaults = DeploymentDefaults(
        base_url=settings.wandb_base_url,
        api_key=settings.api_key,
        project=settings.google_cloud_project,
        location=settings.vertex_location,
        agent=settings.launch_agent_name,
        macros=macros,
        secure_mode=settings.secure_mode,
        key_secret=settings.key_secret,
        base_image=settings.base_image,
        destination=settings.building.destination,
        builder_problem=settings.building.problem,
        context_store=settings.context_store,
        git_credentials=settings.git_credentials,
        reserved=settings.reserved,
    )
    wandb = Graphql(settings.wandb_base_url, settings.api_key, ca_file=settings.wandb_ca_file)
    number = settings.google_cloud_project_number
    bucket = Bucket(settings.ledger_bucket, project_number=number)
    ledger = GcsLedger(bucket)
    preparation = Preparation(
        queues=WandbQueueConfigs(wandb),
        job_artifacts=WandbJobs(wandb),
        sweeps=WandbSweeps(wandb),
        defaults=defaults,
        names=ArgumentNames(**argument_names()),
        policy=settings.policy,
        requests=settings.request_limits,
        ladder=settings.ladder,
        scheduler=SchedulerDefaults(settings.scheduler_image, settings.scheduler_machine),
        check_key=WandbKey(wandb).check,
    )
    return Submit(
        ledger=ledger,
        paces=GcsPaceBook(bucket),
        compute=VertexCompute(
            settings.google_cloud_project,
            settings.vertex_location,
            settings.vertex_endpoint,
            settings.submit_create_seconds,
        ),
        prepare=preparation.prepare,
        labels=partial(job_labels, agent=settings.launch_agent_name),
        clock=ledger.now,
        timings=SubmitTimings(
            lease=timedelta(seconds=settings.submit_lease_seconds),
            settle=timedelta(seconds=settings.submit_settle_seconds),
            look_again=timedelta(seconds=settings.submit_look_again_seconds),
            max_failures=settings.max_failures,
            max_requests=settings.max_requests,
            backoff=Backoff(first=timedelta(seconds=settings.first_retry_seconds)),
        ),
        images=CloudBuildImages(
            f"projects/{settings.google_cloud_project}/locations/{settings.vertex_location}",
            service_account(f"{settings.launch_agent_name}-images", settings.google_cloud_project),
            settings.launch_agent_name,
            WandbFiles(wandb),
            settings.build_endpoint,
            git_credentials=settings.git_credentials,
            project_number=settings.context_owner,
        ),
    )
