"""The staging bucket and the output folder of a job."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from shared.core.errors import Reject
from shared.core.launch import RunPath
from shared.core.reserved import BUCKET, FIX, ReservedPlaces
from shared.core.shorten import quoted
from shared.runspec.fields import text

_PLACE = re.compile(rf"(?P<scheme>gs://)?(?P<bucket>{BUCKET})(?P<folder>/.*)?", re.DOTALL)
_NAME = re.compile(r"(?!goog)(?!.*\.\.).{3,}")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


def staging_bucket(value: object, path: str) -> str:
    """Return the staging bucket with gs://, which may be missing, as in the SDK. Raises Reject."""
    bucket = text(value, path, "").strip()
    if not bucket:
        fix = "Write a bucket of the job's region into the queue's configuration: gs://BUCKET."
        raise Reject(path, "is empty", fix)
    place = _PLACE.fullmatch(bucket)
    if not place:
        fix = "Write gs://BUCKET or gs://BUCKET/FOLDER."
        raise Reject(path, f"is {quoted(bucket)}, not a bucket", fix)
    _check_name(place, path)
    _check_folder(place, path)
    return bucket if place["scheme"] else f"gs://{bucket}"


def base_output_dir(value: object, path: str, bucket: str, run: RunPath) -> str:
    """Return the job's output folder: by default one per run, so a retry finds its checkpoints.

    The SDK's default is named by the time. Two projects can have the same run id, so the folder
    contains the project, in lower case for each launch of the run.
    """
    folder = text(value, path, "").strip()
    if not folder:
        names = [quote(name, safe="") for name in (run.entity, run.project.lower(), run.run_id)]
        return "/".join([bucket.rstrip("/"), *names])
    place = _PLACE.fullmatch(folder)
    if not place or not place["scheme"]:
        fix = "Write gs://BUCKET/FOLDER, or leave it out."
        raise Reject(path, f"is {quoted(folder)}, not in a bucket", fix)
    _check_name(place, path)
    _check_folder(place, path)
    return folder


def check_places(
    spec: Mapping[str, object], path: str, project: str, reserved: ReservedPlaces
) -> None:
    """Refuse a job, with these arguments in this project, that would write to a reserved place."""
    for name in ("staging_bucket", "base_output_dir"):
        if problem := reserved.problem(text(spec.get(name), f"{path}.{name}", ""), project):
            raise Reject(f"{path}.{name}", problem, FIX)


def _check_name(place: re.Match[str], path: str) -> None:
    """Refuse a name that no bucket can have: cloud.google.com/storage/docs/buckets#naming."""
    name = place["bucket"]
    long = any(len(part) > 63 for part in name.split("."))
    if not _NAME.fullmatch(name) or _ADDRESS.fullmatch(name) or long:
        problem = f"is {quoted(place[0])}, and no bucket can have this name"
        raise Reject(path, problem, "Write the name of a bucket: gs://BUCKET.")


def _check_folder(place: re.Match[str], path: str) -> None:
    """Refuse `..`: in a container, where buckets are folders under /gcs, it leads to another."""
    if {".", ".."} & set((place["folder"] or "").split("/")):
        problem = f"is {quoted(place[0])}, with a folder named `.` or `..`"
        raise Reject(path, problem, "Write the names of folders only.")
