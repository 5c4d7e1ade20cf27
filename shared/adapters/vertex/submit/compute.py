"""Vertex AI as submit sees it: the SDK's own CustomJob, because a queue's keys are its arguments.

REST everywhere, in the cloud as on a laptop, so that what is tested is what runs. Importing the SDK takes about ten
times as long as the functions framework itself; only submit pays for it.
"""

import itertools
import logging
import re
import threading
from collections.abc import Mapping
from typing import Any

from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform

from shared.adapters.vertex.submit.arguments import typed
from shared.adapters.vertex.submit.sending import CREATE_SECONDS, Sending, within
from shared.core.budget import Budget
from shared.core.errors import Denied, LaunchError, OutcomeUnknown, Reject, Retry
from shared.core.ports import CustomJobCall, FoundJob
from shared.core.redaction import redact, secrets_in, without
from shared.core.refusals import classify

log = logging.getLogger(__name__)

_REQUEST_LINE = re.compile(r"^[A-Z]+ https?://\S+: ")  # with which REST errors begin
_PARENT = re.compile(r"projects/(?P<project>[^/]+)/locations/(?P<location>[a-z0-9-]+)")
CREATE_TIMEOUT = CREATE_SECONDS
FIND_SECONDS = 30.0  # of a look-up by label; the SDK itself would wait for ever
EXPERIMENT_SECONDS = 60.0  # of the look-ups of an experiment, all together
PAGE = 100  # jobs with the same labels


class VertexCompute:
    """Implements Compute. An `endpoint` (a URL) takes the place of Google's regional ones, without credentials.

    `create_seconds` bounds a create call: to connect, and to be answered. `find_seconds` bounds a
    look-up in total.
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
        self._ready = False
        self._lock = threading.Lock()

    def create(self, call: CustomJobCall, budget: Budget) -> str:
        """Create the CustomJob with one request, and return its resource name; an error never shows a key."""
        try:
            return self._create(call, budget)
        except LaunchError as exc:  # Vertex may quote a variable's value; this text goes to W&B, the ledger and the log
            redact(exc, secrets_in(call.constructor))
            raise

    def _create(self, call: CustomJobCall, budget: Budget) -> str:
        seconds = min(
            self._create_seconds, call.submit.get("create_request_timeout") or self._create_seconds
        )
        sending = Sending(budget, seconds)
        job = None
        try:
            self._prepare()
            job = aiplatform.CustomJob(
                project=call.project, location=call.location, **call.constructor
            )
            client = (
                job.api_client.create_custom_job.__self__
            )  # the SDK makes a new one for each call
            sending.watch(client.transport._session)  # noqa: SLF001 - the only way to its requests
            job.api_client = client
            arguments = {**typed(call.submit), **_experiment(call, budget)}
            job.submit(**{**arguments, "create_request_timeout": seconds})
        except LaunchError:
            raise
        except Exception as exc:
            if job is None or not sending.begun:
                budget.require(
                    "the create call"
                )  # the error may be the framework's, which ends an invocation anywhere
                raise _unsent(exc) from exc
            return self._after_error(call, job, exc)
        return str(job.resource_name)

    def find(self, parent: str, labels: Mapping[str, str]) -> FoundJob | None:
        """Look the newest job up by its labels: one request."""
        read = _PARENT.fullmatch(parent)
        if not read:
            raise Reject(
                "spec",
                f"{parent[:200]!r} is no place of a job",
                "Write projects/PROJECT/locations/REGION.",
            )
        wanted = " AND ".join(f'labels.{name}="{value}"' for name, value in labels.items())
        try:
            self._prepare()
            client = aiplatform.initializer.global_config.create_client(
                client_class=aiplatform.utils.JobClientWithOverride,
                location_override=read["location"],
            )
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
            raise Retry(f"Vertex AI cannot be asked for the job: {_short(exc)}") from exc
        if not jobs:
            return None
        newest = max(jobs, key=lambda job: job.create_time)
        return FoundJob(str(newest.name), _attempt(dict(newest.labels)))

    def _after_error(self, call: CustomJobCall, job: aiplatform.CustomJob, exc: Exception) -> str:
        """Tell Vertex's definite refusal from an error that says nothing about the job."""
        foreign = call.project if call.project != self._default["project"] else ""
        if refusal := _refusal(exc, foreign):
            raise refusal from exc
        try:  # it is known for certain where the answer came and the SDK fell over afterwards
            name = str(job.resource_name)
        except RuntimeError:
            raise OutcomeUnknown(f"the create call has no answer: {_short(exc)}") from exc
        said = without(_short(exc), secrets_in(call.constructor))
        log.warning("vertex.error_after_create", extra={"fields": {"job": name, "error": said}})
        return name

    def _prepare(self) -> None:
        """Configure the SDK once, on first use: it keeps this for the whole process."""
        with self._lock:
            if self._ready:
                return
            own: dict[str, Any] = {}
            if self._endpoint:
                anonymous = AnonymousCredentials()
                own = {"api_endpoint": self._endpoint, "credentials": anonymous}
            aiplatform.init(**self._default, api_transport="rest", **own)
            self._ready = True


