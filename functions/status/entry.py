"""Cloud Scheduler calls this function: read the settings, wire the parts, reconcile, answer what was done."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import flask
import functions_framework

from functions.status.decide import Policy
from functions.status.reconcile import Status
from shared import log as logs
from shared.adapters.cloud_build.builds import CloudBuilds
from shared.adapters.cloud_logging import CloudLogging
from shared.adapters.gcs import GcsLedger
from shared.adapters.pubsub import PubsubPublisher
from shared.adapters.vertex_jobs import VertexJobs
from shared.adapters.wandb import Graphql, WandbRunQueue
from shared.answer import answer
from shared.core.launch import Backoff
from shared.settings import StatusSettings, load


@functions_framework.http
def status(request: flask.Request) -> tuple[dict[str, Any], int]:
    """Reconcile all open launches."""
    return answer(request, lambda: wired(load(StatusSettings)).run())


@lru_cache(maxsize=1)
def wired(told: StatusSettings) -> Status:
    """Wire the parts, once for the same settings; none of them connects before it is used."""
    logs.configure(told.google_cloud_project, told.log_level, secrets=[told.api_key])
    policy = Policy(
        stopped_run_timeout=timedelta(seconds=told.stopped_run_timeout),
        start_timeout=timedelta(seconds=told.start_timeout),
        init_grace=timedelta(seconds=told.init_grace_seconds),
        overdue_after=timedelta(seconds=told.overdue_seconds),
        listing_lag=timedelta(seconds=told.listing_lag_seconds),
        backoff=Backoff(first=timedelta(seconds=told.first_retry_seconds)),
    )
    return Status(
        ledger=GcsLedger(told.ledger_bucket),
        jobs=VertexJobs(told.launch_agent_name, told.vertex_endpoint),
        tracker=WandbRunQueue(Graphql(told.wandb_base_url, told.api_key, ca_file=told.wandb_ca_file)),
        publisher=PubsubPublisher(told.topic_path),
        builds=CloudBuilds(told.build_endpoint),
        clock=lambda: datetime.now(UTC),
        parents=(f"projects/{told.google_cloud_project}/locations/{told.vertex_location}",),
        logs=CloudLogging(told.logging_endpoint) if told.log_excerpt else None,
        keys=frozenset({told.api_key}),
        policy=policy,
        budget=timedelta(seconds=told.status_budget_seconds),
    )
