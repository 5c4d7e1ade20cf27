"""What a container runs first where W&B's key is kept out of the CustomJob: read the key, become the command.

The functions never run this: its text goes into the container's command, `python3 -c TEXT SECRET COMMAND…`. The image
may hold nothing but Python 3.7, so it needs no package. SECRET is the name of a version in Secret Manager, read as the
account that the job runs as.
"""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request

METADATA = "http://{}/computeMetadata/v1/instance/service-accounts/default/{}"
GOOGLES = "https://secretmanager.googleapis.com/"
ATTEMPTS = 7
ROLE = "roles/secretmanager.secretAccessor"


def main() -> None:
    """Do all of it; where the key cannot be had, say why and exit."""
    secret, command = sys.argv[1], sys.argv[2:]
    try:
        os.environ["WANDB_API_KEY"] = key(secret)
        os.execvp(command[0], command)  # noqa: S606 - no shell, by intention
    except (OSError, KeyError, TypeError, ValueError) as exc:
        sys.exit(f"vertex-launch: {command[0]} cannot be started: {type(exc).__name__}: {exc}")


def key(secret: str) -> str:
    """Return what a version of a secret holds."""
    token = json.loads(metadata("token"))["access_token"]
    # gcloud's own variable: in a network without the internet another address takes the place of Google's
    address = os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", GOOGLES).rstrip("/")
    try:
        answer = fetched(f"{address}/v1/{secret}:access", {"Authorization": f"Bearer {token}"})
    except urllib.error.HTTPError as exc:
        raise ValueError(refusal(secret, exc)) from None
    held = base64.b64decode(json.loads(answer)["payload"]["data"]).decode().strip()
    if not held:
        raise ValueError(f"{secret} is empty")
    return held


def refusal(secret: str, exc: urllib.error.HTTPError) -> str:
    """Say what is missing, as whom, and how to mend it."""
    said = f"Secret Manager answers {exc.code}, not {secret}"
    if exc.code != 403:
        return f"{said}: LAUNCH_KEY_SECRET names it, it has to exist, and its version has to be enabled"
    account = metadata("email").decode()
    return f"{said}: the job runs as {account}, which needs {ROLE} on it"


def metadata(name: str) -> bytes:
    """Ask Google's metadata server about the account that the job runs as."""
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    return fetched(METADATA.format(host, name), {"Metadata-Flavor": "Google"})


def fetched(address: str, headers: "dict[str, str]") -> bytes:
    """Return what is at an address; what fails in passing is asked for again, for half a minute."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            request = urllib.request.Request(address, headers=headers)  # noqa: S310 - Google's, or the operator's
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return bytes(answer.read())
        except OSError as exc:
            code = getattr(exc, "code", 500)
            if attempt == ATTEMPTS or (code < 500 and code != 429):
                raise
            time.sleep(2**attempt / 4)
    raise AssertionError("not reached")


if __name__ == "__main__":
    main()
