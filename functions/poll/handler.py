"""Cloud Scheduler calls this function: read the settings, wire the parts, drain, answer what was done."""

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
from shared.adapters.gcs import GcsAgentBook, GcsLedger
from shared.adapters.pubsub import PubsubPublisher
from shared.adapters.wandb import Graphql, WandbRunQueue
from shared.answer import answer
from shared.config.settings import PollSettings, load
from shared.core.budget import Budget
from shared.core.message import Queue


@functions_framework.http
def poll(request: flask.Request) -> tuple[dict[str, Any], int]:
    """Drain the queues."""

    def tick() -> Report:
        settings = load(PollSettings)
        return build_poll(settings).run(uuid.uuid4().hex, Budget(settings.poll_budget_seconds))

    return answer(request, tick)


@lru_cache(maxsize=1)
def build_poll(told: PollSettings) -> Poll:
    """Wire the parts, once for the same settings; none of them connects before it is used."""
    logs.configure(told.google_cloud_project, told.log_level, secrets=[told.api_key])
    policy = PollLimits(
        queues=tuple(Queue(entity=told.entity, name=name) for name in told.queues),
        max_jobs=told.max_jobs,
        max_schedulers=told.max_schedulers,
        max_queued=told.max_queued,
        connections=told.poll_connections,
        lease=timedelta(seconds=told.poll_lease_seconds),
        overdue_after=timedelta(seconds=told.overdue_seconds),
        window=timedelta(seconds=told.poll_window_seconds),
        base_url=told.wandb_base_url,
        agent_config={
            "entity": told.entity,
            "queues": list(told.queues),
            "max_jobs": told.max_jobs,
        },
    )
    ledger = GcsLedger(told.ledger_bucket)
    graphql = Graphql(
        told.wandb_base_url, told.api_key, told.poll_connections, ca_file=told.wandb_ca_file
    )
    return Poll(
        run_queue=WandbRunQueue(graphql),
        ledger=ledger,
        agents=GcsAgentBook(told.ledger_bucket, told.launch_agent_name),
        publisher=PubsubPublisher(told.topic_path),
        clock=ledger.now,
        policy=policy,
        wait=time.sleep,
    )
