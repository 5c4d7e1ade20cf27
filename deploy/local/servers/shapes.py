"""The errors of W&B, the bucket and Cloud Build, in every shape.

Chaos and `--fault-rate` draw from these tables. Those of Vertex AI are in `vertex/shapes.py`.

The tables hold transient errors only: a definite refusal ends a launch and is a regular answer.
W&B's 403, 404 and 409 meet only the calls for which they were seen.
"""

import json

from deploy.local.servers.faults import FAULTS, Fault

_REPORT = r"mutation (?P<field>failRunQueueItem|updateRunQueueItemWarning)\b"
_STATUSES = r"query (Statuses|RunQueueItems?|Runs?)\b"
_HEARTBEAT = r"mutation (?P<field>updateLaunchAgent)\b"


def _wandb_error(message: str, **more: object) -> str:
    return json.dumps({"errors": [{"message": message}], **more})


WANDB = (
    *FAULTS,
    Fault("200 with errors", 200, False, 2, body=_wandb_error("internal server error", data=None)),
    Fault("500 page", 500, False, 1, body="<html><title>500</title></html>"),
    Fault("502 page", 502, False, 1, body="<html><title>502 Bad Gateway</title></html>"),
    Fault("504 after its effect", 504, True, 1, body="<html><title>504</title></html>"),
    Fault(
        "success: false",
        200,
        False,
        2,
        only=_REPORT,
        body='{"data": {"{field}": {"success": false}}}',
    ),
    Fault(
        "403",
        403,
        False,
        1,
        only=_REPORT,
        body=_wandb_error("permission denied (<Response [403]>)"),
    ),
    Fault(
        "404", 404, False, 2, only=_REPORT, body=_wandb_error("item not found (<Response [404]>)")
    ),
    Fault("404 after its effect", 404, True, 1, only=_REPORT, body=_wandb_error("item not found")),
    Fault(
        "409",
        409,
        False,
        1,
        only=_REPORT,
        body=_wandb_error("item already claimed or not eligible"),
    ),
    Fault("404 of a query", 404, False, 2, only=_STATUSES, body=_wandb_error("project not found")),
    Fault("403 of a query", 403, False, 2, only=_STATUSES, body=_wandb_error("permission denied")),
    Fault("partial data", 200, False, 3, only=_STATUSES, partial=True),
    Fault(
        "agent not found",
        404,
        False,
        1,
        only=_HEARTBEAT,
        body=_wandb_error("agent not found (<Response [404]>)"),
    ),
    Fault("agent null", 200, False, 1, only=_HEARTBEAT, body='{"data": {"{field}": null}}'),
)


def _gcs_error(code: int, reason: str, message: str) -> str:
    errors = [{"message": message, "domain": "global", "reason": reason}]
    return json.dumps({"error": {"code": code, "message": message, "errors": errors}})


_WRITE = r"^(POST|PUT|PATCH|DELETE) "
GCS = (
    Fault(
        "429",
        429,
        False,
        3,
        only=_WRITE,
        body=_gcs_error(429, "rateLimitExceeded", "exceeded the rate limit"),
    ),
    Fault(
        "503",
        503,
        False,
        3,
        body=_gcs_error(503, "backendError", "We encountered an internal error."),
    ),
    Fault(
        "503 after its effect",
        503,
        True,
        3,
        body=_gcs_error(503, "backendError", "We encountered an error."),
    ),
    Fault(
        "500",
        500,
        False,
        2,
        body=_gcs_error(500, "internalError", "We encountered an internal error."),
    ),
    Fault(
        "502 page", 502, False, 1, body="<html><title>Error 502 (Server Error)!!1</title></html>"
    ),
    Fault("408", 408, False, 1, body="Request timeout"),
    Fault("cut", 0, False, 2),
    Fault("answer lost", 0, True, 3),
    Fault("late", 200, True, 2, late=1.0),
)

BUILD = (
    *FAULTS,
    Fault(
        "no build quota",
        400,
        False,
        1,
        only=r"^POST \S+/builds\n",
        body='{"error": {"code": 400, "status": "FAILED_PRECONDITION", "message": "failed '
        'precondition: due to quota restrictions, Cloud Build cannot run builds in this region"}}',
    ),
    Fault(
        "500",
        500,
        False,
        1,
        body='{"error": {"code": 500, "message": "Internal error.", "status": "INTERNAL"}}',
    ),
    Fault("502 page", 502, False, 1, body="<html><title>502</title></html>"),
)
