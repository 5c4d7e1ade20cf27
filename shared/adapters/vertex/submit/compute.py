"""Vertex AI for submit: the SDK's CustomJob, because a queue's keys are its arguments.

It speaks REST in the cloud and on a laptop, so that tests cover the real path. Only submit pays for
the import of the SDK, which takes about ten times as long as that of the functions framework.
"""

import itertools
import logging
import re
from collections.abc import Mapping
from typing import Any

from google.api_core import exceptions as google_errors
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform

from shared.adapters.google import credentials_error, reason, session_of, without_redirections
from shared.adapters.vertex.submit.arguments import typed
from shared.adapters.vertex.submit.sending import CREATE_SECONDS, Sending
from shared.core.budget import Budget
from shared.core.errors import Denied, LaunchError, OutcomeUnknown, Reject, Retry
from shared.core.lazy import Lazy
from shared.core.ports import CustomJobCall, FoundJob
from shared.core.redaction import hide, secrets_in
from shared.core.refusals import classify
from shared.core.shorten import quoted
from shared.core.within import within

log = logging.getLogger(__name__)

_PARENT = re.compile(r"projects/(?P<project>[^/]+)/locations/(?P<location>[a-z0-9-]+)")
CREATE_TIMEOUT = CREATE_SECONDS
FIND_SECONDS = 30.0  # for a look-up by label; the SDK itself waits without a limit
EXPERIMENT_SECONDS = 60.0  # for all look-ups of an experiment together
PAGE = 100  # jobs with the same labels


class VertexCompute:
    """Implements Compute.

    An `endpoint` (a URL) replaces Google's regional ones and needs no credentials.
    `create_seconds` bounds a create call, from connecting to its answer; `find_seconds` bounds a
    look-up.
    """

    def __init__(
        self,
        project: str,
        location: str,
        endpoint: str = "",
        create_seconds: float = CREATE_SECONDS,
        find_seconds: float = FIND_SECONDS,
    ) -> None:
        self._default = {"project": project, "location": location}
        self._endpoint = endpoint
        self._create_seconds = create_seconds
        self._find_seconds = find_seconds
        self._sdk = Lazy(self._configure)  # the SDK has one configuration per process

    def create(self, call: CustomJobCall, budget: Budget) -> str:
        """Create the CustomJob with one request; return its resource name."""
        hide(secrets_in(call.constructor))  # Vertex may quote a variable's value
        timeout = call.submit.get("create_request_timeout") or self._create_seconds
        seconds = min(self._create_seconds, timeout)
        sending = Sending(budget, seconds)
        job = None
        try:
            self._sdk.get()
            job = aiplatform.CustomJob(
                project=call.project, location=call.location, **call.constructor
            )
            client = job.api_client.create_custom_job.__self__  # each call makes a new client
            sending.watch(without_redirections(session_of(client)))
            job.api_client = client
            arguments = {**typed(call.submit), **_experiment(call, budget)}
            job.submit(**{**arguments, "create_request_timeout": seconds})
        except LaunchError:
            raise
        except Exception as exc:
            if job is None or not sending.begun:
                # the error may be the framework's, which ends an invocation anywhere
                budget.require("the create call")
                raise _unsent(exc) from exc
            return self._after_error(call, job, exc)
        return str(job.resource_name)

    def find(self, parent: str, labels: Mapping[str, str]) -> FoundJob | None:
        """Return the newest job with these labels; makes one request."""
        read = _PARENT.fullmatch(parent)
        if not read:
            raise Reject(
                "spec",
                f"{quoted(parent, 200)} is not a location",
                "Write projects/PROJECT/locations/REGION.",
            )
        wanted = " AND ".join(f'labels.{name}="{value}"' for name, value in labels.items())
        try:
            self._sdk.get()
            client = aiplatform.initializer.global_config.create_client(
                client_class=aiplatform.utils.JobClientWithOverride,
                location_override=read["location"],
            )
            client = client.list_custom_jobs.__self__  # of the default version of the API
            without_redirections(session_of(client))
            request = {"parent": parent, "filter": wanted, "page_size": PAGE}
            bound = self._find_seconds
            jobs = within(
                bound,
                lambda: [
                    *itertools.islice(client.list_custom_jobs(request=request, timeout=bound), PAGE)
                ],
            )
        except Exception as exc:
            refusal = _refusal(exc)
            if isinstance(refusal, Denied):
                raise refusal from exc
            raise Retry(f"the look-up of the job failed: {reason(exc)}") from exc
        if not jobs:
            return None
        newest = max(jobs, key=lambda job: job.create_time)
        return FoundJob(str(newest.name), _attempt(dict(newest.labels)))

    def _after_error(self, call: CustomJobCall, job: aiplatform.CustomJob, exc: Exception) -> str:
        """Raise a definite refusal; without one, return the job's name if an answer brought it."""
        foreign = call.project if call.project != self._default["project"] else ""
        if refusal := _refusal(exc, foreign):
            raise refusal from exc
        try:  # the SDK can fail after Vertex's answer
            name = str(job.resource_name)
        except RuntimeError:
            raise OutcomeUnknown(f"the create call has no answer: {reason(exc)}") from exc
        fields = {"job": name, "error": reason(exc)}
        log.warning("vertex.error_after_create", extra={"fields": fields})
        return name

    def _configure(self) -> None:
        own: dict[str, Any] = {}
        if self._endpoint:
            own = {"api_endpoint": self._endpoint, "credentials": AnonymousCredentials()}
        aiplatform.init(**self._default, api_transport="rest", **own)


