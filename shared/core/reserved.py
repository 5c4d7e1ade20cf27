"""The buckets that no job may use: a deployment's ledger, and the sources and contexts of builds.

A job that could write there could change launches, or the code of the functions and of images.
IAM is the second wall: the accounts of jobs have no rights on these buckets.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.core.shorten import quoted

BUCKET = "[a-z0-9][a-z0-9._-]{0,220}[a-z0-9]"  # a bucket's name: no dot or dash at its ends
DEPLOYMENT = "[a-z][a-z0-9-]{1,18}[a-z0-9]"  # a deployment's name
HOLDS = {
    "ledger": "the ledger",
    "sources": "the sources of builds",
    "contexts": "the contexts of image builds",
}
FIX = "Write a bucket for the output of jobs."
_GOOGLES = re.compile(r"gcf-v2-(sources|uploads)-.*")  # Cloud Functions keeps sources there
_SHOWN = 200  # characters of a place that a refusal quotes


def bucket_name(project: str, deployment: str, role: str) -> str:
    """Return the name of a deployment's bucket; `role` is staging, or a key of HOLDS."""
    return f"{_prefix(project)}-{deployment}-{role}"


@dataclass(frozen=True, slots=True)
class ReservedPlaces:
    """The places that jobs of one deployment may not use.

    `own` are buckets, or folders as BUCKET/FOLDER, with their content in words. Buckets of other
    deployments in `project` are recognised by their names.
    """

    project: str = ""
    own: Mapping[str, str] = field(default_factory=dict)

    def problem(self, place: str, project: str = "") -> str:
        """Return why a job in `project` may not use a place, gs://BUCKET/FOLDER; empty if it may.

        The scheme may be missing.
        """
        asked = place.strip().removeprefix("gs://").strip("/") + "/"
        for own, holds in self.own.items():
            if asked.startswith(f"{own.strip('/')}/"):
                return _problem(place, f"{holds} of this deployment")
        bucket = asked.partition("/")[0]
        for each in dict.fromkeys(filter(None, (self.project, project))):
            names = rf"{re.escape(_prefix(each))}-({DEPLOYMENT})-({'|'.join(HOLDS)})"
            if other := re.fullmatch(names, bucket):
                return _problem(place, f"{HOLDS[other[2]]} of the deployment {other[1]}")
        return _problem(place, "the functions' code") if _GOOGLES.fullmatch(bucket) else ""


def _problem(place: str, holds: str) -> str:
    return f"is {quoted(place, _SHOWN)}, a bucket that holds {holds}"


def _prefix(project: str) -> str:
    return re.sub("[.:]", "-", project)
