"""The errors of Vertex AI, in every shape. Chaos and `--fault-rate` draw from this table."""

from collections.abc import Iterator

from deploy.local.servers.faults import FAULTS, Fault
from deploy.local.servers.vertex.refusals import REFUSALS

_CREATE = r"^POST \S+/customJobs\n"


def _refusals() -> Iterator[Fault]:
    """Yield the transient refusals of a create."""
    for refusal in REFUSALS.values():
        if refusal.passing:
            body = bytes(refusal.error().response().body).decode()
            yield Fault(
                refusal.name, refusal.http_status, worked=False, weight=1, only=_CREATE, body=body
            )


VERTEX = (
    *FAULTS,
    *_refusals(),
    Fault(
        "500",
        500,
        False,
        2,
        body='{"error": {"code": 500, "message": "Internal error.", "status": "INTERNAL"}}',
    ),
    Fault("502 page", 502, False, 1, body="<html><title>502</title></html>"),
    Fault("504 after its effect", 504, True, 2, only=_CREATE),
)
