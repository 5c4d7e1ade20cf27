"""Refuse as Google's APIs do: an HTTP status, a canonical code and details in one JSON shape."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response

Detail = Mapping[str, Any]


class ApiError(Exception):
    """Refuse a request with an HTTP status and a `google.rpc` code name."""

    def __init__(
        self, http_status: int, code: str, message: str, details: Sequence[Detail] = ()
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.message = message
        self.details = list(details)

    def body(self) -> dict[str, Any]:
        """Return the JSON body that Google's APIs answer for this error."""
        error = {
            "code": self.http_status,
            "message": self.message,
            "status": self.code,
            "details": self.details,
        }
        return {"error": error}

    def response(self) -> Response:
        """Return the answer."""
        return JSONResponse(self.body(), self.http_status)


class FrontendError(ApiError):
    """Refuse as Google's front end does when no API was reached: a page, no JSON."""

    def response(self) -> Response:
        """Return the page."""
        page = f"<!DOCTYPE html><html lang=en><title>Error {self.http_status}</title><p>{self.message}</html>"
        return HTMLResponse(page, self.http_status)


def invalid_argument(message: str, violations: Mapping[str, str] | None = None) -> ApiError:
    """Build a 400; `violations` maps the path of each bad field to what is wrong with it."""
    if not violations:
        return ApiError(400, "INVALID_ARGUMENT", message)
    fields = [{"field": field, "description": problem} for field, problem in violations.items()]
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields}
    return ApiError(400, "INVALID_ARGUMENT", message, [detail])


def not_found(name: str) -> ApiError:
    """Build the 404 for a job that is not there."""
    return ApiError(404, "NOT_FOUND", f"The CustomJob does not exist: {name}.")
