"""Where a job is staged and where it writes: buckets and folders of theirs."""

import re
from urllib.parse import quote

from shared.core.errors import Reject
from shared.core.launch import RunPath
from shared.runspec.fields import text

_BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}(/.*)?", re.DOTALL)
_BARE_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}(/.*)?", re.DOTALL)


def staging_bucket(value: object, path: str) -> str:
    """Return the staging bucket; as in the SDK, gs:// may be left out. Raises Reject where it is missing or none."""
    bucket = text(value, path, "").strip()
    if not bucket:
        raise Reject(
            path,
            "is empty",
            "Fill in a bucket in the job's region in the queue's configuration: gs://….",
        )
    if _BARE_BUCKET.fullmatch(bucket):
        return f"gs://{bucket}"
    if not _BUCKET.fullmatch(bucket):
        raise Reject(
            path,
            f"is {bucket[:80]!r}, not a bucket",
            "Write it as gs://BUCKET or gs://BUCKET/FOLDER.",
        )
    return bucket


def base_output_dir(value: object, path: str, bucket: str, run: RunPath) -> str:
    """Return where the job writes: a folder of the run's own, so that a retry finds what was there.

    The SDK's own default is named by the time. The run's project is in it because another project may have such a run.
    """
    folder = text(value, path, "").strip()
    if not folder:
        return "/".join(
            (
                bucket.rstrip("/"),
                *(quote(name, safe="") for name in (run.entity, run.project, run.run_id)),
            )
        )
    if not _BUCKET.fullmatch(folder):
        raise Reject(
            path,
            f"is {folder[:80]!r}, not in a bucket",
            "Write it as gs://BUCKET/FOLDER, or leave it out.",
        )
    return folder
