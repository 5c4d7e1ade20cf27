"""The texts that an author reads about a job that has ended."""

from shared.core.console import console_link
from shared.core.launch import Entry
from shared.core.ports import Job

STOPPED = "The run was stopped in W&B."
NOT_STARTED = "The submitted run was not successfully started."


def expired(job: Job) -> bool:
    """Tell whether Vertex AI ended a job because it waited too long for machines."""
    return job.state == "JOB_STATE_EXPIRED"


def reason_of(job: Job) -> str:
    """Return the job's error, for an expired job with the word; empty without either."""
    if not expired(job):
        return job.error
    return f"it expired: {job.error}" if job.error else "it expired."


def error_of(job: Job) -> str:
    """Return the reason of a job's failure, or a text that replaces it."""
    return reason_of(job) or "it gives no reason."


def by_vertex(job: Job) -> str:
    """Return the job's error as a sentence that follows another; empty without an error."""
    return f" Vertex AI: {job.error}" if job.error else ""


def no_machines(job: Job) -> str:
    """Return why a job never began."""
    reason = job.error or "it found no machines"
    if expired(job):
        waited = "the job expired before it found machines"
        reason = f"{waited}: {job.error}" if job.error else waited
    return f"{reason} {console_link(job.name)}"


def unseen_run(entry: Entry, job: Job) -> str:
    """Return the warning that our key may be unable to see a run."""
    where = f"{entry.run.entity}/{entry.run.project}"
    return (
        f"The run {entry.run.run_id} of {where} does not exist, or this deployment's W&B key "
        f"cannot see it. {console_link(job.name)}"
    )
