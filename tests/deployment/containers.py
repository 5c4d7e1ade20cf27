"""Starts what was deployed from the archive that was uploaded, with its requirements.txt and nothing else."""

import threading
import time
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import requests

from deploy.local.processes import HOST, Processes, free_port
from tests.cloud.calls import Call, Json
from tests.cloud.world import Cloud
from tests.deployment.installed import make_python

EVENT = "google.cloud.pubsub.topic.v1.messagePublished"
START_SECONDS = 180  # of a machine that has other work, too


class Containers:
    """One process for each revision that serves, started with its first call, as its own service account.

    It knows nothing but its revision: the image (which names the archive), the environment, the secrets, the account.
    """

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self._cloud = cloud
        self._folder = folder
        self._processes = Processes(folder)
        self._ports: dict[str, int] = {}
        self._pythons: dict[str, Future[Path]] = {}
        self._installer = ThreadPoolExecutor(1, thread_name_prefix="installer")
        self._lock = threading.Lock()

    def stop(self) -> None:
        """End all of them."""
        self._processes.stop()
        self._installer.shutdown()

    def log(self, revision: str) -> str:
        """Return what a revision has printed."""
        return self._processes.log(revision).read_text(encoding="utf-8")

    @property
    def revisions(self) -> list[str]:
        """Return the revisions that were started."""
        return list(self._ports)

    def call(self, function: str, call: Call) -> tuple[int, bytes]:
        """Let the revision that has the function's traffic answer."""
        service = next(found for full, found in self._cloud.resources.items() if full.endswith(f"/services/{function}"))
        revision = service["status"]["traffic"][0]["revisionName"]
        self._mount(revision)
        with self._lock:  # one cold start at a time is enough for a test
            if revision not in self._ports:
                self._ports[revision] = self._start(function, revision)
        headers = {"Content-Type": "application/json"}
        if "__GCP_CloudEventsMode" in call.query:
            topic = self._cloud.resources[f"pubsub.googleapis.com/{call.document['subscription']}"]["topic"]
            headers |= _cloud_event(topic, call.document["message"])
        url = f"http://{HOST}:{self._ports[revision]}/"
        answer = requests.request(call.method, url, data=call.raw, headers=headers, timeout=120)
        return answer.status_code, answer.content

    def prepare(self, archive: bytes) -> "Future[Path]":
        """Install an archive's requirements, once for archives that require the same; returns the python."""
        with zipfile.ZipFile(BytesIO(archive)) as packed:
            required = {name: packed.read(name) for name in ("requirements.txt", "constraints.txt")}
        digest = sha256(b"".join(required.values())).hexdigest()[:12]
        if digest not in self._pythons:
            self._pythons[digest] = self._installer.submit(
                make_python, self._folder / f"python-{digest}", required["requirements.txt"].decode()
            )
        return self._pythons[digest]

    def _start(self, function: str, revision: str) -> int:
        described = self._described(revision)
        container = described["spec"]["containers"][0]
        archive = self._cloud.uploads[container["image"].rpartition(":")[2] + ".zip"]
        source = self._folder / revision
        with zipfile.ZipFile(BytesIO(archive)) as packed:
            packed.extractall(source)
        port = free_port()
        environ = self._cloud.environ(described["spec"]["serviceAccountName"]) | {
            "FUNCTION_TARGET": function.rpartition("-")[2],
            "PORT": str(port),
            "K_SERVICE": function,
            "K_REVISION": revision,
            "PYTHONUNBUFFERED": "1",
        }
        del environ["GOOGLE_CLOUD_PROJECT"]  # Cloud Run does not set it: the deployment has to
        environ |= {each["name"]: self._value(each) for each in container["env"]}
        for mount in container["volumeMounts"]:  # there is no root to mount it in: the path is a link
            for name, value in environ.items():
                if value.startswith(mount["mountPath"]):
                    environ[name] = f"{self._folder / revision}-mounted{value}"
        python = self.prepare(archive).result()
        framework = [str(python.parent / "functions-framework"), "--source", "main.py", "--port", str(port)]
        self._processes.start(revision, ["sh", "-c", 'cd "$0" && exec "$@"', str(source), *framework], environ)
        self._processes.await_port(revision, port, time.monotonic() + START_SECONDS)
        return port

    def _value(self, variable: Json) -> str:
        if "value" in variable:
            return str(variable["value"])
        wanted = variable["valueFrom"]["secretKeyRef"]
        return self._secret(wanted["name"], wanted["key"]).decode()

    def _secret(self, name: str, wanted: str) -> bytes:
        secret = f"projects/{self._cloud.project}/secrets/{name}"
        versions = [int(one.rpartition("/")[2]) for one in self._cloud.state.secrets if one.startswith(f"{secret}/")]
        return self._cloud.state.secrets[f"{secret}/versions/{max(versions) if wanted == 'latest' else wanted}"]

    def _described(self, revision: str) -> Json:
        return next(each for full, each in self._cloud.resources.items() if full.endswith(f"/revisions/{revision}"))

    def _mount(self, revision: str) -> None:
        """Let the files of its secrets be what Secret Manager has now, as Cloud Run does whenever one is read."""
        spec = self._described(revision)["spec"]
        secrets = {volume["name"]: volume["secret"] for volume in spec["volumes"]}
        for mount in spec["containers"][0]["volumeMounts"]:
            for item in secrets[mount["name"]]["items"]:
                path = Path(f"{self._folder / revision}-mounted{mount['mountPath']}/{item['path']}")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._secret(secrets[mount["name"]]["secretName"], item["key"]))


def _cloud_event(topic: str, message: Json) -> dict[str, str]:
    """Give the headers that make a push a CloudEvent, as Cloud Run does for a function's trigger."""
    return {
        "ce-id": message["messageId"],
        "ce-source": f"//pubsub.googleapis.com/{topic}",
        "ce-type": EVENT,
        "ce-specversion": "1.0",
        "ce-time": message["publishTime"],
    }
