"""Vertex AI for status: the generated JobServiceClient, which costs less than half of the SDK.

The SDK's `CustomJob.list()` reads each job again for its state; here 100 jobs are one call.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from google.api_core import exceptions as google_errors
from google.cloud.aiplatform_v1.services.job_service import JobServiceClient
from google.cloud.aiplatform_v1.types import CustomJob, ListCustomJobsRequest, Scheduling

from shared.adapters.google import meaning, rest_client
from shared.core.errors import LaunchError
from shared.core.jobstate import ENDED_STATES, phase_of
from shared.core.lazy import LazyMap
from shared.core.ports import Job
from shared.core.redaction import secrets_in, without
from shared.core.within import within

T = TypeVar("T")

TIMEOUT = 15.0  # seconds a call, from its beginning to its end
PAGE = 100  # Vertex's own maximum
DEFAULT_FLEX_START_WAIT = timedelta(hours=24)  # Vertex's default for max_wait_duration
NO_LIMIT = timedelta(days=3650)  # a max_wait_duration of 0


class VertexJobs:
    """Implements CustomJobs, for the jobs whose label launch_agent is `agent`.

    Each region has its own endpoint and client. An `endpoint` (a URL) replaces all of them and
    needs no credentials.
    """

    def __init__(self, agent: str, endpoint: str = "", timeout: float = TIMEOUT) -> None:
        self._agent = agent
        self._timeout = timeout
        self._endpoint = endpoint
        self._clients = LazyMap(self._connect)  # by region

    def list_jobs(self, parent: str, created_since: datetime | None = None) -> Iterator[Job]:
        """Yield our jobs that have not ended or, with a time, all that were created since.

        It filters only by fields that Vertex documents: labels, state and create_time.
        """
        filters = [f'labels.launch_agent="{self._agent}"']
        if created_since is None:
            filters += [f'state!="{state}"' for state in ENDED_STATES]
        else:
            filters.append(f'create_time>="{created_since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"')
        request = ListCustomJobsRequest(parent=parent, filter=" AND ".join(filters), page_size=PAGE)
        try:
            client = self._client(parent)
            first = self._within(
                lambda: client.list_custom_jobs(request=request, timeout=self._timeout)
            )
            pages = first.pages
            while page := self._within(lambda: next(pages, None)):
                jobs = [_job(each) for each in page.custom_jobs]
                yield from (job for job in jobs if job)
        except Exception as exc:
            raise _error(exc, "list", parent) from exc

    def get_job(self, name: str) -> Job | None:
        """Return one job; None if it was deleted."""
        try:
            client = self._client(name)
            return _job(
                self._within(lambda: client.get_custom_job(name=name, timeout=self._timeout))
            )
        except google_errors.NotFound:
            return None
        except Exception as exc:
            raise _error(exc, "get", name) from exc

    def cancel_job(self, name: str) -> None:
        """Cancel a job; does nothing if it has ended meanwhile, or was deleted."""
        try:
            client = self._client(name)
            self._within(lambda: client.cancel_custom_job(name=name, timeout=self._timeout))
        except google_errors.NotFound:
            return
        except google_errors.BadRequest as exc:
            # REST answers 400, without more, for a job that has ended
            job = self.get_job(name)
            if job and not phase_of(job.state).ended:
                raise _error(exc, "cancel", name) from exc
        except Exception as exc:
            raise _error(exc, "cancel", name) from exc

    def _within(self, call: Callable[[], T]) -> T:
        return within(self._timeout, call)

    def _client(self, name: str) -> JobServiceClient:
        """Return the client of a resource name's region."""
        return self._clients.get(name.split("/")[3])

    def _connect(self, region: str) -> JobServiceClient:
        regional = f"{region}-aiplatform.googleapis.com"
        return rest_client(JobServiceClient, self._endpoint, regional)


def _job(job: CustomJob) -> Job | None:
    """Read a CustomJob; None if another program wrote its labels."""
    labels = dict(job.labels)
    key, attempt = labels.get("launch_key", ""), labels.get("launch_attempt", "")
    if not key or not attempt.isdecimal():
        return None
    name = getattr(job.state, "name", None) or f"JOB_STATE_{int(job.state)}"
    # Vertex documents end_time for SUCCEEDED, FAILED and CANCELLED only
    end = job.end_time or (job.update_time if phase_of(name).ended else None)
    scheduling = job.job_spec.scheduling
    secrets = frozenset(_secrets(job))
    return Job(
        name=job.name,
        key=key,
        attempt=int(attempt),
        state=name,
        created_at=job.create_time or datetime.now(UTC),
        started_at=job.start_time or None,
        updated_at=job.update_time or None,
        ended_at=end or None,
        error=without(_error_text(job), secrets),
        max_wait=_max_wait(scheduling),
        secrets=secrets,
    )


def _error_text(job: CustomJob) -> str:
    """Return a job's error: its message, or else its code."""
    if not job.error:
        return ""
    code = f"error code {job.error.code}" if job.error.code else ""
    return job.error.message or code


def _secrets(job: CustomJob) -> Iterator[str]:
    """Yield the secrets among a job's variables; the plain message is faster to read."""
    pools = CustomJob.pb(job).job_spec.worker_pool_specs
    for variable in (each for pool in pools for each in pool.container_spec.env):
        yield from secrets_in({"name": variable.name, "value": variable.value})


def _max_wait(scheduling: Scheduling) -> timedelta:
    """Return how long a job may wait for machines; only Flex-start waits on purpose."""
    if scheduling.strategy != Scheduling.Strategy.FLEX_START:
        return timedelta(0)
    if "max_wait_duration" not in scheduling:
        return DEFAULT_FLEX_START_WAIT
    return scheduling.max_wait_duration or NO_LIMIT


def _error(exc: Exception, method: str, name: str) -> LaunchError:
    permission = f"the permission aiplatform.customJobs.{method}"
    return meaning(exc, f"customJobs.{method} on {name}", permission)
