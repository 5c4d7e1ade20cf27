"""The end of a failed job's or build's log, for the report at the item."""

from collections.abc import Iterable

from shared.core.launch import Launch
from shared.core.ports import Job, JobLogs
from shared.core.redaction import redacted, secrets_in

LINES = 20
LENGTH = 2000


def excerpt(logs: JobLogs, launch: Launch, job: Job) -> str:
    """Return the last lines of a job's log without keys; empty if the log cannot be read.

    The name contains the project of the launch: Vertex AI may write a project number instead.
    """
    name = f"{launch.entry.parent}/customJobs/{job.name.rpartition('/')[2]}"
    secrets = {*job.secrets, *secrets_in(launch.run_spec)}
    return _end(logs.tail(name, job.created_at), secrets)


def excerpt_of_build(logs: JobLogs, launch: Launch) -> str:
    """Return the last lines of a build's log without keys, such as an error of pip."""
    printed = logs.tail_of_build(launch.entry.build, launch.entry.opened_at)
    return _end(printed, secrets_in(launch.run_spec))


def _end(printed: str, secrets: Iterable[str]) -> str:
    """Redact first: a cut could leave half of a key."""
    end = "\n".join(redacted(printed, secrets).splitlines()[-LINES:])
    return f"\nThe end of its log:\n{end[-LENGTH:]}" if end.strip() else ""
