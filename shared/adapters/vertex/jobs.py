"""Vertex AI as status sees it: the generated JobServiceClient, which costs less than half of the SDK.

`CustomJob.list()` of the SDK would fetch each job again to tell its state; here a page of 100 is one call.
"""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.auth.credentials import AnonymousCredentials
from google.cloud.aiplatform_v1.services.job_service import JobServiceClient
from google.cloud.aiplatform_v1.types import CustomJob, ListCustomJobsRequest, Scheduling

from shared.core.errors import Denied, LaunchError, Retry
from shared.core.jobstate import ENDED_STATES, phase_of
from shared.core.ports import Job
from shared.core.redaction import secrets_in, without
from shared.core.within import within

TIMEOUT = 15.0  # seconds a call, from its beginning to its end
PAGE = 100  # what Vertex gives at most
DEFAULT_FLEX_START_WAIT = timedelta(hours=24)  # Vertex's own, where max_wait_duration is not set
NO_LIMIT = timedelta(days=3650)  # what a max_wait_duration of 0 means


class VertexJobs:
    """Implements CustomJobs, for the jobs that carry `agent` in their label launch_agent.

    Each region has an endpoint of its own, so a client each, made on first use; an `endpoint` (a URL) takes the place
    of all of them, without credentials.
    """

    def __init__(self, agent: str, endpoint: str = "", timeout: float = TIMEOUT) -> None:
        self._agent = agent
        self._timeout = timeout
        self._endpoint = endpoint
        self._clients: dict[str, JobServiceClient] = {}
        self._lock = threading.Lock()

    def list_jobs(self, parent: str, created_since: datetime | None = None) -> Iterator[Job]:
        """Yield our jobs that have not ended, or, with a time, all that were created since.

        Only by fields that Vertex documents for this filter: labels, state and create_time.
        """
        wanted = [f'labels.launch_agent="{self._agent}"']
        if created_since is None:
            wanted += [f'state!="{state}"' for state in ENDED_STATES]
        else:
            wanted.append(f'create_time>="{created_since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"')
        request = ListCustomJobsRequest(parent=parent, filter=" AND ".join(wanted), page_size=PAGE)
        try:
            client = self._client(parent)
            pages = within(
                self._timeout,
                lambda: client.list_custom_jobs(request=request, timeout=self._timeout),
            ).pages
            while page := within(self._timeout, lambda: next(pages, None)):
                yield from filter(None, map(_job, page.custom_jobs))
        except Exception as exc:
            raise _error(exc, "list", parent) from exc

    def get_job(self, name: str) -> Job | None:
        """Return one job, None where it was deleted."""
        try:
            client = self._client(name)
            return _job(
                within(
                    self._timeout, lambda: client.get_custom_job(name=name, timeout=self._timeout)
                )
            )
        except google_errors.NotFound:
            return None
        except Exception as exc:
            raise _error(exc, "get", name) from exc

    def cancel_job(self, name: str) -> None:
        """Ask for a job to be cancelled; one that has ended meanwhile, or is gone, needs nothing."""
        try:
            client = self._client(name)
            within(
                self._timeout, lambda: client.cancel_custom_job(name=name, timeout=self._timeout)
            )
        except google_errors.NotFound:
            return
        except (
            google_errors.BadRequest
        ) as exc:  # a job that has ended cannot be cancelled; REST says no more than 400
            job = self.get_job(name)
            if job and not phase_of(job.state).ended:
                raise _error(exc, "cancel", name) from exc
        except Exception as exc:
            raise _error(exc, "cancel", name) from exc

    def _client(self, name: str) -> JobServiceClient:
        """Return the client of the region that a resource name is in."""
        location = name.split("/")[3]
        with self._lock:
            if location not in self._clients:
                self._clients[location] = self._connect(location)
            return self._clients[location]

    def _connect(self, location: str) -> JobServiceClient:
        if not self._endpoint:
            options = {"api_endpoint": f"{location}-aiplatform.googleapis.com"}
            return JobServiceClient(transport="rest", client_options=options)
        return JobServiceClient(
            transport="rest",
            client_options={"api_endpoint": self._endpoint},
            credentials=AnonymousCredentials(),
        )


def _job(job: CustomJob) -> Job | None:
    """Read a CustomJob; None for one that some other program labelled."""
    labels = dict(job.labels)
    key, attempt = labels.get("launch_key", ""), labels.get("launch_attempt", "")
    if not key or not attempt.isdecimal():
        return None
    # end_time is documented for SUCCEEDED, FAILED and CANCELLED only
    name = getattr(job.state, "name", None) or f"JOB_STATE_{int(job.state)}"
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
        ended_at=job.end_time or (job.update_time if phase_of(name).ended else None) or None,
        error=without(_error_text(job), secrets),
        max_wait=_max_wait(scheduling),
        secrets=secrets,
    )


def _error_text(job: CustomJob) -> str:
    """Return a job's error; an error without words has its code."""
    if not job.error:
        return ""
    return job.error.message or (f"error code {job.error.code}" if job.error.code else "")


def _secrets(job: CustomJob) -> Iterator[str]:
    """Yield what nobody may quote of a job's variables; read from the plain message, which is quicker."""
    containers = (pool.container_spec for pool in CustomJob.pb(job).job_spec.worker_pool_specs)
    return secrets_in(
        [{"name": one.name, "value": one.value} for each in containers for one in each.env]
    )


def _max_wait(scheduling: Scheduling) -> timedelta:
    """Return how long a job was told that it may wait for machines; nothing but Flex-start waits on purpose."""
    if scheduling.strategy != Scheduling.Strategy.FLEX_START:
        return timedelta(0)
    if "max_wait_duration" not in scheduling:
        return DEFAULT_FLEX_START_WAIT
    return scheduling.max_wait_duration or NO_LIMIT


def _error(exc: Exception, what: str, name: str) -> LaunchError:
    if isinstance(exc, LaunchError):
        return exc
    said = getattr(exc, "message", "") or str(exc) or type(exc).__name__
    if isinstance(exc, google_errors.Unauthorized | google_errors.Forbidden):
        return Denied(f"customJobs.{what} on {name}: {said}")
    if isinstance(exc, auth_errors.GoogleAuthError) and not isinstance(
        exc, auth_errors.TransportError
    ):
        return Denied(f"no Google credentials: {said}")
    return Retry(f"customJobs.{what} on {name}: {said}")