def _experiment(call: CustomJobCall, budget: Budget) -> dict[str, Any]:
    """Look up a job's experiment in the job's region; the SDK would look in the deployment's.

    Nothing is sent yet: an error leaves no doubt about the job. The SDK bounds no look-up in time.
    """
    name, run = call.submit.get("experiment"), call.submit.get("experiment_run")
    if not name:
        return {}
    where = {"project": call.project, "location": call.location}

    def look_up() -> dict[str, Any]:
        experiment = aiplatform.Experiment(name, **where)
        return {
            "experiment": experiment,
            "experiment_run": aiplatform.ExperimentRun(run, experiment, **where) if run else None,
        }

    try:
        return within(min(EXPERIMENT_SECONDS, budget.left), look_up)
    except (google_errors.NotFound, google_errors.BadRequest, ValueError) as exc:
        wanted = f"{run} of {name}" if run else name
        problem = f"{wanted} cannot be used in {call.location}: {reason(exc)}"
        raise Reject("run.experiment", problem, "Create it there first.") from exc
    except Exception as exc:
        failure = Retry(f"the look-up of the experiment failed: {reason(exc)}")
        raise _refusal(exc) or failure from exc


def _unsent(exc: Exception) -> LaunchError:
    """Return what an error means that came before any create left this process."""
    if error := credentials_error(exc):
        return error
    if isinstance(exc, MemoryError | OSError) and not isinstance(exc, ValueError):
        return Retry(f"the job could not be sent: {reason(exc)}")
    return Reject("spec", f"not accepted by CustomJob: {reason(exc)}")


def _refusal(exc: Exception, foreign_project: str = "") -> LaunchError | None:
    """Return what Google's definite answer means; None if there was none."""
    if error := credentials_error(exc):
        return error
    if not isinstance(exc, google_errors.GoogleAPICallError):
        return None
    body = _body(exc)
    details = body.get("details")
    return classify(
        reason(exc),
        int(exc.code or 0),
        str(body.get("status", "")),
        details if isinstance(details, list) else exc.details,
        foreign_project=foreign_project,
    )


def _body(exc: google_errors.GoogleAPICallError) -> Mapping[str, Any]:
    """Return the `error` of a REST answer's body; the client library drops its status."""
    try:
        error = exc.response.json()["error"]
    except (AttributeError, LookupError, TypeError, ValueError):
        return {}
    return error if isinstance(error, dict) else {}


def _attempt(labels: Mapping[str, str]) -> int:
    value = labels.get("launch_attempt", "")
    return int(value) if value.isascii() and value.isdecimal() else 0
