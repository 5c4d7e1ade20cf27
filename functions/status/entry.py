"""Cloud Scheduler calls this function: read the settings, wire the parts, reconcile, answer what was done."""

import time
from datetime import timedelta
from functools import lru_cache
from typing import Any

import flask
import functions_framework

from functions.status.decisions import StatusTimings
from functions.status.reconcile import Status
from functions.status.report import Report
from shared import log as logs
from shared.adapters.cloud_build.builds import CloudBuilds
from shared.adapters.cloud_logging import CloudLogging
from shared.adapters.gcs import GcsLedger
from shared.adapters.pubsub import PubsubPublisher
from shared.adapters.vertex_jobs import VertexJobs
from shared.adapters.wandb import Graphql, WandbRunQueue
from shared.answer import answer
from shared.core.budget import Budget
from shared.core.launch import Backoff
from shared.settings import StatusSettings, load


@functions_framework.http
def status(request: flask.Request) -> tuple[dict[str, Any], int]:
    """Reconcile all open launches."""
    began = time.monotonic()  # whatever the settings take, it counts

    def tick() -> Report:
        told = load(StatusSettings)
        return wired(told).run(Budget(told.status_budget_seconds - (time.monotonic() - began)))

    return answer(request, tick)


@lru_cache(maxsize=1)
def wired(told: StatusSettings) -> Status:
    """Wire the parts, once for the same settings; none of them connects before it is used."""
    logs.configure(told.google_cloud_project, told.log_level, secrets=[told.api_key])
    timings = StatusTimings(
        stopped_run_timeout=timedelta(seconds=told.stopped_run_timeout),
        start_timeout=timedelta(seconds=told.start_timeout),
        init_grace=timedelta(seconds=told.init_grace_seconds),
        error_grace=timedelta(seconds=told.error_grace_seconds),
        max_broken=told.max_internal_errors,
        stuck_after=timedelta(seconds=told.stuck_seconds),
        overdue_after=timedelta(seconds=told.overdue_seconds),
        listing_lag=timedelta(seconds=told.listing_lag_seconds),
        backoff=Backoff(first=timedelta(seconds=told.first_retry_seconds)),
    )
    ledger = GcsLedger(told.ledger_bucket)
    return Status(
        ledger=ledger,
        jobs=VertexJobs(told.launch_agent_name, told.vertex_endpoint),
        tracker=WandbRunQueue(Graphql(told.wandb_base_url, told.api_key, ca_file=told.wandb_ca_file)),
        publisher=PubsubPublisher(told.topic_path),
        builds=CloudBuilds(told.build_endpoint),
        clock=ledger.now,
        parents=(f"projects/{told.google_cloud_project}/locations/{told.vertex_location}",),
        logs=CloudLogging(told.logging_endpoint) if told.log_excerpt else None,
        keys=frozenset({told.api_key}),
        timings=timings,
    )
