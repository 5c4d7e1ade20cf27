"""A Google Cloud for one test: `with Cloud(tmp_path) as cloud`; subprocesses use `cloud.environ(…)`."""

import asyncio
import json
import re
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from deploy.local.serving import listener
from tests.cloud.app import Fault, Server
from tests.cloud.building import CloudBuild
from tests.cloud.calls import Call, Json
from tests.cloud.certificates import make_certificates
from tests.cloud.functions import CloudFunctions
from tests.cloud.grpc_calls import serve_grpc
from tests.cloud.identity import Iam, ResourceManager
from tests.cloud.messaging import CloudScheduler, PubSub
from tests.cloud.monitoring import LoggingWithMetrics, Monitoring
from tests.cloud.names import (
    ArtifactRegistry,
    Credentials,
    Eventarc,
    KeyManagement,
    SecretManager,
    ServiceUsage,
    Tokens,
    access_token,
)
from tests.cloud.proxy import Proxy
from tests.cloud.run import Invocations, Run
from tests.cloud.service import Service
from tests.cloud.state import Allow, State
from tests.cloud.storage import Storage
from tests.cloud.vertex import VertexAi

SERVICES: tuple[type[Service], ...] = (
    ArtifactRegistry,
    CloudBuild,
    CloudFunctions,
    CloudScheduler,
    Credentials,
    Eventarc,
    Iam,
    Invocations,
    KeyManagement,
    LoggingWithMetrics,
    Monitoring,
    PubSub,
    ResourceManager,
    Run,
    SecretManager,
    ServiceUsage,
    Storage,
    Tokens,
    VertexAi,
)
_START_SECONDS = 10


class Cloud:
    """One project in its own cloud, served on loopback inside the context.

    `resources`, `policies`: by full resource, such as `pubsub.googleapis.com/projects/p1/topics/t`.
    `uploads`: archives of source code, by object name. `refused`: requested hosts outside of Google.
    `unknown`: calls without a rule; the end of the context raises if there are any.
    `scheduler_outcome`: job (its id or name) -> google.rpc code of its runs.
    `path`: PATH of subprocesses.
    `answers`: function -> (status, JSON) of its answer, or a callable that answers.
    """

    def __init__(self, folder: Path, project: str = "p1", number: str = "123456789012") -> None:
        self.folder = folder
        self.project = project
        self.number = number
        self.path = "/usr/local/bin:/usr/bin:/bin"
        self.state = State(project, number)
        self.resources = self.state.resources
        self.policies = self.state.policies
        self.uploads = self.state.uploads
        self.answers = self.state.answers
        self.scheduler_outcome = self.state.scheduler_outcome
        self.resources[f"cloudresourcemanager.googleapis.com/projects/{project}"] = {}
        self._server = Server(self.state, {service.name: service(self.state).answer for service in SERVICES})
        self.calls: list[Call] = self._server.calls
        self.unknown: list[str] = self._server.unknown
        self.faults: list[Fault] = self._server.faults
        self._proxy = Proxy(lambda: self._address, lambda: ("127.0.0.1", self._grpc_port))
        self.refused = self._proxy.refused
        self._started = threading.Event()
        self._certificates = make_certificates(folder)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="cloud", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(_START_SECONDS):
            raise TimeoutError("the cloud did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_START_SECONDS)
        if kind is None and self.unknown:
            raise AssertionError(f"this cloud has no rule for: {self.unknown}")

    def environ(self, identity: str) -> dict[str, str]:
        """Return a subprocess's environment, in which gcloud and google-auth act as `identity` (an email)."""
        home = self.folder / re.sub(r"\W", "-", identity)
        home.mkdir(exist_ok=True)
        token, credentials = home / "token", home / "credentials.json"
        token.write_text(access_token(identity))
        user = {"client_id": "client", "client_secret": "secret", "refresh_token": f"refresh:{identity}"}
        credentials.write_text(json.dumps({"type": "authorized_user", **user, "quota_project_id": self.project}))
        authority = str(self._certificates.authority)
        return {
            "PATH": self.path,
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "CLOUDSDK_CONFIG": str(home / "gcloud"),
            "CLOUDSDK_CORE_PROJECT": self.project,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_CHECK_GCE_METADATA": "0",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
            "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": authority,
            "GOOGLE_CLOUD_PROJECT": self.project,
            "GOOGLE_APPLICATION_CREDENTIALS": str(credentials),
            "NO_GCE_CHECK": "true",
            "REQUESTS_CA_BUNDLE": authority,
            "SSL_CERT_FILE": authority,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": authority,
            "https_proxy": self.proxy,
            "HTTPS_PROXY": self.proxy,
        }

    @property
    def proxy(self) -> str:
        """Return the proxy's URL."""
        return f"http://127.0.0.1:{self._proxy_port}"

    def calls_to(self, host_part: str, method: str | None = None, path_regex: str | None = None) -> list[Call]:
        """Return the calls so far whose host has `host_part`, by method and path."""
        return [
            call
            for call in self.calls
            if host_part in call.host
            and method in (None, call.method)
            and (path_regex is None or re.search(path_regex, call.path))
        ]

    def fail(self, method: str, path_regex: str, status: int = 503, times: int = 1) -> Fault:
        """Make the next `times` matching calls fail, without effect; the fault counts them down."""
        self._server.faults.append(Fault(method, re.compile(path_regex), status, times, lost=False))
        return self._server.faults[-1]

    def refuse(
        self, method: str, path_regex: str, status: int, message: str, name: str | None = None, times: int = 1
    ) -> Fault:
        """Make the next `times` matching calls fail with Google's own words, without effect."""
        fault = Fault(method, re.compile(path_regex), status, times, lost=False, message=message, name=name)
        self._server.faults.append(fault)
        return fault

    def lose(self, method: str, path_regex: str, status: int = 503, times: int = 1) -> Fault:
        """Make the next `times` matching calls fail after their effect."""
        self._server.faults.append(Fault(method, re.compile(path_regex), status, times, lost=True))
        return self._server.faults[-1]

    def enforce(self, allow: Allow) -> None:
        """Refuse each later call for which `allow(identity, permission, resource)` returns false."""
        self.state.allow = allow

    def object(self, bucket: str, name: str) -> bytes:
        """Return the content of an object."""
        return self.state.objects[bucket, name].content

    def policy_members(self, resource: str, role: str) -> list[str]:
        """Return the members with `role` in the policy of `resource` itself."""
        bindings: list[Json] = self.policies.get(resource, {}).get("bindings", [])
        return [member for binding in bindings if binding["role"] == role for member in binding["members"]]

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        listening = listener()
        self._address: tuple[str, int] = listening.getsockname()
        config = uvicorn.Config(
            self._server.app(),
            ssl_certfile=self._certificates.leaf,
            ssl_keyfile=str(self._certificates.key),
            log_level="warning",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        proxy = await asyncio.start_server(self._proxy.serve, "127.0.0.1", 0)
        self._proxy_port = proxy.sockets[0].getsockname()[1]
        publishing, self._grpc_port = await serve_grpc(self._server.take, self._certificates)
        self._started.set()
        await self._stop.wait()
        proxy.close()
        await publishing.stop(None)
        server.should_exit = server.force_exit = True  # open connections have their answers
        await serving
