"""Google, as a job's container sees it that reads a secret: the metadata server, and Secret Manager."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.local.serving import serving

ACCOUNT = "trainer@p.iam.gserviceaccount.com"
TOKEN = "token-of-the-job"


@dataclass
class Google:
    """The state of the server: `faults` are the statuses of the next answers."""

    secrets: dict[str, bytes] = field(default_factory=dict)  # by version
    allowed: bool = True
    faults: list[int] = field(default_factory=list)
    url: str = ""

    @property
    def environ(self) -> dict[str, str]:
        """Return the variables that lead a container here."""
        host = self.url.removeprefix("http://")
        return {"GCE_METADATA_HOST": host, "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": f"{self.url}/"}

    async def metadata(self, request: Request) -> Response:
        """Return the job's service account to a caller that asks as Google's clients do."""
        if request.headers.get("Metadata-Flavor") != "Google":
            return PlainTextResponse("Forbidden", 403)
        if self.faults:
            return PlainTextResponse("try again", self.faults.pop())
        if request.path_params["name"] == "email":
            return PlainTextResponse(ACCOUNT)
        return JSONResponse({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})

    async def access(self, request: Request) -> Response:
        """Return a version's payload to a caller with access."""
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"error": {"code": 401}}, 401)
        if self.faults:
            return JSONResponse({"error": {"code": self.faults[-1]}}, self.faults.pop())
        if not self.allowed:
            return JSONResponse({"error": {"code": 403}}, 403)
        name = request.path_params["name"].removesuffix(":access")
        if name not in self.secrets:
            return JSONResponse({"error": {"code": 404}}, 404)
        return JSONResponse({"name": name, "payload": {"data": base64.b64encode(self.secrets[name]).decode()}})


@contextmanager
def google(**secrets: bytes) -> Iterator[Google]:
    """Serve one, with these secrets of project p, each in its newest version."""
    made = Google({f"projects/p/secrets/{name}/versions/latest": value for name, value in secrets.items()})
    account = "/computeMetadata/v1/instance/service-accounts/default/{name}"
    app = Starlette(routes=[Route(account, made.metadata), Route("/v1/{name:path}", made.access)])
    with serving(app) as made.url:
        yield made
