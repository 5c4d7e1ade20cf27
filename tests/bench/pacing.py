"""The pace of creates under Vertex AI's quota of a minute."""

import time
from collections.abc import Iterator
from pathlib import Path

import click

from deploy.local.scheduler import Scheduler
from deploy.local.stack import QUEUE
from tests.bench.figures import Figure
from tests.bench.sizes import deployed
from tests.bench.stacks import fill, full

ITEMS, QUOTA = 300, 60
IDEAL_SECONDS = (ITEMS // QUOTA - 1) * 60.0  # from the first create to the last, if each minute uses its quota
PATIENCE = 900.0


def pacing(folder: Path, _: int) -> Iterator[Figure]:
    """Pacing: 300 items at a quota of 60 creates a minute; takes five minutes."""
    side_by_side = int(deployed("submit", "concurrency")) * int(deployed("submit", "max-instances"))
    settings = {
        "LAUNCH_CADENCE": "adaptive",
        "LAUNCH_MAX_QUEUED": "1000",
        "STATUS_BUDGET_SECONDS": "45",
        "THREADS": str(side_by_side),
    }
    with full(folder, 0, settings=settings) as (stack, _wandb, vertex):
        vertex.behaviour.creates_a_minute = QUOTA
        fill(stack, QUEUE, ITEMS)
        scheduler = Scheduler([stack.ports.url(name) + "/" for name in ("poll", "status")], 60)
        scheduler.start()
        try:
            deadline = time.monotonic() + PATIENCE
            while len(vertex.jobs()) < ITEMS:
                if time.monotonic() > deadline:
                    raise click.ClickException(f"only {len(vertex.jobs())} of {ITEMS} jobs were created")
                time.sleep(0.5)
        finally:
            scheduler.stop()
        times = sorted(job.create_time for job in vertex.jobs())
        sent, took = vertex.requests["create"], (times[-1] - times[0]).total_seconds()
    yield Figure("quota used until the last create", 100 * IDEAL_SECONDS / took, 95.0, "%", at_least=True)
    yield Figure("create calls that are answered 429", 100 * (sent - ITEMS) / sent, 5.0, "%")