def _experiment(call: CustomJobCall, budget: Budget) -> dict[str, Any]:
    """Look up the experiment that a job belongs to, where the job will be; the SDK would look in our own region.

    It is done before anything is sent, so no error of it leaves a doubt. The SDK's look-ups have no timeout.
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
        said = f"{run} of {name} cannot be used" if run else f"{name} cannot be used"
        raise Reject(
            "run.experiment", f"{said} in {call.location}: {_short(exc)}", "Create it there first."
        ) from exc
    except Exception as exc:
        raise _refusal(exc) or Retry(
            f"Vertex AI cannot be asked for the experiment: {_short(exc)}"
        ) from exc


def _unsent(exc: Exception) -> LaunchError:
    """Return what an error means before which no create had left this process."""
    if isinstance(exc, auth_errors.GoogleAuthError):
        return _refusal(exc) or Retry(_short(exc))
    if isinstance(exc, MemoryError | OSError) and not isinstance(exc, ValueError):
        return Retry(f"the job could not be sent: {_short(exc)}")
    return Reject("spec", f"not accepted by CustomJob: {_short(exc)}")


def _refusal(exc: Exception, foreign_project: str = "") -> LaunchError | None:
    """Return what Google's definite answer means; None if there was none."""
    if isinstance(exc, auth_errors.TransportError):
        return Retry(f"Google's token service cannot be reached: {_short(exc)}")
    if isinstance(exc, auth_errors.GoogleAuthError):
        return Denied(f"no Google credentials: {_short(exc)}")
    if not isinstance(exc, google_errors.GoogleAPICallError):
        return None
    error = _body(exc)
    details = error.get("details")
    return classify(
        _short(exc),
        int(exc.code or 0),
        str(error.get("status", "")),
        details if isinstance(details, list) else exc.details,
        foreign_project=foreign_project,
    )


def _body(exc: google_errors.GoogleAPICallError) -> Mapping[str, Any]:
    """Return the error of a REST answer's body, whose status the client library drops."""
    try:
        error = exc.response.json()["error"]
    except (AttributeError, LookupError, TypeError, ValueError):
        return {}
    return error if isinstance(error, dict) else {}


def _attempt(labels: Mapping[str, str]) -> int:
    value = labels.get("launch_attempt", "")
    return int(value) if value.isascii() and value.isdecimal() else 0


def _short(exc: Exception) -> str:
    """Return an error's message for a person: its class where it says nothing, and never more than a paragraph."""
    try:
        message = str(getattr(exc, "message", "") or exc)
    except ValueError:  # it quotes an integer with more digits than Python prints
        message = ""
    said = " ".join(_REQUEST_LINE.sub("", message).split())
    if said.startswith("<"):  # a page of Google's front end
        said = f"HTTP {getattr(exc, 'code', '')} without a reason"
    return said[:1000].rstrip(".") or type(exc).__name__
