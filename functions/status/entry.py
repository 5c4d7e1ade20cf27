"""Cloud Scheduler calls this function: read the settings, wire the parts, reconcile, answer what was done."""

import logging
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import flask
import functions_framework

from functions.status.decide import Policy
from functions.status.reconcile import Status
from shared import log as logs
from shared.adapters.gcs import GcsLedger
from shared.adapters.pubsub import PubsubPublisher
from shared.adapters.vertex_jobs import VertexJobs
from shared.adapters.wandb import Graphql, WandbRunQueue
from shared.core.errors import LaunchError, SettingsError
from shared.settings import StatusSettings, load

log = logging.getLogger(__name__)


@functions_framework.http
def status(request: flask.Request) -> tuple[dict[str, Any], int]:
    """Reconcile all open launches; the request's body means nothing. 503 says that something has to be tried again."""
    logs.follow(request.headers.get("X-Cloud-Trace-Context", ""))
    try:
        report = wired().run()
    except LaunchError as exc:
        log.exception("status.failed")
        return {"error": str(exc)}, 500 if isinstance(exc, SettingsError) else 503
    answer = {each.name: getattr(report, each.name) for each in fields(report)}  # asdict() cannot copy a Counter
    log.info("status.done", extra={"fields": answer})
    return answer, 503 if report.errors else 200


@cache
def wired() -> Status:
    """Wire the parts once; none of them connects before it is used."""
    told = load(StatusSettings)
    logs.configure(told.google_cloud_project, told.log_level, secrets=[told.api_key])
    policy = Policy(
        stopped_run_timeout=timedelta(seconds=told.stopped_run_timeout),
        start_timeout=timedelta(seconds=told.start_timeout),
        init_grace=timedelta(seconds=told.init_grace_seconds),
        overdue_after=timedelta(seconds=told.overdue_seconds),
        listing_lag=timedelta(seconds=told.listing_lag_seconds),
    )
    return Status(
        ledger=GcsLedger(told.ledger_bucket),
        jobs=VertexJobs(told.launch_agent_name, told.vertex_endpoint),
        tracker=WandbRunQueue(Graphql(told.wandb_base_url, told.api_key)),
        publisher=PubsubPublisher(told.topic_path),
        clock=lambda: datetime.now(UTC),
        parents=(f"projects/{told.google_cloud_project}/locations/{told.vertex_location}",),
        policy=policy,
        budget=timedelta(seconds=told.status_budget_seconds),
    )
