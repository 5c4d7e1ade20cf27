"""The entry point of poll: read the settings, build the parts, drain, answer."""

import time
import uuid
from datetime import timedelta
from functools import lru_cache
from typing import Any

import flask
import functions_framework

from functions.poll.drain import Poll, PollLimits
from functions.poll.report import Report
from shared import log as logs
from shared.adapters.gcs import Bucket, GcsAgentBook, GcsLedger
from shared.adapters.pubsub import PubsubPublisher
from shared.adapters.wandb import Graphql, WandbRunQueue
from shared.answer import answer
from shared.config.settings import PollSettings, load
from shared.core.budget import Budget
from shared.core.cadence import WAKE_UP, Cadence, Intervals
from shared.core.errors import KeyRefused
from shared.core.message import Queue


@functions_framework.http
def poll(request: flask.Request) -> tuple[dict[str, Any], int]:
    """Drain the queues for a call of Cloud Scheduler, or for a wake-up, which has its own path.

    Neither call's body is read.
    """
    woken = request.path.rstrip("/").endswith(WAKE_UP)

    def tick() -> Report:
        settings = load(PollSettings)
        budget = Budget(settings.poll_budget_seconds)
        try:
            return build_poll(settings).run(uuid.uuid4().hex, budget, woken=woken)
        except KeyRefused as exc:
            return Report.of_refused_key(exc)

    return answer(request, tick)


@lru_cache(maxsize=1)
def build_poll(settings: PollSettings) -> Poll:
    """Build the parts, once for the same settings; none connects before its first use."""
    logs.configure(settings.google_cloud_project, settings.log_level, secrets=[settings.api_key])
    limits = PollLimits(
        queues=tuple(Queue(entity=settings.entity, name=name) for name in settings.queues),
        max_jobs=settings.max_jobs,
        max_schedulers=settings.max_schedulers,
        max_queued=settings.max_queued,
        connections=settings.poll_connections,
        lease=timedelta(seconds=settings.poll_lease_seconds),
        overdue_after=timedelta(seconds=settings.overdue_seconds),
        base_url=settings.wandb_base_url,
        agent_config={
            "entity": settings.entity,
            "queues": list(settings.queues),
            "max_jobs": settings.max_jobs,
        },
    )
    cadence = Cadence(
        mode=settings.cadence,
        warm=timedelta(seconds=settings.warm_seconds),
        fast=settings.round_seconds,
        slowest=settings.slowest_round_seconds,
        window=settings.poll_window_seconds,
    )
    bucket = Bucket(settings.ledger_bucket, project_number=settings.google_cloud_project_number)
    ledger = GcsLedger(bucket)
    graphql = Graphql(
        settings.wandb_base_url,
        settings.api_key,
        settings.poll_connections,
        ca_file=settings.wandb_ca_file,
    )
    return Poll(
        run_queue=WandbRunQueue(graphql),
        ledger=ledger,
        agents=GcsAgentBook(bucket, settings.launch_agent_name),
        publisher=PubsubPublisher(settings.topic_path),
        clock=ledger.now,
        limits=limits,
        wait=time.sleep,
        cadence=cadence,
        intervals=Intervals(cadence, others=[graphql.traffic]),
    )
