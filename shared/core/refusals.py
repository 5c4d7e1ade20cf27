"""How Google's refusals are classified: by their words first, then by their codes.

| words or reason | code | means | source |
|---|---|---|---|
| permission to act as service_account | 400, 403 | Denied | seen: a missing or new binding |
| Service agents are being provisioned | 400 | Retry | seen: the first job of a new project |
| The operation was aborted, please retry | 409 | Retry | seen; ABORTED in google/rpc/code.proto |
| CONSUMER_INVALID | 403 | Reject | documented, google/api/error_reason.proto: no such project |
| the words of a shortage | 4xx | Capacity | shared/core/shortage.py names their sources |
| | 429 | Capacity | documented, google/rpc/code.proto: RESOURCE_EXHAUSTED |
| | 401, 403 | Denied | documented, google/rpc/code.proto |
| | 408, 425, 499, 5xx | unknown | the request may have had its effect |
| | other 4xx | Reject | a definite refusal: nothing was created |
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from shared.core.errors import Capacity, Denied, LaunchError, Reject, Retry
from shared.core.shortage import (
    Shortage,
    quota_of,
    rate_of,
    retry_delay,
    shortage_of,
    shortage_of_job,
)

_ACT_AS = re.compile(r"permission to act as\b|iam\.serviceAccounts\.actAs", re.I)
_BEING_MADE = re.compile(r"service agents? (are|is) being provisioned", re.I)
_ABORTED = re.compile(r"operation was aborted", re.I)
_NO_PROJECT = "CONSUMER_INVALID"
_NOTHING_DEFINITE = frozenset({408, 425, 499})


def classify(
    message: str,
    code: int,
    status: str = "",
    details: Sequence[Any] = (),
    *,
    foreign_project: str = "",
) -> LaunchError | None:
    """Return what a refusal of Vertex AI means for a launch; None if a job may exist.

    `status` and `details` come from the error's JSON body. `foreign_project` is the project that
    the run spec names, if it is not the deployment's own: its author must change that.
    """
    if not 400 <= code < 500 or code in _NOTHING_DEFINITE:
        return None
    if _ACT_AS.search(message):
        return Denied(f"Vertex AI refuses the job's service account: {message}")
    if _BEING_MADE.search(message):
        return Retry(f"Vertex AI is not ready in this project: {message}")
    if code == 409 and (status == "ABORTED" or _ABORTED.search(message)):
        return Retry(f"Vertex AI asks to try again: {message}")
    if foreign_project and _NO_PROJECT in f"{message} {_reasons(details)}":
        fix = "Name a project that exists and has Vertex AI enabled, or leave spec.project out."
        return Reject("spec.project", f"{foreign_project} cannot be used: {message}", fix)
    if code == 429 or status == "RESOURCE_EXHAUSTED" or shortage_of_job(message):
        return _capacity(message, details)
    if code in (401, 403):
        return Denied(f"Vertex AI refuses this service account: {message}")
    return Reject("Vertex AI", f"refuses the job: {message}")


def _reasons(details: Sequence[Any]) -> list[str]:
    return [str(each.get("reason")) for each in details if isinstance(each, Mapping)]


def _capacity(message: str, details: Sequence[Any]) -> Capacity:
    """Return the shortage and its least duration; the text names a quota whose limit is zero."""
    shortage = shortage_of(details, message)
    zero = ""
    if shortage is Shortage.ZERO:
        zero = f" the quota {quota_of(details) or 'that it names'} is 0;"
    reason = f"Vertex AI has no capacity:{zero} {message}"
    return Capacity(reason, shortage, retry_delay(details), rate_of(details))
