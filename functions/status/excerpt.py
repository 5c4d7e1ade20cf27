"""The end of a failed job's or build's log, as its author reads it at the item."""

from collections.abc import Iterable

from shared.core.launch import Launch
from shared.core.ports import Job, JobLogs
from shared.core.redaction import secrets_in, without, without_likely

LINES = 20
LENGTH = 2000


def excerpt(logs: JobLogs, launch: Launch, job: Job, keys: Iterable[str]) -> str:
    """Return what the job printed last, without any key; empty where that cannot be read.

    The job is asked for in the project that the launch names: its own name may have the project's number.
    """
    name = f"{launch.entry.parent}/customJobs/{job.name.rpartition('/')[2]}"
    return _end(
        logs.tail(name, job.created_at), {*keys, *job.secrets, *secrets_in(launch.run_spec)}
    )


def excerpt_of_build(logs: JobLogs, launch: Launch, keys: Iterable[str]) -> str:
    """Return the end of the log of the build that a launch waits for, such as pip's own words, without any key."""
    printed = logs.tail_of_build(launch.entry.build, launch.entry.opened_at)
    return _end(printed, {*keys, *secrets_in(launch.run_spec)})


def _end(printed: str, secrets: Iterable[str]) -> str:
    """Redact first: of a key that is cut in two, the rest would be shown."""
    lines = without_likely(without(printed, secrets)).splitlines()[-LINES:]
    end = "\n".join(lines)
    return f"\nThe end of its log:\n{end[-LENGTH:]}" if end.strip() else ""
