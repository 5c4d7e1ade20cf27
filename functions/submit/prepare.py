"""Prepare an attempt before it is claimed: from the run spec to the arguments of one CustomJob. Nothing is sent."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.core.jobsource import JobSource
from shared.core.launch import Launch
from shared.core.ports import CustomJobCall, JobArtifacts, QueueConfigs, Sweeps
from shared.spec.defaults import completed
from shared.spec.scheduler import Scheduler, as_job
from shared.spec.source import resolved
from shared.spec.sweep import check_sweep

Render = Callable[[Launch, JobSource | None], CustomJobCall]  # raises Reject
Climbed = Callable[[Launch, CustomJobCall], tuple[Launch, CustomJobCall]]  # in which place this attempt is made
CheckKey = Callable[[], None]  # raises KeyRefused


@dataclass(frozen=True, slots=True)
class Parts:
    """What preparing needs."""

    jobs: JobArtifacts
    queues: QueueConfigs
    sweeps: Sweeps
    render: Render
    climbed: Climbed
    scheduler: Scheduler
    check_key: CheckKey


def prepared(launch: Launch, parts: Parts) -> tuple[Launch, CustomJobCall]:
    """Return the launch, pinned to what its job and its queue are now, and the call of this attempt.

    Raises:
        Reject: the request is wrong.
        Retry, Denied: W&B cannot be asked for the job, queue or sweep that the launch names.
    """
    placed = as_job(launch, parts.queues, parts.scheduler)
    pinned, job = resolved(completed(placed, parts.queues), parts.jobs)
    call = parts.render(pinned, job)
    if not pinned.run_spec.get("_wandb_api_key"):  # or the job would end as soon as it calls wandb.init
        parts.check_key()
    check_sweep(pinned.run_spec, parts.sweeps)  # last: it can end at any time
    return parts.climbed(pinned, call)
