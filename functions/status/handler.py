"""The entry point of status: read the settings, build the parts, reconcile, answer."""

import time
from datetime import timedelta
from functools import lru_cache
from typing import Any

import flask
import functions_framework

from functions.status.decisions import StatusTimings
from functions.status.reconcile import ACTING, Status
from functions.status.report import Report
from functions.status.watch import Watch
from shared import log as logs
from shared.adapters.build.builds import CloudBuilds
from shared.adapters.gcs import Bucket, GcsAgentBook, GcsLedger
from shared.adapters.logging import CloudLoggingJobLogs
from shared.adapters.pubsub import PubsubEvents, PubsubPublisher
from shared.adapters.vertex.jobs import VertexJobs
from shared.adapters.wandb import Graphql, WandbRunQueue
from shared.answer import answer
from shared.config.settings import StatusSettings, load
from shared.core.budget import Budget
from shared.core.cadence import Cadence, Intervals
from shared.core.launch import Backoff


@functions_framework.http
def status(request: flask.Request) -> tuple[dict[str, Any], int]:
    """Reconcile all open launches for a call of Cloud Scheduler: once, or as long as it is warm."""
    began = time.monotonic()  # reading the settings counts too

    def tick() -> Report:
        settings = load(StatusSettings)
        left = settings.status_budget_seconds + ACTING - (time.monotonic() - began)
        return build_status(settings).run(Budget(left))

    return answer(request, tick)


@lru_cache(maxsize=1)
def build_status(settings: StatusSettings) -> Watch:
    """Build the parts, once for the same settings; none connects before its first use."""
    logs.configure(settings.google_cloud_project, settings.log_level, secrets=[settings.api_key])
    timings = StatusTimings(
        stopped_run_timeout=timedelta(seconds=settings.stopped_run_timeout),
        start_timeout=timedelta(seconds=settings.start_timeout),
        init_grace=timedelta(seconds=settings.init_grace_seconds),
        error_grace=timedelta(seconds=settings.error_grace_seconds),
        max_broken=settings.max_internal_errors,
        stuck_after=timedelta(seconds=settings.stuck_seconds),
        overdue_after=timedelta(seconds=settings.overdue_seconds),
        listing_lag=timedelta(seconds=settings.listing_lag_seconds),
        backoff=Backoff(first=timedelta(seconds=settings.first_retry_seconds)),
    )
    number = settings.google_cloud_project_number
    bucket = Bucket(settings.ledger_bucket, project_number=number)
    ledger = GcsLedger(bucket)
    agents = GcsAgentBook(bucket, settings.launch_agent_name)
    graphql = Graphql(settings.wandb_base_url, settings.api_key, ca_file=settings.wandb_ca_file)
    custom_jobs = VertexJobs(settings.launch_agent_name, settings.vertex_endpoint)
    reconciler = Status(
        ledger=ledger,
        custom_jobs=custom_jobs,
        tracker=WandbRunQueue(graphql),
        publisher=PubsubPublisher(settings.topic_path),
        builds=CloudBuilds(settings.build_endpoint),
        clock=ledger.now,
        parents=(f"projects/{settings.google_cloud_project}/locations/{settings.vertex_location}",),
        logs=CloudLoggingJobLogs(settings.logging_endpoint) if settings.log_excerpt else None,
        timings=timings,
        events=PubsubEvents(settings.events_path, settings.origin)
        if settings.events_topic
        else None,
        agents=agents,
        young=timedelta(seconds=settings.young_seconds),
    )
    cadence = Cadence(
        mode=settings.cadence,
        warm=timedelta(seconds=settings.warm_seconds),
        fast=settings.round_seconds,
        watch=settings.watch_seconds,
        slowest=settings.slowest_round_seconds,
        window=settings.status_window_seconds,
    )
    return Watch(
        status=reconciler,
        agents=agents,
        wake_ups=PubsubPublisher(settings.wake_up_path),
        clock=ledger.now,
        wait=time.sleep,
        cadence=cadence,
        intervals=Intervals(cadence, custom_jobs.traffic, [graphql.traffic]),
        tick=settings.status_budget_seconds,
    )
