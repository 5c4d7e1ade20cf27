"""The end of a failed job's log, as its author reads it at the item."""

from collections.abc import Iterable

from shared.core.launch import Launch
from shared.core.ports import Job, JobLogs
from shared.core.redaction import secrets_in, without, without_likely

LINES = 20
LENGTH = 2000


def excerpt(logs: JobLogs, launch: Launch, job: Job, keys: Iterable[str]) -> str:
    """Return what the job printed last, without any key; empty where that cannot be read.

    The job is asked for in the project that the launch names: its own name may have the project's number.
    Keys go first: of one that is cut in two, the rest would be shown.
    """
    name = f"{launch.entry.parent}/customJobs/{job.name.rpartition('/')[2]}"
    printed = logs.tail(name, job.created_at)
    lines = without_likely(without(printed, {*keys, *job.secrets, *secrets_in(launch.run_spec)})).splitlines()[-LINES:]
    end = "\n".join(lines)
    return f"\nThe end of its log:\n{end[-LENGTH:]}" if end.strip() else ""
