"""Pub/Sub delivers to this function, as Eventarc does (a CloudEvent) or as the emulator pushes: decode and launch."""

import base64
import binascii
import logging
import os
from datetime import timedelta
from functools import lru_cache

import flask
import functions_framework
from cloudevents.http import CloudEvent

from functions.submit.submit import Submit, SubmitTimings
from shared import log as logs
from shared.adapters.build.images import CloudBuildImages
from shared.adapters.gcs import GcsLedger
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
from shared.core.budget import Budget
from shared.core.errors import NotAMessage
from shared.core.launch import Backoff
from shared.core.message import Request, Ticket, decode
from shared.core.redaction import is_secret
from shared.runspec.prepare import Preparation
from shared.runspec.render import ArgumentNames, DeploymentDefaults, job_labels
from shared.runspec.scheduler import SchedulerDefaults

log = logging.getLogger(__name__)


@functions_framework.cloud_event
def submit(event: CloudEvent) -> None:
    """Launch the training job that one Pub/Sub message asks for; Pub/Sub repeats a message on any error."""
    if flask.has_request_context():
        logs.follow(flask.request.headers.get("X-Cloud-Trace-Context", ""))
    settings = load(SubmitSettings)
    budget = Budget(settings.submit_budget_seconds)
    parts = build_submit(settings)
    try:
        message = message_of(event)
    except NotAMessage as exc:
        log.exception(
            "submit.not_a_message", extra={"fields": {"event": event["id"], "problem": str(exc)}}
        )
        raise  # repeated, so that it ends in the dead-letter topic
    parts.launch(message, budget)


def message_of(event: CloudEvent) -> Ticket | Request:
    """Read the message out of either shape of delivery."""
    match event.data:
        case {"message": {"data": str(encoded)}}:
            try:
                return decode(base64.b64decode(encoded, validate=True))
            except binascii.Error as exc:
                raise NotAMessage("message.data is not base64") from exc
    raise NotAMessage("the event carries no message.data")


@lru_cache(maxsize=1)
def build_submit(told: SubmitSettings) -> Submit:
    """Wire the parts, once for the same settings; none of them connects before it is used."""
    macros = {name: os.environ[name] for name in told.launch_macros if name in os.environ}
    secrets = (told.api_key, *(value for name, value in macros.items() if is_secret(name)))
    logs.configure(told.google_cloud_project, told.log_level, secrets)
    site = DeploymentDefaults(
        base_url=told.wandb_base_url,
        api_key=told.api_key,
        project=told.google_cloud_project,
        location=told.vertex_location,
        agent=told.launch_agent_name,
        macros=macros,
        secure_mode=told.secure_mode,
        key_secret=told.key_secret,
        base_image=told.base_image,
        destination=told.destination,
        context_store=told.build_context_store,
    )
    wandb = Graphql(told.wandb_base_url, told.api_key, ca_file=told.wandb_ca_file)
    ledger = GcsLedger(told.ledger_bucket)
    preparation = Preparation(
        queues=WandbQueueConfigs(wandb),
        jobs=WandbJobs(wandb),
        sweeps=WandbSweeps(wandb),
        site=site,
        names=ArgumentNames(**argument_names()),
        policy=told.policy,
        ladder=told.ladder,
        scheduler=SchedulerDefaults(told.scheduler_image, told.scheduler_machine),
        check_key=WandbKey(wandb).check,
    )
    return Submit(
        ledger=ledger,
        compute=VertexCompute(
            told.google_cloud_project,
            told.vertex_location,
            told.vertex_endpoint,
            told.submit_create_seconds,
        ),
        prepare=preparation.prepare,
        labels=lambda launch: job_labels(launch, told.launch_agent_name),
        clock=ledger.now,
        policy=SubmitTimings(
            lease=timedelta(seconds=told.submit_lease_seconds),
            settle=timedelta(seconds=told.submit_settle_seconds),
            look_again=timedelta(seconds=told.submit_look_again_seconds),
            max_failures=told.max_failures,
            max_requests=told.max_requests,
            backoff=Backoff(first=timedelta(seconds=told.first_retry_seconds)),
        ),
        secrets=secrets,
        images=CloudBuildImages(
            f"projects/{told.google_cloud_project}/locations/{told.vertex_location}",
            f"{told.launch_agent_name}-images@{told.google_cloud_project}.iam.gserviceaccount.com",
            told.launch_agent_name,
            WandbFiles(wandb),
            told.build_endpoint,
        ),
    )
