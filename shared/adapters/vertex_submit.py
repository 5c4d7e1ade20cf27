"""Vertex AI as submit sees it: the SDK's own CustomJob, because a queue's keys are its arguments.

REST everywhere, in the cloud as on a laptop, so that what is tested is what runs. Importing the SDK takes about ten
times as long as the functions framework itself; only submit pays for it.
"""

import inspect
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import NoneType
from typing import Any, get_args, get_origin

import proto
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from shared.core.budget import Budget
from shared.core.errors import Capacity, Denied, LaunchError, OutcomeUnknown, Reject, Retry
from shared.core.ports import CustomJobCall, FoundJob
from shared.core.redaction import redact, secrets_in, without
from shared.core.shape import Shape
from shared.core.shortage import Shortage, quota_of, retry_delay, shortage_of

log = logging.getLogger(__name__)

_REQUEST_LINE = re.compile(r"^[A-Z]+ https?://\S+: ")  # with which REST errors begin
CREATE_TIMEOUT = 60.0  # seconds; the SDK itself would wait for ever
_SCALARS = {bool: Shape("flag"), int: Shape("whole"), float: Shape("number"), str: Shape("text")}
_FIELDS = {
    FieldDescriptor.CPPTYPE_BOOL: Shape("flag"),
    FieldDescriptor.CPPTYPE_INT32: Shape("whole"),
    FieldDescriptor.CPPTYPE_INT64: Shape("whole"),
    FieldDescriptor.CPPTYPE_DOUBLE: Shape("number"),
    FieldDescriptor.CPPTYPE_FLOAT: Shape("number"),
    FieldDescriptor.CPPTYPE_STRING: Shape("text"),
}


def argument_names() -> dict[str, Any]:
    """Return what the installed SDK's CustomJob takes by name: in its constructor, in run() and in submit().

    And under `shapes` what each of these is, read from the annotations.
    """
    takers: dict[str, Any] = {
        "constructor": aiplatform.CustomJob,
        "run": aiplatform.CustomJob.run,
        "submit": aiplatform.CustomJob.submit,
    }
    parameters = {name: inspect.signature(taker).parameters for name, taker in takers.items()}
    shapes = {name: _shape(one.annotation) for those in parameters.values() for name, one in those.items()}
    return {name: frozenset(those) - {"self"} for name, those in parameters.items()} | {"shapes": shapes}


def _shape(annotation: Any) -> Shape:
    """Describe what an annotation such as Optional[int] takes; what cannot be told of it is left to the SDK."""
    for each in (types := list(_types(annotation))):
        if issubclass(each, proto.Message):
            return replace(_message(each.pb(each()).DESCRIPTOR), repeated=list in types)
        if issubclass(each, proto.Enum):
            return Shape("choice", choices={member.name: int(member) for member in each})
    plain = [_SCALARS[each] for each in types if each in _SCALARS]
    return plain[0] if len(types) == len(plain) == 1 else Shape()


def _types(annotation: Any) -> Iterator[Any]:
    """Yield the classes that an annotation is made of; of a name in quotes, nothing."""
    if isinstance(origin := get_origin(annotation) or annotation, type) and origin is not NoneType:
        yield origin
    for inner in get_args(annotation):
        yield from _types(inner)


def _message(message: Descriptor) -> Shape:
    return Shape("message", fields={each.name: _field(each) for each in message.fields})


def _field(described: FieldDescriptor) -> Shape:
    kind, inner = described.cpp_type, described.message_type
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        shape = Shape("choice", choices={value.name: value.number for value in described.enum_type.values})
    elif inner and not inner.full_name.startswith("google.protobuf.") and not inner.GetOptions().map_entry:
        shape = _message(inner)
    else:
        shape = _FIELDS.get(kind, Shape())
    return replace(shape, repeated=described.is_repeated and shape.kind != "any")


