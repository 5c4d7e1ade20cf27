"""Start a container whose CustomJob does not contain W&B's key: read the key, run the command.

The functions never run this program: its text goes into the container's command, `python3 -c TEXT
SECRET COMMAND…`. The image may contain only Python 3.7, so the program needs no package. SECRET
names a version in Secret Manager, which the job's service account reads.
"""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request

METADATA = "http://{}/computeMetadata/v1/instance/service-accounts/default/{}"
API = "https://secretmanager.googleapis.com/"
ATTEMPTS = 7
ROLE = "roles/secretmanager.secretAccessor"


def main() -> None:
    """Run the steps; on an error, print the reason and exit."""
    secret, command = sys.argv[1], sys.argv[2:]
    try:
        os.environ["WANDB_API_KEY"] = key(secret)
        os.execvp(command[0], command)  # noqa: S606 - no shell, on purpose
    except (OSError, KeyError, TypeError, ValueError) as exc:
        sys.exit(f"vertex-launch: {command[0]} cannot be started: {type(exc).__name__}: {exc}")


def key(secret: str) -> str:
    """Return the content of a secret's version."""
    token = json.loads(metadata("token"))["access_token"]
    # gcloud's variable, for networks without internet access
    override = os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", API)
    address = override.rstrip("/")
    try:
        answer = fetched(f"{address}/v1/{secret}:access", {"Authorization": f"Bearer {token}"})
    except urllib.error.HTTPError as exc:
        raise ValueError(refusal(secret, exc)) from None
    held = base64.b64decode(json.loads(answer)["payload"]["data"]).decode().strip()
    if not held:
        raise ValueError(f"{secret} is empty")
    return held


def refusal(secret: str, exc: urllib.error.HTTPError) -> str:
    """Return the reason why the secret cannot be read, and the fix."""
    problem = f"Secret Manager answers {exc.code} for {secret}"
    if exc.code != 403:
        return f"{problem}: LAUNCH_KEY_SECRET must name a secret with an enabled version"
    account = metadata("email").decode()
    return f"{problem}: the job runs as {account}, which needs {ROLE} on the secret"


def metadata(name: str) -> bytes:
    """Return a value of the job's service account from Google's metadata server."""
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    return fetched(METADATA.format(host, name), {"Metadata-Flavor": "Google"})


def fetched(address: str, headers: "dict[str, str]") -> bytes:
    """Return the content of an address; repeats temporary failures for half a minute."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            request = urllib.request.Request(address, headers=headers)  # noqa: S310 - of Google or the operator
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
