"""The regions in which a deployment can run, and those in which one of its services is missing.

Sources: google-cloud-aiplatform's constants.SUPPORTED_REGIONS (CustomJobs), and Google's pages of
locations (Cloud Scheduler, Cloud Build) of September 2026.
"""

import re
from difflib import get_close_matches


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


JOBS = _names("""
    africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1
    asia-south2 asia-southeast1 asia-southeast2 australia-southeast1 australia-southeast2
    europe-central2 europe-north1 europe-north2 europe-southwest1 europe-west1 europe-west12
    europe-west2 europe-west3 europe-west4 europe-west6 europe-west8 europe-west9 me-central1
    me-central2 me-west1 northamerica-northeast1 northamerica-northeast2 southamerica-east1
    southamerica-west1 us-central1 us-east1 us-east4 us-east5 us-east7 us-south1 us-west1 us-west2
    us-west3 us-west4 us-west8
    """)
NO_JOBS = _names("europe-west10 asia-southeast3 northamerica-south1")
# as of September 2026; `bootstrap` asks Google about the others
SCHEDULER = _names("""
    asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1 asia-south2
    asia-southeast1 asia-southeast2 australia-southeast1 europe-central2 europe-west1 europe-west12
    europe-west2 europe-west3 europe-west4 europe-west6 me-central1 me-central2 me-west1
    northamerica-northeast1 northamerica-northeast2 southamerica-east1 us-central1 us-east1
    us-east4 us-west1 us-west2 us-west3 us-west4
    """)
NO_EVENTARC = _names("us-east7 us-west8")  # nor Cloud Run and Cloud Build
ALWAYS_BUILDS = (  # Google limits the builds of some projects to these
    "asia-east1",
    "australia-southeast1",
    "europe-west1",
    "southamerica-east1",
    "us-central1",
    "us-west2",
)


def region_problem(region: str) -> str:
    """Return why a deployment cannot use a name as its region; empty if it can."""
    given = f"--region is {region!r}"
    plain = region.strip().lower()
    if zone := re.fullmatch(r"([a-z]+-[a-z]+\d+)-[a-z]", plain):
        return f"{given}, which is a zone. Did you mean {zone[1]}?"
    if plain in JOBS:
        return "" if region == plain else f"{given}. Did you mean {plain}?"
    if plain in NO_JOBS:
        return f"{given}, where Vertex AI runs no CustomJob. Write another region"
    if re.fullmatch(r"global|us|eu|asia|nam\d+|eur\d+", plain):
        return f"{given}, which is no single region. Write one, such as us-central1"
    near = get_close_matches(plain, sorted(JOBS), n=1)
    hint = f"Did you mean {near[0]}?" if near else "Write one, such as us-central1"
    return f"{given}, which is no region of Vertex AI that this version knows. {hint}"


def near(region: str, among: frozenset[str]) -> str:
    """Return a region of the same continent, for a fix."""
    continent = region.partition("-")[0]
    return min((each for each in among if each.startswith(continent)), default="us-central1")