class VertexCompute:
    """Implements Compute. An `endpoint` (a URL) takes the place of Google's regional ones, without credentials."""

    def __init__(self, project: str, location: str, endpoint: str = "") -> None:
        self._default = {"project": project, "location": location}
        self._endpoint = endpoint
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
        self._prepare()
        try:  # makes no call, so whatever it does not like was not sent
            job = aiplatform.CustomJob(project=call.project, location=call.location, **call.constructor)
        except auth_errors.GoogleAuthError as exc:
            raise Denied(f"no Google credentials: {exc}") from exc
        except Exception as exc:
            raise Reject("spec", f"not accepted by CustomJob: {_short(exc)}") from exc
        arguments = {"create_request_timeout": CREATE_TIMEOUT, **_typed(call.submit), **_experiment(call)}
        budget.require("the create call")
        try:
            job.submit(**arguments)
        except Exception as exc:  # noqa: BLE001 - the SDK also raises after the job has been created
            return self._after_error(call, job, exc)
        return str(job.resource_name)

    def find(self, parent: str, labels: Mapping[str, str]) -> FoundJob | None:
        """Look the job up by its labels: one request."""
        self._prepare()
        _, project, _, location = parent.split("/")
        wanted = " AND ".join(f'labels.{name}="{value}"' for name, value in labels.items())
        try:
            jobs = aiplatform.CustomJob.list(filter=wanted, project=project, location=location)
        except Exception as exc:
            refusal = _refusal(exc)
            if isinstance(refusal, Denied):
                raise refusal from exc
            raise Retry(f"Vertex AI cannot be asked for the job: {_short(exc)}") from exc
        if not jobs:
            return None
        return FoundJob(str(jobs[0].resource_name), int(dict(jobs[0].labels).get("launch_attempt", "0")))

    def _after_error(self, call: CustomJobCall, job: aiplatform.CustomJob, exc: Exception) -> str:
        """Tell Vertex's definite refusal from an error that says nothing about the job."""
        if refusal := _refusal(exc):
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


def _typed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain data as the types that submit declares: a member of an enum, a message."""
    declared = inspect.signature(aiplatform.CustomJob.submit).parameters
    typed = dict(arguments)
    for name, value in arguments.items():
        for each in _types(declared[name].annotation) if name in declared else ():
            if issubclass(each, proto.Enum) and isinstance(value, str):
                typed[name] = each[value]
            elif issubclass(each, proto.Message) and isinstance(value, Mapping):
                typed[name] = each(dict(value))
    return typed


def _experiment(call: CustomJobCall) -> dict[str, Any]:
    """Look up the experiment that a job belongs to, where the job will be; the SDK would look in our own region.

    It is done before anything is sent, so no error of it leaves a doubt.
    """
    name, run = call.submit.get("experiment"), call.submit.get("experiment_run")
    if not name:
        return {}
    where = {"project": call.project, "location": call.location}
    try:
        experiment = aiplatform.Experiment(name, **where)
        return {
            "experiment": experiment,
            "experiment_run": aiplatform.ExperimentRun(run, experiment, **where) if run else None,
        }
    except (google_errors.NotFound, google_errors.BadRequest, ValueError) as exc:
        said = f"{run} of {name} cannot be used" if run else f"{name} cannot be used"
        raise Reject("run.experiment", f"{said} in {call.location}: {_short(exc)}", "Create it there first.") from exc
    except Exception as exc:
        raise _refusal(exc) or Retry(f"Vertex AI cannot be asked for the experiment: {_short(exc)}") from exc


def _refusal(exc: Exception) -> LaunchError | None:
    """Return what Vertex's definite answer means; None where there was none. Nothing was created in each case."""
    match exc:
        case google_errors.ResourceExhausted() | google_errors.TooManyRequests():
            return _capacity(exc)
        case google_errors.Unauthorized() | google_errors.Forbidden():
            return Denied(f"Vertex AI refuses this service account: {_short(exc)}")
        case google_errors.BadRequest() | google_errors.NotFound() | google_errors.Conflict():
            return Reject("Vertex AI", f"refuses the job: {_short(exc)}")
        case auth_errors.TransportError():
            return Retry(f"Google's token service cannot be reached: {_short(exc)}")
        case auth_errors.GoogleAuthError():
            return Denied(f"no Google credentials: {_short(exc)}")
    return None


def _capacity(exc: google_errors.GoogleAPICallError) -> Capacity:
    """Return what there is too little of, for how long at least, and the quota where its limit is zero."""
    shortage = shortage_of(exc.details, _short(exc))
    zero = f" the quota {quota_of(exc.details) or 'that it names'} is 0;" if shortage is Shortage.ZERO else ""
    return Capacity(f"Vertex AI has no room:{zero} {_short(exc)}", shortage, retry_delay(exc.details))


def _short(exc: Exception) -> str:
    """Return an error's message for a person: its class where it says nothing, and never more than a paragraph."""
    message = str(getattr(exc, "message", "") or exc)
    said = " ".join(_REQUEST_LINE.sub("", message).split())
    return said[:1000].rstrip(".") or type(exc).__name__
