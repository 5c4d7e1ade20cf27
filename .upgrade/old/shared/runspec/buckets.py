"""The staging bucket and the output folder of a job."""

import re
from urllib.parse import quote

from shared.core.errors import Reject
from shared.core.launch import RunPath
from shared.core.shorten import quoted
from shared.runspec.fields import text

_BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}(/.*)?", re.DOTALL)
_BARE_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}(/.*)?", re.DOTALL)


def staging_bucket(value: object, path: str) -> str:
    """Return the staging bucket with gs://, which may be missing, as in the SDK. Raises Reject."""
    bucket = text(value, path, "").strip()
    if not bucket:
        fix = "Write a bucket of the job's region into the queue's configuration: gs://BUCKET."
        raise Reject(path, "is empty", fix)
    if _BARE_BUCKET.fullmatch(bucket):
        return f"gs://{bucket}"
    if not _BUCKET.fullmatch(bucket):
        fix = "Write gs://BUCKET or gs://BUCKET/FOLDER."
        raise Reject(path, f"is {quoted(bucket)}, not a bucket", fix)
    return bucket


def base_output_dir(value: object, path: str, bucket: str, run: RunPath) -> str:
    """Return the job's output folder: by default one per run, so a retry finds its checkpoints.

    The SDK's default is named by the time. Two projects can have the same run id, so the folder
    contains the project.
    """
    folder = text(value, path, "").strip()
    if not folder:
        names = [quote(name, safe="") for name in (run.entity, run.project, run.run_id)]
        return "/".join([bucket.rstrip("/"), *names])
    if not _BUCKET.fullmatch(folder):
        fix = "Write gs://BUCKET/FOLDER, or leave it out."
        raise Reject(path, f"is {quoted(folder)}, not in a bucket", fix)
    return folder
