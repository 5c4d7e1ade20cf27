"""Refusals in the shape of Google's APIs: an HTTP status, a canonical code and details."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response

Detail = Mapping[str, Any]


class ApiError(Exception):
    """A refusal with an HTTP status and a `google.rpc` code name."""

    def __init__(
        self, http_status: int, code: str, message: str, details: Sequence[Detail] = ()
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.message = message
        self.details = list(details)

    def body(self) -> dict[str, Any]:
        """Return the JSON body in which Google's APIs send this error."""
        error = {
            "code": self.http_status,
            "message": self.message,
            "status": self.code,
            "details": self.details,
        }
        return {"error": error}

    def response(self) -> Response:
        """Return the HTTP response."""
        return JSONResponse(self.body(), self.http_status)


class FrontendError(ApiError):
    """A refusal by Google's front end, before any API: an HTML page."""

    def response(self) -> Response:
        """Return the HTML response."""
        title = f"<title>Error {self.http_status}</title>"
        page = f"<!DOCTYPE html><html lang=en>{title}<p>{self.message}</html>"
        return HTMLResponse(page, self.http_status)


def invalid_argument(message: str, violations: Mapping[str, str] | None = None) -> ApiError:
    """Return a 400; `violations` maps the path of each wrong field to its problem."""
    if not violations:
        return ApiError(400, "INVALID_ARGUMENT", message)
    fields = [{"field": field, "description": problem} for field, problem in violations.items()]
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields}
    return ApiError(400, "INVALID_ARGUMENT", message, [detail])


def not_found(name: str) -> ApiError:
    """Return the 404 of a job that does not exist."""
    return ApiError(404, "NOT_FOUND", f"The CustomJob does not exist: {name}.")
